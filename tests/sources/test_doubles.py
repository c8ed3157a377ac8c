"""Several crops on one outline: how much is declared twice, and which column tells the rows apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import shapely

from cropmap.sources.declarations.doubles import Doubles, Separator, find_doubles, find_separator
from cropmap.sources.declarations.profiles import Profile
from cropmap.sources.declarations.reading import read_declarations
from tests.data.make_sources_declarations import make_frame, make_legend, square

PROFILE = Profile(columns={"parcel_id": "id", "crop_code": "code"})


def look(folder: Path, rows: list[tuple[Any, ...]], *names: str) -> tuple[Doubles, Separator | None]:
    path = folder / "d.gpkg"
    make_frame(rows, *names).to_file(path)
    found = read_declarations(path, legend=make_legend("1", "2", "9"), profile=PROFILE)
    doubles = find_doubles(found)
    return doubles, find_separator(doubles, path, PROFILE)


def a_centimetre(shape: shapely.Polygon) -> shapely.Polygon:
    return shapely.affinity.translate(shape, 0.01, 0)


def test_catch_crops_on_the_outline_of_the_main_crop(tmp_path: Path) -> None:
    main = [(f"P{i}", "12"[i % 2], "M", "x", square(i)) for i in range(8)]
    catch = [(f"C{i}", "9", "Z", "x", square(i)) for i in range(4)]
    doubles, separator = look(tmp_path, [*catch, *main], "id", "code", "kind", "office")
    assert (doubles.other_crops, doubles.overlapping) == (4, 0)
    assert doubles.area_ha == pytest.approx(4.0, abs=0.01)
    assert doubles.share == pytest.approx(4 / 12, abs=0.001)
    assert doubles.notices[["row_number", "notice", "detail"]].to_numpy().tolist()[0] == [
        1,
        "SEVERAL_CROPS",
        "row 5 declares 1 on the same land and is not used",
    ]
    assert separator is not None
    assert separator.key == "exclude: {kind: [Z]}", "Z never stands alone, M does"
    assert (separator.rows, separator.certain) == (4, True)


def test_a_centimetre_makes_it_an_overlap(tmp_path: Path) -> None:
    rows = [(f"P{i}", "1", 1, square(i)) for i in range(5)] + [
        (f"P{i}-b", "2", 2, a_centimetre(square(i))) for i in range(5)
    ]
    doubles, separator = look(tmp_path, rows, "id", "code", "sequence")
    assert (doubles.other_crops, doubles.overlapping) == (0, 10)
    assert doubles.share == pytest.approx(0.5, abs=0.001)
    assert set(doubles.notices["notice"]) == {"OVERLAP"}
    assert separator is not None
    assert separator.key == "exclude: {sequence: ['2']}"


def test_two_crops_under_one_identifier(tmp_path: Path) -> None:
    rows = [
        (f"P{i}", code, use, square(i))
        for i in range(4)
        for code, use in (("1", "Hauptfrucht"), ("9", "Zwischenfrucht"))
    ]
    doubles, separator = look(tmp_path, rows, "id", "code", "use")
    assert doubles.other_crops == 4
    assert separator is not None
    assert separator.key == "exclude: {use: [Zwischenfrucht]}"


def test_several_values_beside_one_main_value(tmp_path: Path) -> None:
    kinds = ["mustard", "clover", "oats*"]
    rows = [(f"P{i}", "1", "main", square(i)) for i in range(6)]
    rows += [(f"C{i}", "9", kinds[i % 3], a_centimetre(square(i))) for i in range(6)]
    rows += [(f"S{i}", "2", "main", square(20 + i)) for i in range(6)]
    _, separator = look(tmp_path, rows, "id", "code", "use")
    assert separator is not None
    assert separator.values == ("clover", "mustard", "oats*")
    assert "oats[*]" in separator.key, "a star is a letter here"


def test_what_tells_nothing_apart_is_not_proposed(tmp_path: Path) -> None:
    rows = [(f"P{i}", "1", "k", square(i)) for i in range(5)] + [
        (f"Q{i}", "1", "k", a_centimetre(square(i))) for i in range(5)
    ]
    doubles, separator = look(tmp_path, rows, "id", "code", "kind")
    assert doubles.overlapping == 10
    assert separator is None


def test_where_nothing_says_which_side_is_meant_it_says_so(tmp_path: Path) -> None:
    rows = [(f"P{i}", "1", "A", square(i)) for i in range(5)] + [
        (f"Q{i}", "2", "B", a_centimetre(square(i))) for i in range(5)
    ]
    _, separator = look(tmp_path, rows, "id", "code", "kind")
    assert separator is not None
    assert not separator.certain


def test_the_same_row_again_is_no_other_crop(tmp_path: Path) -> None:
    doubles, separator = look(tmp_path, [("P1", "1", square(0)), ("P1", "1", square(0))], "id", "code")
    assert not doubles
    assert separator is None
