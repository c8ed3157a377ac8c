"""How a CSV is written: its encoding, its delimiter, the column of outlines, and rows that do not fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from cropmap.errors import DeclarationFileError
from cropmap.sources.files.csv_files import CsvRows, Dialect, count_rows, find_dialect, read_csv

WKT = "POLYGON ((0 0, 1 0, 1 1, 0 0))"


def written(folder: Path, text: str | bytes) -> str:
    path = folder / "x.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return str(path)


def dialect(folder: Path, text: str | bytes) -> Dialect:
    return find_dialect(written(folder, text))


@pytest.mark.parametrize(
    ("header", "delimiter"),
    [
        ("id;code;wkt", ";"),
        ("id,code,wkt", ","),
        ("id\tcode\twkt", "\t"),
        ("id|code|wkt", "|"),
        ("a,b;c;d", ";"),  # what stands there most often
        ("id", ";"),  # a single column has none: the first of them
    ],
)
def test_the_delimiter_is_what_the_header_has_most_of(tmp_path: Path, header: str, delimiter: str) -> None:
    assert dialect(tmp_path, f"{header}\n").delimiter == delimiter


@pytest.mark.parametrize(
    ("above", "delimiter", "skipped"),
    [("sep=|\n", "|", 1), ('"SEP=,"\r\n', ",", 1), ("\n  \nsep=;\n\n", ";", 4), ("", ",", 0)],
)
def test_lines_above_the_header(tmp_path: Path, above: str, delimiter: str, skipped: int) -> None:
    found = dialect(tmp_path, f"{above}a,b,c\n1,2,3\n")
    assert (found.delimiter, found.skipped) == (delimiter, skipped)


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (b"id,wkt\n", "utf-8-sig"),
        (b"\xef\xbb\xbfid,wkt\n", "utf-8-sig"),
        ("id,wkt\n".encode("utf-16"), "utf-16"),  # with a mark
        ("id,wkt\n".encode("utf-16-le"), "utf-16-le"),  # without: every other byte is a zero
        ("id,wkt\n".encode("utf-16-be"), "utf-16-be"),
        ("id,wkt\n".encode("utf-32"), "utf-32"),  # its mark begins as that of UTF-16 does
    ],
)
def test_an_encoding_that_the_bytes_show(tmp_path: Path, data: bytes, encoding: str) -> None:
    found = dialect(tmp_path, data)
    assert found.encoding == encoding
    assert found.columns == ("id", "wkt")


def test_a_person_knows_the_encoding_unless_a_mark_says_otherwise(tmp_path: Path) -> None:
    plain = written(tmp_path, "id,é\n".encode("latin-1"))
    assert find_dialect(plain, encoding="latin-1").columns == ("id", "é")
    with pytest.raises(DeclarationFileError, match="cannot be read as CSV"):
        find_dialect(plain)
    marked = written(tmp_path, b"\xef\xbb\xbfid\n")
    assert find_dialect(marked, encoding="latin-1").encoding == "utf-8-sig"


@pytest.mark.parametrize(
    ("text", "outline"),
    [
        ("id,geom,WKT\n", "WKT"),  # the likeliest name, whatever its case
        ("id,the_geom,geometry\n", "geometry"),
        ("id,GeoJSON \n", "GeoJSON "),
        (f'id,x\n1,"{WKT}"\n', "x"),  # by its values
        (f'id,x\n1,"{WKT}"\n2,wheat\n', None),
        ("id,x\n1,2\n", None),
    ],
)
def test_the_column_of_outlines(tmp_path: Path, text: str, outline: str | None) -> None:
    assert dialect(tmp_path, text).outline == outline


@pytest.mark.parametrize(
    ("text", "columns", "named"),
    [
        ("a,b\n1,2,\n3,4,\n", ("a", "b", ""), False),  # the rows end in a delimiter, the header does not
        ("a,b,\n1,2\n3,4\n", ("a", "b"), False),  # the other way round
        ("a,b,\n1,2,\n", ("a", "b", ""), True),
        ("a,b\n1,2,\n3,4\n", ("a", "b"), True),  # half of the rows is not most of them
        ("a,b\n1,2,\n1,2,\n3,4\n", ("a", "b", ""), False),
        ("a,b\n1,2,x\n", ("a", "b"), True),  # a value, and no end of a row
    ],
)
def test_a_delimiter_too_many(tmp_path: Path, text: str, columns: tuple[str, ...], named: bool) -> None:
    found = dialect(tmp_path, text)
    assert (found.columns, found.named) == (columns, named)


@pytest.mark.parametrize(
    ("text", "rows"),
    [("a\n1\n2\n", 2), ("a\r\n1\r\n2\r\n", 2), ("a\r1\r2\r", 2), ("sep=,\na\n1\n", 1), ("a\n", 0), ("", 0)],
)
def test_rows_are_counted_by_their_line_ends(tmp_path: Path, text: str, rows: int) -> None:
    source = written(tmp_path, text)
    assert count_rows(source, find_dialect(source)) == rows


def rows(folder: Path, text: str, *, limit: int | None = None) -> CsvRows:
    source = written(folder, text)
    (part,) = read_csv(source, find_dialect(source), ["id"], named_encoding=None, limit=limit, part_rows=100)
    return part


def test_a_ragged_row_is_empty_in_its_place(tmp_path: Path) -> None:
    text = f'id;wkt\n1;"{WKT}"\n2;"{WKT}";more\n3;"{WKT}"\n4\n5;"{WKT}"\n'
    found = rows(tmp_path, text)
    assert found.table["id"].to_pylist() == ["1", None, "3", None, "5"]
    assert found.present.tolist() == [True, False, True, False, True]
    assert found.ragged == {1: "3 fields instead of 2", 3: "1 fields instead of 2"}
    assert rows(tmp_path, text, limit=3).ragged == {1: "3 fields instead of 2"}


def test_where_most_rows_are_ragged_the_file_is_refused(tmp_path: Path) -> None:
    good, bad = f'1;"{WKT}"\n', f'1;"{WKT}";more\n'
    assert rows(tmp_path, "id;wkt\n" + good + bad).table.num_rows == 2, "half of them"
    with pytest.raises(DeclarationFileError, match="cannot be read as CSV"):
        rows(tmp_path, "id;wkt\n" + good + bad + bad)


def test_a_formula_that_keeps_zeros_and_a_blank_outline(tmp_path: Path) -> None:
    found = rows(tmp_path, f'id;wkt\n"=""0056""";"{WKT}"\n0057;"  "\n')
    assert found.table["id"].to_pylist() == ["0056", "0057"]
    assert found.present.tolist() == [True, False], "blanks are no outline"


def test_an_open_quotation_mark_is_named_by_its_row(tmp_path: Path) -> None:
    text = f'id;wkt\n1;"{WKT}"\n2;"{WKT}\n3;"{WKT}"\n'
    with pytest.raises(DeclarationFileError, match="a quotation mark in row 2 is not closed"):
        rows(tmp_path, text)
