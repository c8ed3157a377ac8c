"""Whether a delivery is whole: not cut off on its way, and not a page of what the service has.

GDAL reads a GML up to where it breaks off, a shapefile with rows that have lost their outlines, and the first page of a
WFS answer as if it were the register. In: the path that GDAL opens. Out: what the file says of its own size, or
DeclarationFileError where it is cut off.
"""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import json
import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final
from xml.parsers import expat

from cropmap.errors import DeclarationFileError

CUT_OFF: Final = "Fetch or copy it again"
ALL_PAGES: Final = (
    "Fetch all pages (startIndex and count, resultOffset, or the links named next), or set declarations.allow_partial"
)
AGAIN: Final = "Fetch or export it again, or set declarations.allow_partial"
ENDS_BYTES: Final = 1 << 20
"""how much of both ends of a JSON file is searched for what stands beside its features"""
BLOCK_BYTES: Final = 1 << 16
LINE_BYTES: Final = 1 << 26
"""longer than any record: an outline of a million vertices is 40 MB"""
SQLITE: Final = b"SQLite format 3\0"
SQLITE_HEADER: Final = 100
TOTALS: Final = ("numberMatched", "totalFeatures")
"""what the service has for the question: WFS 2.0 and OGC API Features, GeoServer's GeoJSON"""
RETURNED: Final = ("numberReturned", "numberOfFeatures")
"""what the file should hold: WFS 2.0 and OGC API Features, WFS 1.1"""
COUNTED: Final = "count"
PAGES: Final = ("next", "previous")
"""beside the count of all, in a page of Django REST framework (`GeoJsonPagination`): an address, or null at an end"""
EXCEEDED: Final = "exceededTransferLimit"
NEXT: Final = "a link named next"
EXCEPTIONS: Final = ("ExceptionReport", "ServiceExceptionReport")
SYSTEM: Final = re.compile(rb"""srsName\s*=\s*["']([^"']{1,200})["']""")
ATOM_NEXT: Final = re.compile(rb"""<(?:\w+:)?link\s[^<>]{0,1000}?\brel\s*=\s*["']next["']""")
"""how OGC API Features names the next page in XML: a link of Atom (RFC 4287)"""
OVERLAP_BYTES: Final = 300
"""of one block and the next, so that no mark falls between them"""
TRUNCATED: Final = b"truncatedResponse"
"""element of WFS 2.0: the server broke off"""
TEXT_SUFFIXES: Final = (".csv", ".tsv", ".txt")
UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class Stated:
    """What a file says of its own size."""

    total: tuple[str, int] | None = None
    returned: tuple[str, int] | None = None
    more: str = ""
    """the mark by which it says that more follows"""
    systems: tuple[str, ...] = ()
    """every `srsName` of an XML file"""
    records: int | None = None
    """lines of a GeoJSON sequence, rows of an attribute table: each should come out as a row"""

    def missing(self, rows: int) -> str:
        """In words, what `rows` lack of it; empty where they are all."""
        if self.records is not None and self.records > rows:
            return f"it has {self.records:,} records, of which {rows:,} can be read"
        for name, count in filter(None, (self.total, self.returned)):
            if count > rows:
                return f"it holds {rows:,} of {count:,} features ({name})"
        if self.more == EXCEEDED or (self.more and self.total is None):
            return f"it holds {rows:,} features and says that more follow ({self.more})"
        return ""


def stated_size(source: str) -> Stated:
    """What the file says of its size. Raises DeclarationFileError where it is cut off."""
    if Path(source).is_dir():
        return Stated()
    with _opened(source) as file:
        if file is None:
            return Stated()
        head = file.read(BLOCK_BYTES)
        suffix = PurePosixPath(source).suffix.lower()
        if suffix == ".shp":
            return _shapefile(source, head)
        if suffix in TEXT_SUFFIXES:
            return _csv(source, file, head)
        if suffix in (".mif", ".tab"):
            return _mapinfo(source, suffix)
        text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
        if text.startswith(b"<") or head.startswith(UTF_16):
            return _xml(source, file, head)
        if text.startswith(b"{") or head.startswith(b"\x1e"):
            return _json(source, file, head)
        if head.startswith(SQLITE):
            _sqlite(source, file, head)
    return Stated()


def codes_of(systems: Sequence[str]) -> list[str]:
    """The codes that several `srsName`s end in, where these are not all the same."""
    codes = sorted({re.split(r"[:#/]", name)[-1] for name in systems})
    return codes if len(codes) > 1 else []


def cut_off(source: str, what: str) -> DeclarationFileError:
    return DeclarationFileError(f"the file is cut off or damaged: {what}", where=source, mend=CUT_OFF)


def ends_within_a_line(source: str) -> bool:
    """Whether a text file lacks the end of its last line."""
    with _opened(source) as file:
        return file is not None and not _tail(file, 4).rstrip(b"\0").endswith((b"\n", b"\r"))


# --- XML -----------------------------------------------------------------------------------------------------------


def _xml(source: str, file: BinaryIO, head: bytes) -> Stated:
    root: list[tuple[str, dict[str, str]]] = []
    parser = expat.ParserCreate()

    def first(name: str, attributes: dict[str, str]) -> None:
        root.append((name.rpartition(":")[2], attributes))
        parser.StartElementHandler = None

    parser.StartElementHandler = first
    truncated, following, before, systems = False, False, b"", set[bytes]()
    try:
        for block in itertools.chain([head], iter(lambda: file.read(ENDS_BYTES), b"")):
            parser.Parse(block, False)
            truncated = truncated or TRUNCATED in before + block
            following = following or ATOM_NEXT.search(before + block) is not None
            systems.update(SYSTEM.findall(before + block))
            before = block[-OVERLAP_BYTES:]
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        if error.code == expat.errors.codes[expat.errors.XML_ERROR_UNKNOWN_ENCODING]:
            return Stated()
        raise cut_off(
            source, f"the XML ends or breaks at line {error.lineno} ({expat.ErrorString(error.code)})"
        ) from error
    except LookupError:
        return Stated()
    name, attributes = root[0]
    if name in EXCEPTIONS:
        raise DeclarationFileError("it is the error message of a service, no data", where=source, mend="Fetch it again")
    if truncated:
        raise cut_off(source, "the service says so (truncatedResponse)")
    names = sorted(name.decode("utf-8", "replace") for name in systems)
    more = NEXT if following or attributes.get("next") else ""
    return replace(_stated(attributes, more), systems=tuple(names))


def _stated(members: Mapping[str, object], more: str) -> Stated:
    """WFS says `unknown` where it does not count."""
    total, returned = (
        next(((name, int(text)) for name in names if (text := str(members.get(name, "")).strip()).isdecimal()), None)
        for names in (TOTALS, RETURNED)
    )
    return Stated(total, returned, more)


# --- JSON ----------------------------------------------------------------------------------------------------------


def _json(source: str, file: BinaryIO, head: bytes) -> Stated:
    file.seek(0)
    if head.startswith(b"\x1e") or all(file.readline(LINE_BYTES).strip().startswith(b"{") for _ in range(2)):
        return _sequence(source, file, head)
    file.seek(0)
    beside = _beside_features(file.read(ENDS_BYTES), _tail(file, ENDS_BYTES))
    if beside is None:
        return Stated()
    inner = beside.get("properties")
    inner = inner if isinstance(inner, dict) else {}
    more = EXCEEDED if True in (beside.get(EXCEEDED), inner.get(EXCEEDED)) else ""
    links = beside.get("links")
    following = any(isinstance(link, dict) and _is_next(link.get("rel")) for link in links) if links else False
    stated = _stated({**inner, **beside}, more or (NEXT if following else ""))
    if stated.total is None and set(PAGES) <= set(beside) and _is_count(beside.get(COUNTED)):
        return replace(stated, total=(COUNTED, beside[COUNTED]))
    return stated


def _is_next(relation: object) -> bool:
    """RFC 8288: several relations stand in one text, whatever their case."""
    return isinstance(relation, str) and "next" in relation.lower().split()


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _beside_features(head: bytes, tail: bytes) -> dict[str, Any] | None:
    """Members of the collection beside its features, from the two ends of the file, and of an object that holds it
    (`{"count": 9, "results": {"type": "FeatureCollection", …}}`); None where it is no collection.

    Only the bracket that closes the features is followed by members and the file's last brace.
    """
    before: dict[str, Any] | None = None
    wrapped = b""
    for opening in re.finditer(rb'"features"\s*:\s*\[', head):
        start = head[: opening.start()].removeprefix(b"\xef\xbb\xbf")
        before = _parsed(start + b'"features":[]}')
        if before is None and (outer := _parsed(start + b'"features":[]}}')) is not None:
            inside = [value for value in outer.values() if isinstance(value, dict) and "features" in value]
            before, wrapped = {**outer, **(inside[0] if inside else {})}, b"}"
        if before is not None:
            break
    if before is None:
        return None
    for closing in re.finditer(rb"\]\s*[,}]", tail):
        rest = tail[closing.start() + 1 :].lstrip().removeprefix(b",")
        after = _parsed(b'{"":{' + rest if wrapped else b"{" + rest)
        if after is not None:
            return before | after | (after.pop("") if wrapped else {})
    return before


def _sequence(source: str, file: BinaryIO, head: bytes) -> Stated:
    """One record a line, or each after a record separator."""
    mark = b"\x1e" if head.startswith(b"\x1e") else b"\n"
    file.seek(0)
    records, last = 0, b""
    for block in iter(lambda: file.read(ENDS_BYTES), b""):
        *whole, last = (last + block).split(mark)
        records += sum(1 for record in whole if record.strip())
    if last.strip():
        records += 1
        if _parsed(last) is None:
            raise cut_off(source, f"record {records:,} is not whole")
    return Stated(records=records)


def _parsed(text: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


# --- tables ----------------------------------------------------------------------------------------------------------


def _csv(source: str, file: BinaryIO, head: bytes) -> Stated:
    """Where nothing ends the last line, it must have the columns of the first, and no quote may be open."""
    if head.startswith(UTF_16) or not ends_within_a_line(source):
        return Stated()
    lines = head.decode("latin-1").removeprefix("ï»¿").splitlines()
    header = next((line for line in lines if line.strip() and not line.lower().startswith("sep=")), "")
    delimiter = max(";,\t|", key=header.count)
    last, columns = _last_line(file), len(_fields(header, delimiter))
    fields, odd = len(_fields(last, delimiter)), last.count('"') % 2
    file.seek(0)
    if (odd or fields < columns) and sum(block.count(b'"') for block in iter(lambda: file.read(ENDS_BYTES), b"")) % 2:
        raise cut_off(source, "the last line breaks off within quotes")
    if not odd and last.strip() and fields < columns:
        raise cut_off(source, f"the last line has {fields} of the header's {columns} columns")
    return Stated()


def _last_line(file: BinaryIO) -> str:
    size, line = BLOCK_BYTES, b""
    while True:
        tail = _tail(file, size)
        line = tail.replace(b"\r", b"\n").rpartition(b"\n")[2]  # old Macs ended lines with CR alone
        if len(line) < len(tail) or len(tail) < size:
            return line.decode("latin-1")
        size *= 16


def _fields(line: str, delimiter: str) -> list[str]:
    csv.field_size_limit(1 << 27)
    return next(csv.reader([line], delimiter=delimiter), [])


def _sqlite(source: str, file: BinaryIO, head: bytes) -> None:
    """A database is as long as its first page says, where the last writer kept that up (sqlite.org/fileformat.html)."""
    if len(head) < SQLITE_HEADER:
        raise cut_off(source, "its header is not whole")
    page, changed, pages, valid_for = (
        struct.unpack_from(f">{kind}", head, at)[0] for kind, at in (("H", 16), ("I", 24), ("I", 28), ("I", 92))
    )
    page = 65_536 if page == 1 else page
    if changed == valid_for and pages and (size := _size(file)) < page * pages:
        raise cut_off(source, f"the database has {size:,} of {page * pages:,} bytes")


def _shapefile(source: str, head: bytes) -> Stated:
    """Headers of the main file and of the table against what is there (ESRI's white paper of 1998; dBase III)."""
    shapes = _shp_size(source, head)
    index = _beside(source, ".shx")
    outlines = None
    if index is not None:
        with _opened(index) as file:
            outlines = max((_size(file) - 100) // 8, 0) if file is not None else None
    rows = _dbf_rows(source, ".dbf")
    if shapes and rows is not None and outlines is not None and rows != outlines:
        raise cut_off(source, f"it has {outlines:,} outlines, and the table beside it {rows:,} rows")
    return Stated()


def _shp_size(source: str, head: bytes) -> int:
    if len(head) < 100:
        raise cut_off(source, "its header is not whole")
    stated = struct.unpack_from(">i", head, 24)[0] * 2
    with _opened(source) as file:
        size = _size(file) if file is not None else stated
    if size < stated:
        raise cut_off(source, f"it has {size:,} of {stated:,} bytes")
    return int(stated)


def _mapinfo(source: str, suffix: str) -> Stated:
    if suffix == ".tab":
        _dbf_rows(source, ".dat")
        return Stated()
    table = _beside(source, ".mid")
    if table is None:
        return Stated()
    with _opened(table) as file:
        lines = sum(1 for line in file if line.strip()) if file is not None else None
    return Stated(records=lines)


def _dbf_rows(source: str, suffix: str) -> int | None:
    """Rows of the dBase table beside a file, deleted ones too; None without one."""
    table = _beside(source, suffix)
    if table is None:
        return None
    with _opened(table) as file:
        head = file.read(32) if file is not None else b""
        if file is None or len(head) < 32:
            raise cut_off(source, f"the header of its {suffix} is not whole")
        rows, start, width = struct.unpack_from("<IHH", head, 4)
        size = _size(file)
    if size < start + rows * width:
        raise cut_off(source, f"its {suffix} has {size:,} of {start + rows * width:,} bytes")
    return int(rows)


# --- files -----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _opened(source: str) -> Iterator[BinaryIO | None]:
    """The bytes of a file; None where there is none of that name."""
    if not Path(source).is_file():
        yield None
        return
    with Path(source).open("rb") as file:
        yield file


def _beside(source: str, suffix: str) -> str | None:
    """The file of the same name with another ending, whatever its case."""
    path = Path(source)
    beside = [other for other in path.parent.iterdir() if other.stem == path.stem and other.suffix.lower() == suffix]
    return str(min(beside)) if beside else None


def _size(file: BinaryIO) -> int:
    return file.seek(0, io.SEEK_END)


def _tail(file: BinaryIO, size: int) -> bytes:
    end = file.seek(0, io.SEEK_END)
    file.seek(max(end - size, 0))
    return file.read()
