"""Tables that people keep by hand: CSV as any spreadsheet writes it, and XLSX. In: a file. Out: a header, rows of text.

One reader for legends, code lists, folds, labels and findings. Comma, semicolon, tab or bar; UTF-8 with or without a
byte order mark, UTF-16, or what Windows calls ANSI, inferred from the letters. Cells stay text as written: codes keep
leading zeros, also those that a number format of XLSX shows. The meaning of a column is not used here.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

from cropmap.errors import ConfigurationError
from cropmap.printable import CONTROL

DELIMITERS: Final = (",", ";", "\t", "|")
ANSI: Final = {
    "cp1252": ("àâæçéèêëîïôœùûüÿ", "äöüß", "áéíñóúü", "àèéìíòóùú", "ãáàâçéêíóôõú", "éëïóöèê", "æøåé", "åäöéø", "õäöü"),
    "cp1250": ("áčďéěíňóřšťúůýž", "áäčďéíĺľňóôŕšťúýž", "ąćęłńóśźż", "áéíóöőúüű", "ăâîşţ", "čćđšž", "äöüß"),
    "cp1257": ("āčēģīķļņšūž", "ąčęėįšųūž", "äöõüšž"),
    "cp1253": ("αβγδεζηθικλμνξοπρσςτυφχψωάέήίόύώϊϋ",),
    "cp1251": ("абвгдежзийклмнопрстуфхцчшщъьюя",),
}
"""code page -> the letters beyond a to z of the languages of the CAP that are written in it"""
MARKS: Final = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
PUNCTUATION: Final = "«»„“”‘’–—…°²³€§·\xa0"
SEPARATOR_LINE: Final = re.compile(r"^\"?sep=(.)\"?\r?\n", re.IGNORECASE)
TEXT_FORMULA: Final = re.compile(r'^="([^"]*)"$')
END: Final = "\ufdd0"
"""stands in no text (a noncharacter of Unicode): a line below the last, which an open quotation mark swallows"""
XLSX: Final = b"PK\x03\x04"
OLD_EXCEL: Final = b"\xd0\xcf\x11\xe0"
MAX_BYTES: Final = 128 * 2**20
"""of a table that people keep, unpacked; more is a mistake or a trap"""
MAX_CELLS: Final = 10_000_000
"""of a table, those too that a workbook leaves out: one cell far to the right makes a long row"""
ANSI_SAMPLE: Final = 256 * 2**10
"""bytes of lines beyond ASCII from which the code page is inferred"""
WORD: Final = re.compile(r"(?:[a-z]|[^\x00-\x7f])+")
SHOWN_AS: Final = re.compile(r'(?:0|"[^"]*"|\\.|[-/ ()])+')
"""a number format of whole numbers that shows leading zeros, or signs between the digits"""
SHOWN_PART: Final = re.compile(r'0|"([^"]*)"|\\(.)|([-/ ()])')
ERROR: Final = re.compile(r"#[^\W\d_]+(?:/[^\W\d_]+|/0|[!?])?[!?]?")
"""what a spreadsheet shows in the place of a result, in any language: #N/A, #NV, #REF!, #DIV/0!, #NOMBRE?"""
MAX_ROWS: Final = 1_048_576
"""of a sheet, by the format"""
MAX_COLUMNS: Final = 1_000


@dataclass(frozen=True)
class Sheet:
    header: tuple[str, ...]
    """without blanks at the ends"""
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    """(line as the spreadsheet numbers it, cells without blanks at the ends), as many cells as columns; rows of empty
    cells are left out"""
    text: str
    """the decoded file; of XLSX its cells as CSV"""
    encoding: str

    def find(self, name: str) -> int | None:
        """Position of a column, whatever its case and blanks."""
        folded = [_folded(column) for column in self.header]
        return folded.index(_folded(name)) if _folded(name) in folded else None

    def columns(self, names: Iterable[str]) -> Iterator[tuple[int, dict[str, str]]]:
        """(line, name -> cell) of every row; empty where the sheet has no such column."""
        places = {name: self.find(name) for name in names}
        for line, cells in self.rows:
            yield line, {name: "" if place is None else cells[place] for name, place in places.items()}


def read_sheet(path: Path) -> Sheet:
    """An empty file has no columns. Raises ConfigurationError: unreadable, or a row longer than the header."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"cannot be read ({error.strerror})", where=str(path)) from error
    if len(data) > MAX_BYTES:
        raise ConfigurationError(
            "is too large for a table that people keep", where=str(path), mend="Is it the right file?"
        )
    if data.startswith(OLD_EXCEL):
        raise ConfigurationError("is an Excel file of before 2007", where=str(path), mend="Save it as XLSX or CSV")
    if data.startswith(XLSX):
        cells = _workbook(data, str(path))
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(row for _, row in cells)
        return _sheet(cells, text.getvalue(), "XLSX", str(path))
    text_, encoding = _decoded(data, str(path))
    return _sheet(_bounded(_lines(text_, str(path)), str(path)), text_, encoding, str(path))


def _bounded(lines: Iterable[tuple[int, Sequence[str]]], where: str) -> Iterator[tuple[int, Sequence[str]]]:
    """The lines, as long as they hold no more cells than a table that people keep."""
    cells = 0
    for number, row in lines:
        cells += len(row)
        if cells > MAX_CELLS:
            raise _too_many_cells(f"{where}, line {number}")
        yield number, row


def _too_many_cells(where: str) -> ConfigurationError:
    return ConfigurationError(f"holds more than {MAX_CELLS:,} cells", where=where, mend="Is it the right file?")


def _sheet(lines: Iterable[tuple[int, Sequence[str]]], text: str, encoding: str, where: str) -> Sheet:
    filled = [(number, cells) for number, row in lines if any(cells := [_bare(cell) for cell in row])]
    if not filled:
        return Sheet((), (), text, encoding)
    header = filled[0][1]
    while header and not header[-1]:
        header = header[:-1]
    twice = sorted({name for name in header if name and [_folded(h) for h in header].count(_folded(name)) > 1})
    if twice:
        raise ConfigurationError(
            f"has column {twice[0]!r} more than once", where=where, mend="Give every column a name of its own"
        )
    rows = []
    for number, cells in filled[1:]:
        if any(cells[len(header) :]):
            raise ConfigurationError(
                f"line {number} has {len(cells)} cells, the header {len(header)}",
                where=where,
                mend="A cell that holds the separator stands in quotes",
            )
        rows.append((number, tuple([*cells, *[""] * len(header)][: len(header)])))
    return Sheet(tuple(header), tuple(rows), text, encoding)


def _bare(cell: str) -> str:
    """Without blanks at the ends; `="056"`, by which exports keep zeros from being dropped, is the text 056."""
    return TEXT_FORMULA.sub(r"\1", cell.strip())


def _folded(name: str) -> str:
    return "_".join(name.casefold().replace("_", " ").split())


def _decoded(data: bytes, where: str) -> tuple[str, str]:
    """Text with \\n at the ends of lines, and the encoding it was in."""
    mark = next((name for start, name in MARKS.items() if data.startswith(start)), None)
    try:
        text, encoding = data.decode(mark or "utf-8"), mark or "utf-8"
    except UnicodeDecodeError as error:
        if mark:
            raise ConfigurationError(
                f"is not {mark.upper()}, as its first bytes say", where=where, mend="Save it anew"
            ) from error
        text, encoding = _ansi(data)
    if (control := CONTROL.search(text)) is not None:
        what = f"is no text file (U+{ord(control[0]):04X} in line {text.count(chr(10), 0, control.start()) + 1})"
        raise ConfigurationError(what, where=where, mend="Save it as CSV or XLSX")
    return text.replace("\r\n", "\n").replace("\r", "\n"), encoding


def _ansi(data: bytes) -> tuple[str, str]:
    """The code page in which the text is most like one language; western where several are equally likely."""
    telling = b"\n".join(line for line in data.split(b"\n") if not line.isascii())[:ANSI_SAMPLE]
    fits = {
        page: max(_share(telling.decode(page, errors="replace"), letters) for letters in ANSI[page]) for page in ANSI
    }
    best = max(fits, key=lambda page: fits[page])  # of equals the first
    return data.decode(best, errors="replace"), best


def _share(text: str, letters: str) -> float:
    """Of the letters beyond ASCII, those of the language. No word mixes Latin letters with those of another script:
    there they count as foreign, or two Latin languages in one file would read as Greek."""
    own_script = not unicodedata.name(letters[0]).startswith("LATIN")
    own_letters = signs = 0
    for word in WORD.findall(text.lower()):
        beyond = [sign for sign in word if not sign.isascii() and sign not in PUNCTUATION]
        signs += len(beyond)
        if not (own_script and any(sign.isascii() for sign in word)):
            own_letters += sum(sign in letters for sign in beyond)
    return own_letters / signs if signs else 0.0


def _lines(text: str, where: str) -> Iterator[tuple[int, list[str]]]:
    separator = SEPARATOR_LINE.match(text)
    body, skipped = (text[separator.end() :], 1) if separator else (text, 0)
    header = body.lstrip("\n").partition("\n")[0]
    whole = io.StringIO(f"{body}\n{END}", newline="")
    reader = csv.reader(whole, delimiter=separator[1] if separator else max(DELIMITERS, key=header.count))
    above = 0
    try:
        for row in reader:
            if row == [END]:
                return
            if row and row[-1].endswith(END):
                raise ConfigurationError(
                    "a quotation mark is not closed: it swallows the rows below",
                    where=f"{where}, line {above + skipped + 1}",
                    mend="Close it, or write it twice",
                )
            above = reader.line_num
            yield above + skipped, row
    except csv.Error as error:
        raise ConfigurationError(
            f"cannot be read as CSV ({error})",
            where=f"{where}, line {reader.line_num + skipped}",
            mend="Mind the quotes",
        ) from error


def _workbook(data: bytes, where: str) -> list[tuple[int, list[str]]]:
    """The rows of the first sheet that has any, each with its number; a hidden sheet only where no other has."""
    from openpyxl import load_workbook

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size <= MAX_BYTES:
            book = load_workbook(io.BytesIO(data), read_only=True, data_only=True)
            for sheet in sorted(book.worksheets, key=lambda sheet: sheet.sheet_state != "visible"):
                if rows := _rows_of(sheet, where):
                    return rows
            return []
    except ConfigurationError:
        raise
    except Exception as error:
        # openpyxl names no error of its own: a damaged workbook fails wherever it happens to be read
        what = " ".join(str(error).split())[:120] or type(error).__name__
        raise ConfigurationError(
            f"cannot be read as XLSX ({what})", where=where, mend="Save it anew, as XLSX or CSV"
        ) from error
    raise ConfigurationError("unpacks to more than a table that people keep", where=where, mend="Is it the right file?")


def _rows_of(sheet: Any, where: str) -> list[tuple[int, list[str]]]:
    """Raises ConfigurationError for what a person sees and the file does not hold: the result of a formula that no
    spreadsheet has reckoned, the value of merged cells in each of them."""
    from openpyxl.cell.read_only import ReadOnlyCell

    read: list[tuple[int, dict[int, str]]] = []
    places = 0
    results = _parser(sheet, results=True)
    for number, row in results.parse():
        cells = {cell["column"]: _cell(ReadOnlyCell(sheet, **cell)) for cell in row if cell["value"] is not None}
        last = max((place for place, text in cells.items() if text), default=0)
        if last > MAX_COLUMNS or (last and number > MAX_ROWS):
            raise ConfigurationError(
                f"sheet {sheet.title!r}: a cell in row {number}, column {last} is filled",
                where=where,
                mend="Is it the right file?",
            )
        if (places := places + last) > MAX_CELLS:
            raise _too_many_cells(f"{where}, sheet {sheet.title!r}, row {number}")
        read.append((number, cells))
    if not any(cells for _, cells in read):
        return []
    empty = {
        (cell["row"], cell["column"])
        for cell in _cells(sheet, results=True)
        if cell["value"] is None and cell["data_type"] != "str"
    }
    for cell in _cells(sheet, results=False):
        if cell["data_type"] == "f" and (cell["row"], cell["column"]) in empty:
            raise ConfigurationError(
                f"sheet {sheet.title!r}: the formula in row {cell['row']}, column {cell['column']} is stored without "
                "its result",
                where=where,
                mend="Open it in a spreadsheet and save it, or paste the values in the place of the formulas",
            )
    if merged := getattr(results.merged_cells, "mergeCell", None):
        raise ConfigurationError(
            f"sheet {sheet.title!r}: the cells {merged[0].ref} are merged",
            where=where,
            mend="Part them, and fill in each",
        )
    return [(number, [cells.get(place, "") for place in range(1, max(cells, default=0) + 1)]) for number, cells in read]


def _parser(sheet: Any, *, results: bool) -> Any:
    """openpyxl's own reader of a sheet. Its public interface makes a cell for every place up to the last one:
    a file of 5 kB whose second row says that it is the 900 millionth would take days."""
    from openpyxl.worksheet._reader import WorkSheetParser

    return WorkSheetParser(
        sheet._get_source(),
        sheet._shared_strings,
        data_only=results,
        epoch=sheet.parent.epoch,
        date_formats=sheet.parent._date_formats,
        timedelta_formats=sheet.parent._timedelta_formats,
    )


def _cells(sheet: Any, *, results: bool) -> Iterator[Mapping[str, Any]]:
    for _, row in _parser(sheet, results=results).parse():
        yield from row


def _cell(cell: Any) -> str:
    """As the spreadsheet shows it: 7 under the format 000 is 007, a day is 2018-07-31, 56.0 is 56."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == datetime.min.time() else value.isoformat(sep=" ")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    layout = str(cell.number_format)
    if isinstance(value, int) and value >= 0 and layout != "0" and SHOWN_AS.fullmatch(layout):
        return _laid_out(value, layout)
    return str(value)


def _laid_out(value: int, layout: str) -> str:
    """A whole number under such a format: its last digit at the last 0, what is left over at the first."""
    parts = list(SHOWN_PART.finditer(layout))
    places = sum(part[0] == "0" for part in parts)
    digits = list(str(value).zfill(places)) if places else []
    first, rest = "".join(digits[: len(digits) - places + 1]), iter(digits[len(digits) - places + 1 :])
    shown, begun = [], False
    for part in parts:
        if part[0] != "0":
            shown.append(next(text for text in (*part.groups(), "") if text is not None))
        else:
            shown.append(next(rest) if begun else first)
            begun = True
    return "".join(shown)
