"""Tables as spreadsheets save them: separators, code pages, lines, and what is no table."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import openpyxl
import pytest

from cropmap.errors import ConfigurationError
from cropmap.legends import Legend
from cropmap.legends.code_lists import read_code_list
from cropmap.sheets import read_sheet
from cropmap.sources.pairs import read_pairs

LEGEND = "crop_code,crop_name,crop,eurostat_code,inseparable_group\n007,Été,wheat,C1110,\n012,Herbe,,,\n"
NAMES = [
    ("cp1252", ["été à côté", "forêt", "maïs « ensilage »"]),
    ("cp1252", ["Mähwiese größer", "Äcker"]),
    ("cp1252", ["Maïs", "Orge d'été", "Prüfer: Fläche gemäht", "Müller: Grünland bestätigt"]),
    ("cp1252", ["prairie à brome", "Maïs fourrage", "Müller: Flächen geprüft"]),
    ("cp1252", ["perché è così", "Mähwiese", "Fläche größer"]),
    ("cp1252", ["reeën", "Céréales d'été", "ingezaaid vóór mei"]),
    ("cp1252", ["økologisk vårbyg", "ærter"]),
    ("cp1252", ["caña española", "maíz", "cañamón"]),
    ("cp1250", ["Pšenice ozimá", "Ječmen jarní", "Řepka"]),
    ("cp1250", ["Jęczmień jary", "Żyto", "Łąka"]),
    ("cp1250", ["Őszi búza", "Gyümölcsös", "Szőlő", "fű"]),
    ("cp1250", ["ječmen", "kuruza, žito", "trešnja, šljiva"]),
    ("cp1257", ["Žieminiai kviečiai", "Daugiametės žolės"]),
    ("cp1257", ["Ilggadīgie zālāji", "Kukurūza", "kvieši, mieži"]),
    ("cp1253", ["Σιτάρι μαλακό", "Αραβόσιτος"]),
    ("cp1253", ["Σιτάρι μαλακό (Triticum)", "C1 Αραβόσιτος", "Α1 αγρός"]),
    ("cp1251", ["Пшеница мека", "Царевица за силаж"]),
]


@pytest.mark.parametrize(("page", "names"), NAMES)
def test_code_pages_are_told_apart_by_their_letters(tmp_path: Path, page: str, names: list[str]) -> None:
    lines = ["parcel_id;name", *(f"00{number};{name}" for number, name in enumerate(names))]
    (tmp_path / "t.csv").write_bytes("\r\n".join(lines).encode(page))
    sheet = read_sheet(tmp_path / "t.csv")
    assert sheet.encoding == page
    assert [cells for _, cells in sheet.rows] == [(f"00{number}", name) for number, name in enumerate(names)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_legend_whatever_the_spreadsheet_made_of_it(tmp_path: Path, encoding: str, delimiter: str) -> None:
    (tmp_path / "legend.csv").write_bytes(LEGEND.replace(",", delimiter).replace("\n", "\r\n").encode(encoding))
    legend = Legend.read("legend.csv", base=tmp_path)
    assert [(e.crop_code, e.crop_name, e.crop) for e in legend.entries] == [
        ("007", "Été", "wheat"),
        ("012", "Herbe", None),
    ]


def test_a_legend_as_a_workbook(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in LEGEND.splitlines():
        book.active.append(row.split(","))
    book.save(tmp_path / "legend.xlsx")
    assert Legend.read("legend.xlsx", base=tmp_path).by_code.keys() == {"007", "012"}


def test_lines_are_those_of_the_spreadsheet(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('sep=;\nid; Name \n1;"two\nlines"\n;;\n\n3;short\n4\n')
    sheet = read_sheet(tmp_path / "t.csv")
    assert sheet.header == ("id", "Name")
    assert [(line, cells[0]) for line, cells in sheet.rows] == [(4, "1"), (7, "3"), (8, "4")]
    assert sheet.rows[-1][1] == ("4", "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "missing columns crop_code"),
        ("crop_code,crop_name,crop\n1,a,b\n", "missing columns eurostat_code, inseparable_group"),
        (LEGEND + "007,again,rye,,\n", r"line 4: crop_code '007' is twice in the table"),
        (LEGEND + ",nameless,rye,,\n", r"line 4: crop_code '' is empty"),
        (LEGEND + "1,a,b,c,d,e,f\n", "line 4 has 7 cells, the header 5"),
        (LEGEND.splitlines()[0] + "\n", "lists no code"),
        (LEGEND + "1,\x00,b,,\n", "is no text file"),
        (LEGEND.replace("crop_name", "crop_code"), "has column 'crop_code' more than once"),
    ],
)
def test_a_legend_that_is_none_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "legend.csv").write_text(text)
    with pytest.raises(ConfigurationError, match=said) as caught:
        Legend.read("legend.csv", base=tmp_path)
    assert "\n" not in str(caught.value)


def test_a_short_row_has_empty_cells(tmp_path: Path) -> None:
    (tmp_path / "legend.csv").write_text(LEGEND + "099\n")
    assert Legend.read("legend.csv", base=tmp_path).by_code["099"].crop is None


def test_the_hash_of_a_table_is_that_of_its_text(tmp_path: Path) -> None:
    for name, ending in (("unix.csv", "\n"), ("windows.csv", "\r\n")):
        (tmp_path / name).write_bytes(LEGEND.replace("\n", ending).encode("utf-8-sig"))
    assert Legend.read("unix.csv", base=tmp_path).hash == Legend.read("windows.csv", base=tmp_path).hash


def test_folds_and_code_lists_take_the_same(tmp_path: Path) -> None:
    (tmp_path / "folds.csv").write_bytes("Parcel_ID;fold\n007;à l\u2019ouest\n".encode("cp1252"))
    assert read_pairs(tmp_path / "folds.csv", value="fold", where="x") == {"007": "à l\u2019ouest"}
    (tmp_path / "codes.csv").write_bytes("original_code;original_name;HCAT3_code\n1;Blé;3301010101\n".encode("cp1252"))
    assert read_code_list(tmp_path / "codes.csv").entries[0].name == "Blé"


@pytest.mark.slow
def test_the_code_page_is_told_from_the_lines_beyond_ascii(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(
        b"crop_code,crop_name\n" + b"1,maize\n" * 50_000 + "2,řepka ozimá\n3,pšenice\n4,ječmen\n".encode("cp1250")
    )
    found = read_sheet(path)
    assert (found.encoding, found.rows[-2][1]) == ("cp1250", ("3", "pšenice"))


HEADER = ["crop_code", "crop_name", "crop", "eurostat_code", "inseparable_group"]


def legend_of(folder: Path, *rows: Sequence[object], fill: Callable[[openpyxl.Workbook], None] | None = None) -> Legend:
    book = openpyxl.Workbook()
    for row in (HEADER, *rows):
        book.active.append(row)
    if fill:
        fill(book)
    book.save(folder / "legend.xlsx")
    return Legend.read("legend.xlsx", base=folder)


def classes(legend: Legend) -> list[tuple[str, str | None]]:
    return [(entry.crop_code, entry.crop) for entry in legend.entries]


def test_a_formula_without_its_result_is_no_empty_cell(tmp_path: Path) -> None:
    """A program that writes workbooks stores none; the class would be empty, and its parcels not assessable."""
    with pytest.raises(ConfigurationError, match=r"in row 2, column 3 is stored without its result. Open it"):
        legend_of(tmp_path, ["001", "Wheat", '="wheat"', "", ""])


def test_an_empty_text_is_the_result_of_a_formula(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["parcel_id", "finding"])
    book.active.append(["P1", '=IF(TRUE,"","")'])
    book.save(tmp_path / "drawn.xlsx")
    with zipfile.ZipFile(tmp_path / "drawn.xlsx") as drawn, zipfile.ZipFile(tmp_path / "saved.xlsx", "w") as saved:
        for name in drawn.namelist():
            saved.writestr(name, drawn.read(name).replace(b'<c r="B2">', b'<c r="B2" t="str">'))
    assert read_sheet(tmp_path / "saved.xlsx").rows == ((2, ("P1", "")),)


def test_merged_cells_are_refused(tmp_path: Path) -> None:
    rows = [["001", "Wheat", "cereals", "", ""], ["002", "Barley", "", "", ""]]
    with pytest.raises(ConfigurationError, match=r"cells C2:C3 are merged. Part them, and fill in each"):
        legend_of(tmp_path, *rows, fill=lambda book: book.active.merge_cells("C2:C3"))


def test_a_hidden_sheet_is_not_read_where_another_can_be_seen(tmp_path: Path) -> None:
    def hide(book: openpyxl.Workbook) -> None:
        seen = book.create_sheet("2024")
        for row in (HEADER, ["001", "Wheat", "wheat", "", ""]):
            seen.append(row)
        book.worksheets[0].sheet_state, book.active = "hidden", 1

    assert classes(legend_of(tmp_path, ["001", "Wheat", "of last year", "", ""], fill=hide)) == [("001", "wheat")]


@pytest.mark.parametrize("error", ["#N/A", "#NV", "#REF!", "#DIV/0!", "#NOMBRE?", "#WERT!", "#VALUE!"])
def test_errors_of_a_spreadsheet_are_no_classes(tmp_path: Path, error: str) -> None:
    (tmp_path / "legend.csv").write_text(f"{','.join(HEADER)}\n001,Wheat,{error},,\n")
    with pytest.raises(ConfigurationError, match=f"line 2: crop is {re.escape(error)}, a spreadsheet's error"):
        Legend.read("legend.csv", base=tmp_path)
    (tmp_path / "folds.csv").write_text(f"parcel_id;fold\nP1;{error}\n")
    with pytest.raises(ConfigurationError, match=r"a spreadsheet's error .row 2."):
        read_pairs(tmp_path / "folds.csv", value="fold", where="model.folds.file")


@pytest.mark.parametrize("filler", ["n/a", "NULL", "-", "nan", "None"])
def test_words_for_nothing_are_no_classes(tmp_path: Path, filler: str) -> None:
    with pytest.raises(ConfigurationError, match=r"which stands for nothing. Leave the cell empty"):
        legend_of(tmp_path, ["001", "Fallow", filler, "", ""])


def test_classes_that_differ_in_capitals_are_one_that_was_mistyped(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="line 3: the classes 'wheat' and 'Wheat' differ in capital letters"):
        legend_of(tmp_path, ["001", "Wheat", "wheat", "", ""], ["002", "Spelt", "Wheat", "", ""])
    assert classes(legend_of(tmp_path, ["001", "Maize", "grain\nmaize", "", ""])) == [("001", "grain maize")]


@pytest.mark.parametrize(
    ("value", "layout", "shown"),
    [
        (7, "000", "007"),
        (9, '"C"000', "C009"),
        (1234, "00-00", "12-34"),
        (12345, "00-00", "123-45"),
        (3, "General", "3"),
        (5, "@", "5"),
        (7, "0.00", "7"),
        (12, "\\A00", "A12"),
        (1.5, "000", "1.5"),
        (7, "0", "7"),
        (-7, "000", "-7"),
    ],
)
def test_codes_as_a_number_format_shows_them(tmp_path: Path, value: float, layout: str, shown: str) -> None:
    def format_it(book: openpyxl.Workbook) -> None:
        book.active["A2"].number_format = layout

    legend = legend_of(tmp_path, [value, "Wheat", "wheat", "", ""], fill=format_it)
    assert classes(legend) == [(shown, "wheat")]


def rewritten(folder: Path, change: Callable[[bytes], bytes]) -> Path:
    """A small workbook whose sheet is changed in its XML."""
    book = openpyxl.Workbook()
    for row in (["parcel_id", "finding"], ["P1", "right"]):
        book.active.append(row)
    book.save(folder / "plain.xlsx")
    with zipfile.ZipFile(folder / "plain.xlsx") as plain, zipfile.ZipFile(folder / "t.xlsx", "w") as changed:
        for name in plain.namelist():
            content = plain.read(name)
            changed.writestr(name, change(content) if name.endswith("sheet1.xml") else content)
    return folder / "t.xlsx"


def test_a_row_that_says_it_is_the_900_millionth_is_refused_at_once(tmp_path: Path) -> None:
    far = rewritten(tmp_path, lambda sheet: sheet.replace(b'<row r="2">', b'<row r="900000000">'))
    with pytest.raises(ConfigurationError, match="a cell in row 900000000, column 2 is filled"):
        read_sheet(far)
    wide = rewritten(tmp_path, lambda sheet: sheet.replace(b'r="B2"', b'r="XFD2"'))
    with pytest.raises(ConfigurationError, match="a cell in row 2, column 16384 is filled"):
        read_sheet(wide)


def test_a_workbook_of_more_cells_than_people_keep(tmp_path: Path) -> None:
    """A small file: one cell at the far right of each row makes a thousand of it."""
    rows = b"".join(b'<row r="%d"><c r="ALL%d"><v>1</v></c></row>' % (row, row) for row in range(3, 10_100))
    path = rewritten(tmp_path, lambda sheet: sheet.replace(b"</sheetData>", rows + b"</sheetData>"))
    with pytest.raises(ConfigurationError, match=r"row \d+: holds more than 10,000,000 cells"):
        read_sheet(path)


@pytest.mark.slow
def test_cells_that_only_have_a_format_cost_nothing(tmp_path: Path) -> None:
    """Whole rows that somebody coloured: no time is asserted, it ended after minutes and gigabytes before."""
    rows = b"".join(b'<row r="%d"><c r="XFD%d" s="0"/></row>' % (row, row) for row in (*range(3, 20_000), 1_048_576))
    path = rewritten(tmp_path, lambda sheet: sheet.replace(b"</sheetData>", rows + b"</sheetData>"))
    assert read_sheet(path).rows == ((2, ("P1", "right")),)


@pytest.mark.parametrize("text", ["&a;", "&b;"])
def test_entities_of_a_workbook_are_not_followed(tmp_path: Path, text: str) -> None:
    (tmp_path / "canary").write_text("CANARY")
    said = f'<!DOCTYPE x [<!ENTITY a SYSTEM "file://{tmp_path}/canary"><!ENTITY c "{"x" * 1000}">'
    said += f'<!ENTITY d "{"&c;" * 1000}"><!ENTITY b "{"&d;" * 1000}">]>'
    path = rewritten(
        tmp_path,
        lambda sheet: sheet.replace(b"<worksheet", said.encode() + b"<worksheet", 1).replace(b"right", text.encode()),
    )
    with pytest.raises(ConfigurationError, match="cannot be read as XLSX") as caught:
        read_sheet(path)
    assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize("rows", ['P1,"right\nP2,wrong\n', 'P1,right\nP2,"wrong', 'P1,"right\n\n'])
def test_a_quotation_mark_that_is_not_closed_swallows_nothing(tmp_path: Path, rows: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(f"parcel_id,finding\n{rows}")
    line = 1 + rows.count("\n", 0, rows.index('"')) + 1
    with pytest.raises(ConfigurationError, match=rf"table\.csv, line {line}: a quotation mark is not closed"):
        read_sheet(path)


@pytest.mark.parametrize("end", ["", "\n", "\n\n"])
def test_quotes_that_are_closed_at_the_end(tmp_path: Path, end: str) -> None:
    (tmp_path / "table.csv").write_text(f'parcel_id,finding\nP1,"a ""b"" c"{end}')
    assert read_sheet(tmp_path / "table.csv").rows == ((2, ("P1", 'a "b" c')),)


def test_text_formulas_keep_their_zeros(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text('parcel_id,finding\n="007","=""right"""\n')
    assert read_sheet(tmp_path / "table.csv").rows == ((2, ("007", "right")),)
