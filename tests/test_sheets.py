"""Tables as spreadsheets save them: separators, code pages, lines, and what is no table."""

from __future__ import annotations

import zipfile
from pathlib import Path

import openpyxl
import pytest

from cropmap.errors import ConfigurationError
from cropmap.legends import Legend
from cropmap.legends.code_lists import read_code_list
from cropmap.sheets import read_sheet
from cropmap.stages.pairs import read_pairs

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
        ("007", "Été", "wheat"), ("012", "Herbe", None)
    ]  # fmt: skip


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


@pytest.mark.parametrize(
    "rows", [b'<row r="%d"><c r="XFD%d"><v>1</v></c></row>', b'<row r="1048577"><c><v>%d%d</v></c></row>']
)
def test_a_workbook_of_more_cells_than_people_keep(tmp_path: Path, rows: bytes) -> None:
    """Small files: one cell in the last column of each row, or one row far below."""
    book, path = openpyxl.Workbook(), tmp_path / "t.xlsx"
    book.active.append(["crop_code", "crop"])
    book.save(path)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    sheet = b"".join(rows % (number, number) for number in range(1, 700))
    start = b'<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
    parts["xl/worksheets/sheet1.xml"] = start + sheet + b"</sheetData></worksheet>"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    with pytest.raises(
        ConfigurationError, match=r"t\.xlsx, line \d+: holds more than 10,000,000 cells or 1,048,576 rows"
    ):
        read_sheet(path)


def test_the_code_page_is_told_from_the_lines_beyond_ascii(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(
        b"crop_code,crop_name\n" + b"1,maize\n" * 50_000 + "2,řepka ozimá\n3,pšenice\n4,ječmen\n".encode("cp1250")
    )
    found = read_sheet(path)
    assert (found.encoding, found.rows[-2][1]) == ("cp1250", ("3", "pšenice"))
