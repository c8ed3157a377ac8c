"""A CSV is read in parts, and what it says as a whole does not depend on where they end: which rows are rejected and
why, its decimal mark, its encoding, its coordinate system, its quotes."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import shapely

from cropmap.errors import DeclarationFileError
from cropmap.sources.declarations.inspection import inspect_file
from cropmap.sources.declarations.profiles import Profile
from cropmap.sources.declarations.reading import Declarations, read_declarations
from cropmap.sources.files.csv_files import find_dialect, read_csv
from cropmap.sources.files.outline_text import LOOKED_AT
from tests.data.make_sources_declarations import make_legend, square

LEGEND = make_legend("056", "1200")
ROW_BYTES = 200
ODD_CELLS = ("", "  ", "a\nb", 'a"b', '="0056"', "\x1b[0m", "x" * 600, "POLYGON ((1", "1,23E+11", "ß")
ODD_AREAS = ("1.234", "1,5", "1 234,5", "n/a", "")


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three rows a part, and about one a block."""
    monkeypatch.setattr("cropmap.sources.files.vector_formats.PART_ROWS", 3)
    monkeypatch.setattr("cropmap.sources.files.csv_files.BLOCK_BYTES", (ROW_BYTES, 1 << 26))


def written(folder: Path, rows: list[str], header: str = "id;code;area;wkt", *, encoding: str = "utf-8") -> Path:
    path = folder / "d.csv"
    path.write_bytes("".join(f"{line}\n" for line in [header, *rows]).encode(encoding))
    return path


def row(n: int, *, code: str = "056", area: str = "1.0", outline: str | None = None) -> str:
    return f'P{n};{code};{area};"{outline or square(n).wkt}"'


def read(path: Path, *, crs: str | None = "EPSG:3035", encoding: str | None = None) -> Declarations:
    columns = {"parcel_id": "id", "crop_code": "code", "area": "area"}
    return read_declarations(path, legend=LEGEND, profile=Profile(columns=columns, crs=crs, encoding=encoding))


def rejected(path: Path) -> dict[int, str]:
    return dict(read(path).rejected[["row_number", "detail"]].to_numpy().tolist())


def test_no_part_is_larger_than_asked_for(tmp_path: Path) -> None:
    path = str(written(tmp_path, [row(n) for n in range(10)]))
    parts = read_csv(path, find_dialect(path), ["id"], named_encoding=None, limit=None, part_rows=4)
    assert [part.table["id"].to_pylist() for part in parts] == [
        ["P0", "P1", "P2", "P3"],
        ["P4", "P5", "P6", "P7"],
        ["P8", "P9"],
    ]


def test_the_first_rows_alone_may_be_asked_for(tmp_path: Path) -> None:
    path = str(written(tmp_path, ["short", *(row(n) for n in range(10))]))
    parts = list(read_csv(path, find_dialect(path), ["id"], named_encoding=None, limit=6, part_rows=4))
    assert [len(part.shapes) for part in parts] == [5, 1]
    assert [part.ragged for part in parts] == [{0: "1 fields instead of 4"}, {}]


def test_a_file_without_rows_is_one_empty_part(tmp_path: Path) -> None:
    path = str(written(tmp_path, []))
    (part,) = read_csv(path, find_dialect(path), ["id"], named_encoding=None, limit=None, part_rows=4)
    assert part.table.column_names == ["id", "wkt"]
    assert part.table.num_rows == len(part.shapes) == 0


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("short", [[0], [2, 3], [0, 1, 2, 3], [4, 9], [6, 7, 8, 9], [0, 3, 6, 9]])
def test_a_ragged_row_keeps_its_number_wherever_a_part_ends(tmp_path: Path, short: list[int]) -> None:
    path = written(tmp_path, ["short" if n in short else row(n) for n in range(10)])
    assert rejected(path) == {n + 1: "1 fields instead of 4" for n in short}


@pytest.mark.usefixtures("small_parts")
def test_most_rows_of_the_file_are_ragged_and_not_most_of_a_part(tmp_path: Path) -> None:
    good, bad = [row(n) for n in range(6)], ["short"] * 6
    assert len(rejected(written(tmp_path, [*bad, *good]))) == 6, "half of them, the first parts wholly"
    with pytest.raises(DeclarationFileError, match="Expected 4 columns, got 1"):
        read(written(tmp_path, [*good, *bad, "short"]))


@pytest.mark.usefixtures("small_parts")
def test_a_byte_of_another_encoding_far_below_the_header(tmp_path: Path) -> None:
    rows = [row(n) for n in range(LOOKED_AT + 50)]
    rows[-1] = row(len(rows), code="Dinkel für Öl")
    path = written(tmp_path, rows, encoding="latin-1")
    with pytest.raises(DeclarationFileError, match=r"invalid UTF8 data.*or say its encoding"):
        read(path)
    assert read(path, encoding="latin-1").row_count == len(rows)
    assert "encoding: CP1252" in inspect_file(path, legends=[LEGEND], crs="EPSG:3035").proposal


@pytest.mark.usefixtures("small_parts")
def test_the_decimal_mark_is_that_of_all_rows(tmp_path: Path) -> None:
    """What `1,000` is says the drawn hectare, unless the last row says that the file writes thousands so."""
    rows = [row(n, area="1,000") for n in range(9)]
    assert set(read(written(tmp_path, rows)).claims["declared_area_ha"]) == {1.0}
    with_thousands = read(written(tmp_path, [*rows, row(9, area="1,000.5")]))
    assert set(with_thousands.rejected["detail"]) == {
        "declared 1000.00 ha, drawn 1.00 ha",
        "declared 1000.50 ha, drawn 1.00 ha",
    }


@pytest.mark.usefixtures("small_parts")
def test_a_system_that_the_last_row_states(tmp_path: Path) -> None:
    rows = [row(n) for n in range(9)]
    last = row(9, outline=f"SRID=3035;{square(9).wkt}")
    assert read(written(tmp_path, [*rows, last]), crs=None).row_count == 10
    others = [row(n, outline=f"SRID={srid};{square(n).wkt}") for n, srid in ((10, 4326), (11, 25832))]
    with pytest.raises(DeclarationFileError, match=r"several coordinate systems \(3035, 4326, 25832\)"):
        read(written(tmp_path, [others[0], *rows, others[1], last]))


@pytest.mark.usefixtures("small_parts")
def test_an_open_quotation_mark_in_a_later_part_is_named_by_its_row(tmp_path: Path) -> None:
    rows = [row(n) for n in range(10)]
    rows[7] = rows[7].removesuffix('"')
    with pytest.raises(DeclarationFileError, match="a quotation mark in row 8 is not closed"):
        read(written(tmp_path, rows))


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize("position", [0, 4, 9])
def test_a_row_that_is_longer_than_a_block(tmp_path: Path, position: int) -> None:
    rows = [row(n) for n in range(10)]
    detailed = shapely.segmentize(square(position), 1.0)
    rows[position] = row(position, outline=detailed.wkt)
    assert len(rows[position]) > 10 * ROW_BYTES
    found = read(written(tmp_path, rows))
    assert list(found.claims["parcel_id"]) == [f"P{n}" for n in range(10)]


def any_csv(chance: random.Random) -> tuple[bytes, str | None]:
    """A file with whatever goes wrong in one, and its encoding where that is named."""
    delimiter, end = chance.choice(";,\t|"), chance.choice(["\n", "\r\n", "\r"])
    odd, short, quoted = chance.choice([0, 0.05, 0.3]), chance.choice([0, 0, 0.2, 0.5]), chance.random() < 0.3

    def cell(text: str) -> str:
        special = quoted or any(sign in text for sign in (delimiter, '"', "\n", "\r"))
        return '"' + text.replace('"', '""') + '"' if special else text

    lines = [delimiter.join(["id", "code", "area", "wkt"])]
    for n in range(chance.randrange(30)):
        other = chance.randrange(n + 1) if chance.random() < 0.1 else n  # an identifier or an outline again
        area = chance.choice(ODD_AREAS) if chance.random() < 0.1 else "1.0000"
        outline = square(chance.choice([n, n, n, other])).wkt
        cells = [f"P{other}", chance.choice(["056", "1200", "x"]), area, outline]
        if chance.random() < odd:
            cells[chance.randrange(4)] = chance.choice(ODD_CELLS)
        if chance.random() < odd / 4:
            cells[3] = f"SRID={chance.choice([3035, 25832])};{cells[3]}"
        fields = [cell(text) for text in cells]
        if chance.random() < short:
            fields = fields[: chance.randrange(1, 4)] if chance.random() < 0.5 else [*fields, "more"]
        line = delimiter.join(fields)
        lines.append(line.replace('"', "", 1) if chance.random() < odd / 10 else line)
        lines += [""] * (chance.random() < odd / 3)
    encoding = chance.choice(["utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1"])
    named = encoding if encoding == "latin-1" and chance.random() < 0.5 else None
    data = end.join([*lines, ""][: len(lines) + chance.randrange(2)]).encode(encoding)
    return (data[: chance.randrange(len(data))] if chance.random() < 0.1 else data), named


def told(path: Path, encoding: str | None) -> list[Any]:
    """Everything that is said of a file."""
    answers: list[Any] = []
    try:
        found = read(path, encoding=encoding)
        frames = (found.claims, found.rejected, found.merged_parts, found.notices, found.repeated)
        answers += [(frame.index.tolist(), frame.to_dict("list")) for frame in frames]
        answers += [list(found.outlines.wkb()), found.row_count, found.codes, found.notes]
    except DeclarationFileError as error:
        answers.append(str(error))
    try:
        answers.append(inspect_file(path, legends=[LEGEND], crs="EPSG:3035", encoding=encoding))
    except DeclarationFileError as error:
        answers.append(str(error))
    return answers


@pytest.mark.parametrize("seed", range(24))
def test_where_parts_end_changes_nothing(tmp_path: Path, request: pytest.FixtureRequest, seed: int) -> None:
    data, encoding = any_csv(random.Random(seed))  # noqa: S311
    path = tmp_path / "d.csv"
    path.write_bytes(data)
    as_one = told(path, encoding)
    request.getfixturevalue("small_parts")
    assert repr(told(path, encoding)) == repr(as_one)
