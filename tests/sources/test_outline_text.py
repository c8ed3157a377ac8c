"""Outlines as texts and bytes: which are outlines, and which system they say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shapely

from cropmap.errors import DeclarationFileError
from cropmap.sources.files.outline_text import LOOKED_AT, holds_outlines, parse_outlines, refuse_several_systems

BOX = shapely.box(9, 50, 10, 51)


def values(*each: Any) -> np.ndarray:
    made = np.empty(len(each), dtype=object)
    made[:] = each
    return made


@pytest.mark.parametrize(
    "text",
    [
        BOX.wkt,
        f" srid = 25832 ; {BOX.wkt} ",
        shapely.to_wkb(BOX, hex=True),
        "\\x" + shapely.to_wkb(BOX, hex=True).lower(),
        "0x" + shapely.to_wkb(BOX, hex=True),
        shapely.to_wkb(BOX),
        shapely.to_geojson(BOX),
    ],
)
def test_every_way_of_writing_one_outline(text: str | bytes) -> None:
    shapes, _ = parse_outlines(values(None, text))
    assert shapes[0] is None
    assert shapely.equals(shapes[1], BOX)


@pytest.mark.parametrize("text", ["wheat", "POLYGON ((1", "00zz", "{}", "", "0103", b"\x01\x03"])
def test_what_cannot_be_read_is_none(text: str | bytes) -> None:
    shapes, crs = parse_outlines(values(text, BOX.wkt))
    assert shapes[0] is None
    assert shapely.equals(shapes[1], BOX), "the row beside it is read all the same"
    assert crs == set()


def test_a_position_of_geojson_may_have_numbers_too_many() -> None:
    """The third and the fourth are dropped: measures, which no reader of GeoJSON has a place for."""
    text = '{"type": "Polygon", "coordinates": [[[9, 50, 1, 2], [10, 50, 1, 2], [10, 51, 1, 2], [9, 50, 1, 2]]]}'
    shapes, _ = parse_outlines(values(text))
    assert shapely.equals(shapes[0], shapely.Polygon([(9, 50), (10, 50), (10, 51)]))


@pytest.mark.parametrize(
    ("texts", "crs"),
    [
        ([BOX.wkt], None),
        ([f"SRID=25832;{BOX.wkt}", BOX.wkt], "EPSG:25832"),  # a row that says nothing contradicts nothing
        ([f"SRID=0;{BOX.wkt}"], None),  # PostGIS knows none
        ([shapely.to_wkb(shapely.set_srid(BOX, 25832), hex=True, include_srid=True)], "EPSG:25832"),
        ([f"SRID=25832;{BOX.wkt}", shapely.to_wkb(shapely.set_srid(BOX, 25832), include_srid=True)], "EPSG:25832"),
    ],
)
def test_the_system_that_the_rows_state(texts: list[Any], crs: str | None) -> None:
    stated = parse_outlines(values(*texts))[1]
    assert stated == ({crs} if crs else set())
    refuse_several_systems(stated, where="a test")


def test_two_systems_in_one_file_are_refused() -> None:
    both = values(f"SRID=25832;{BOX.wkt}", f"SRID=4326;{BOX.wkt}")
    with pytest.raises(DeclarationFileError, match=r"several coordinate systems \(4326, 25832\)"):
        refuse_several_systems(parse_outlines(both)[1], where="a test")


@pytest.mark.parametrize(
    ("texts", "holds"),
    [
        ([BOX.wkt, None, shapely.to_wkb(BOX, hex=True)], True),
        ([BOX.wkt, "wheat"], False),
        ([None, None], False),
        ([], False),
        (["POINT (1 2)"], False),  # a label point is no outline
        (["MULTISURFACE (((0 0, 1 0, 1 1, 0 0)))"], True),
        (["POLYGONAL"], False),
        (["0001020304"], True),  # by its look: the order of bytes and a kind, all in hexadecimal digits
        (["0201020304"], False),
        (["000102"], False),  # too short
        ([b"\x01\x03\x00", b"\x00\x00"], True),
        ([b"\x02\x03"], False),
        ([BOX.wkt] * LOOKED_AT + ["wheat"], True),  # nobody looks that far
    ],
)
def test_a_column_of_outlines_is_known_by_its_first_values(texts: list[Any], holds: bool) -> None:
    assert holds_outlines(values(*texts)) is holds


@pytest.mark.parametrize(("depth", "read"), [(31, True), (40, False)])
def test_a_nest_of_collections_is_not_descended_into(depth: int, read: bool) -> None:
    """A reader calls itself once a level: thousands of them end the program."""
    text = "GEOMETRYCOLLECTION (" * depth + BOX.wkt + ")" * depth
    shapes, _ = parse_outlines(values(text))
    assert (shapes[0] is not None) is read
