"""What a GML says of itself before GDAL is asked to read it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cropmap.sources.files.gml import SEARCHED_BYTES, configuration, gml_options, inner_system, is_gml, surveys_crs

HEAD = '<?xml version="1.0"?><a xmlns:gml="http://www.opengis.net/gml/3.2">'


def written(folder: Path, inside: str, *, name: str = "x.gml") -> str:
    path = folder / name
    path.write_text(HEAD + inside + "</a>", encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("name", "content", "gml"),
    [
        ("x.gml", "", True),  # by its ending alone
        ("x.XML", "", True),
        ("x.txt", HEAD, True),  # by its first bytes, as GDAL tells
        ("x.txt", "\ufeff \n" + HEAD, True),
        ("x.txt", "x" + HEAD, False),
        ("x.txt", "<html></html>", False),
        ("x.txt", "<a>" + " " * 9_000 + HEAD, False),  # GDAL does not look that far either
    ],
)
def test_a_gml_is_known_by_its_ending_or_its_beginning(tmp_path: Path, name: str, content: str, gml: bool) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    assert is_gml(str(path)) is gml
    assert bool(gml_options(str(path))) is gml
    assert is_gml("nowhere.gml")
    assert not is_gml("nowhere.txt")


def test_the_order_of_axes_is_swapped_where_a_person_says_so(tmp_path: Path) -> None:
    source = written(tmp_path, "")
    swaps = [gml_options(source, order)["SWAP_COORDINATES"] for order in (None, "easting_first", "northing_first")]
    assert swaps == ["AUTO", "NO", "YES"]


def ring(numbers: str, said: str = "") -> str:
    return f"<gml:posList{said}>{numbers}</gml:posList>"


FLAT, HIGH = "0 0 1 0 1 1 0 0", "0 0 5 1 0 5 1 1 5 0 0 5"
ENVELOPE = '<gml:Envelope srsDimension="{}"/>'


@pytest.mark.parametrize(
    ("inside", "dimension"),
    [
        (ring(FLAT), "2"),  # nothing is said: the ring closes with two numbers
        (ring(HIGH), "3"),
        (ENVELOPE.format(3) + ring(HIGH), "3"),
        (ENVELOPE.format(3) + ring(FLAT), "2"),
        (ENVELOPE.format(3) + ring(FLAT, ' srsDimension="2"'), "2"),  # the outlines' word counts
        (ENVELOPE.format(2) + ring(FLAT, ' srsDimension="2"'), None),  # they agree: GDAL needs no help
        (ring(FLAT) + ring(HIGH), None),  # of two kinds: nobody knows
        (ring("0 0 1 0 1 1"), None),  # it does not close
        (ring("0 0 0 0"), None),  # too short to tell
        ("", None),
    ],
)
def test_how_many_numbers_a_position_has(tmp_path: Path, inside: str, dimension: str | None) -> None:
    assert configuration(written(tmp_path, inside))["GML_SRS_DIMENSION_IF_MISSING"] == dimension


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("ETRS89_UTM32", "EPSG:25832"),
        ("ETRS89_UTM33", "EPSG:25833"),
        ("DE_DHDN_3GK2", "EPSG:31466"),
        ("DE_DHDN_3GK4_BY120", "EPSG:31468"),
        ("ETRS89_UTM30", None),  # no zone of Germany's
        ("ETRS89_Lat-Lon", None),
        ("ETRS89_UTM32x", None),
    ],
)
def test_grids_by_the_names_of_german_surveys(tmp_path: Path, name: str, code: str | None) -> None:
    assert surveys_crs(written(tmp_path, f'<gml:Point srsName="urn:adv:crs:{name}"/>')) == code


def test_another_name_is_not_for_us(tmp_path: Path) -> None:
    assert surveys_crs(written(tmp_path, '<gml:Point srsName="EPSG:25832"/>')) is None
    assert surveys_crs(str(tmp_path / "nowhere.gml")) is None


@pytest.mark.parametrize(
    ("names", "system"),
    [
        (["EPSG:4258"], ("EPSG:4258", False)),  # a short name says nothing of the order
        (["urn:ogc:def:crs:EPSG::4258"], ("EPSG:4258", True)),  # latitude first, by the definition of EPSG
        (["urn:ogc:def:crs:EPSG::25832"], ("EPSG:25832", False)),  # easting first there
        (["http://www.opengis.net/def/crs/EPSG/0/4258"], ("EPSG:4258", True)),
        (["https://www.opengis.net/def/crs/EPSG/0/3067"], ("EPSG:3067", False)),
        (["EPSG:4258", "EPSG:4258"], ("EPSG:4258", False)),
        (["EPSG:4258", "EPSG:25832"], None),  # two
        (["urn:adv:crs:ETRS89_UTM32"], None),  # of another kind
        (["EPSG:1"], None),  # none of EPSG's
        ([], None),
    ],
)
def test_the_only_name_of_a_file(tmp_path: Path, names: list[str], system: tuple[str, bool] | None) -> None:
    inside = "".join(f'<gml:Polygon srsName="{name}"/>' for name in names)
    assert inner_system(written(tmp_path, inside)) == system


def test_a_name_that_two_blocks_share_is_found(tmp_path: Path) -> None:
    """The block ends within the number of the second name."""
    filler = "x" * (SEARCHED_BYTES - len(HEAD) - len('<b srsName="EPSG:42') - 0)
    source = written(tmp_path, filler + '<b srsName="EPSG:4258"/>')
    assert inner_system(source) == ("EPSG:4258", False)
