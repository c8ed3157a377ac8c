"""Deliveries as they come, in plain files, folders or archives; out: the one thing in them that can be opened.

What an archive holds is unpacked into a temporary folder (`TMPDIR`) that lives as long as the file is read; archives
in archives are looked into where nothing else is there.
"""

from __future__ import annotations

import contextlib
import fnmatch
import glob
import re
import struct
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from cropmap.errors import DeclarationFileError
from cropmap.sources.files.archives import ENDINGS, Budget, Member, is_archive, open_archive
from cropmap.sources.files.references import refuse_links

CSV_SUFFIXES: Final = (".csv", ".tsv", ".txt")
PARQUET_SUFFIXES: Final = (".parquet", ".geoparquet")
GDAL_SUFFIXES: Final = (
    ".gpkg",
    ".shp",
    ".geojson",
    ".geojsonl",
    ".geojsons",
    ".ndjson",
    ".json",
    ".topojson",
    ".gml",
    ".xml",
    ".fgb",
    ".gdb",
    ".kml",
    ".sqlite",
    ".tab",
    ".mif",
)
MAX_DEPTH: Final = 3
MAX_INNER: Final = 500
"""archives that are looked into; a country delivered per district has some hundred"""
SHOWN: Final = 8
_CODE_PAGE: Final = re.compile(r"^(?:ANSI|OEM|WIN|WINDOWS|MS)[\s_-]*(\d{3,4})$", re.IGNORECASE)


@dataclass(frozen=True)
class _Candidate:
    """Something in an archive that can be opened."""

    label: str
    """its path, through inner archives too: `all.zip/fields.shp`"""
    archive: Path
    name: str
    """its path in the innermost archive: a file, or a folder with a known ending"""
    folder: str | None = None
    """where its files lie, for a geodatabase whose folder is not named like one"""


@contextlib.contextmanager
def opened(path: Path, member: str | None = None) -> Iterator[str]:
    """The path to open: of the file itself, or of the one vector file in an archive, unpacked.

    `member` names it where there are several, also as a pattern; it may name an inner archive. Raises
    DeclarationFileError.
    """
    if not _exists(path):
        raise DeclarationFileError("no such file", where=str(path), mend="Check declarations.path")
    if not (path.is_file() or path.is_dir()):
        raise DeclarationFileError("is no file and no folder", where=str(path), mend="Check declarations.path")
    refuse_links(path)
    with tempfile.TemporaryDirectory(prefix="cropmap-") as folder:
        source = str(_whole(_source(path, member, Path(folder)), Path(folder), str(path)))
        try:
            yield source
        except DeclarationFileError as error:
            if error.where != source:
                raise
            what = error.what.replace(source, path.name)
            raise DeclarationFileError(what, where=str(path), mend=error.mend) from error


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _source(path: Path, member: str | None, folder: Path) -> Path:
    try:
        if not is_archive(path):
            return path
        budget = Budget(str(path), _packed_bytes(path))
        chosen = _choose(_candidates(path, member, folder / "inner", budget), member, where=path)
        return _unpacked(chosen, folder / "file", budget)
    except OSError as error:
        raise DeclarationFileError(
            f"cannot be read ({error.strerror or error})", where=str(path), mend="Check its permissions and the disk"
        ) from error


def _packed_bytes(path: Path) -> int:
    """Of all volumes of an archive in parts."""
    parts = path.parent.glob(f"{path.stem}.[0-9][0-9][0-9]") if path.suffix == ".001" else [path]
    return sum(part.stat().st_size for part in parts)


# --- what is in an archive -------------------------------------------------------------------------------------------


def _candidates(
    path: Path, member: str | None, folder: Path, budget: Budget, *, prefix: str = "", depth: int = 1
) -> list[_Candidate]:
    """What can be opened; of inner archives only where nothing else can be, or `member` is not among it."""
    with open_archive(path, where=budget.where) as archive:
        candidates = [
            _Candidate(prefix + label, path, name, inside)
            for label, name, inside in _vector_files([entry.name for entry in archive.members], path)
        ]
        if _fitting(candidates, member) or depth > MAX_DEPTH:
            return candidates
        inner = [
            entry for entry in archive.members if entry.name.lower().endswith(ENDINGS) and not _is_junk(entry.name)
        ]
        named = [entry for entry in inner if member and _fits(prefix + entry.name, member)]
        for number, entry in enumerate((named or inner)[:MAX_INNER]):
            target = folder / str(number) / PurePosixPath(entry.name).name
            archive.unpack({entry: target}, budget)
            if is_archive(target):
                wanted = None if entry in named else member
                candidates += _candidates(
                    target, wanted, target.parent / "inner", budget, prefix=f"{prefix}{entry.name}/", depth=depth + 1
                )
    return candidates


def _vector_files(names: Sequence[str], archive: Path) -> list[tuple[str, str, str | None]]:
    """Vector files by their ending, a geodatabase or a folder of Parquet parts as one; tables only where nothing else
    is there, and a single file of any name: its content shows what it is.

    (what to call it, its path, the folder where that has another name)
    """
    tops: dict[str, tuple[str, str | None]] = {}
    for name in names:
        if _is_junk(name):
            continue
        if (folder := _folder(name, (".gdb", *PARQUET_SUFFIXES))) is not None:
            tops[folder] = (folder, None)
        elif name.lower().endswith(".gdbtable"):
            inside = str(PurePosixPath(name).parent)
            stem = archive.name if inside == "." else PurePosixPath(inside).name
            tops[f"{_without_endings(stem)}.gdb"] = (f"{_without_endings(stem)}.gdb", inside)
        else:
            tops[name] = (name, None)
    endings = {label: PurePosixPath(label).suffix.lower() for label in tops}
    vector = [
        label
        for label, ending in endings.items()
        if ending in GDAL_SUFFIXES and not label.lower().endswith((".shp.xml", ".gml.xml", ".gpkg.xml", ".aux.xml"))
    ]
    clear = [label for label in vector if endings[label] != ".xml"]
    tables = [label for label, ending in endings.items() if ending in (*CSV_SUFFIXES, *PARQUET_SUFFIXES)]
    only = [label for label in tops if len(tops) == 1 and not label.lower().endswith(ENDINGS)]
    return [(label, *tops[label]) for label in clear or vector or tables or only]


def _is_junk(name: str) -> bool:
    """What macOS adds: `__MACOSX/…`, `._fields.shp`."""
    return name.startswith("__MACOSX/") or PurePosixPath(name).name.startswith(".")


def _folder(name: str, endings: Sequence[str]) -> str | None:
    """The folder with one of these endings that the member lies in."""
    parts = PurePosixPath(name).parts[:-1]
    depth = next((i for i, part in enumerate(parts) if part.lower().endswith(tuple(endings))), None)
    return None if depth is None else str(PurePosixPath(*parts[: depth + 1]))


def _without_endings(name: str) -> str:
    lower = name.lower()
    for ending in (*ENDINGS, ".gdb"):
        if lower.endswith(ending):
            return _without_endings(name[: -len(ending)])
    return name


# --- which of it is meant --------------------------------------------------------------------------------------------


def _choose(candidates: Sequence[_Candidate], member: str | None, *, where: Path) -> _Candidate:
    fitting = _fitting(candidates, member)
    if len(fitting) == 1:
        return fitting[0]
    what = (
        f"no vector file {member!r} in the archive" if member else f"the archive holds {len(candidates)} vector files"
    )
    if member and fitting:
        what = f"{len(fitting)} vector files in the archive fit {member!r}"
    labels = [candidate.label[:120] for candidate in fitting or candidates]
    shown = ", ".join(labels[:SHOWN]) + (f" and {len(labels) - SHOWN} more" if len(labels) > SHOWN else "")
    raise DeclarationFileError(
        f"{what} ({shown})" if candidates else what,
        where=str(where),
        mend="Set declarations.member to one of them" if candidates else "Its contents are not known here: unpack it",
    )


def _fitting(candidates: Sequence[_Candidate], member: str | None) -> list[_Candidate]:
    if member is None:
        return list(candidates)
    return [candidate for candidate in candidates if member in _names(candidate.label)] or [
        candidate for candidate in candidates if _fits(candidate.label, member)
    ]


def _fits(label: str, member: str) -> bool:
    return any(fnmatch.fnmatch(name, member) for name in _names(label))


def _names(label: str) -> set[str]:
    """What a person may call it: its path, its name, or the inner archive or folder that it lies in."""
    inner = [PurePosixPath(label), *PurePosixPath(label).parents][:-1]
    return {str(path) for path in inner} | {path.name for path in inner}


def _unpacked(chosen: _Candidate, folder: Path, budget: Budget) -> Path:
    """The file with those that belong to it (same name, other endings), or the folder with all that is in it."""
    name = PurePosixPath(chosen.name)
    target = folder / name.name
    with open_archive(chosen.archive, where=budget.where) as archive:
        wanted: dict[Member, Path] = {}
        for member in archive.members:
            if chosen.folder is not None:
                if str(PurePosixPath(member.name).parent) == chosen.folder:
                    wanted[member] = target / PurePosixPath(member.name).name
            elif member.name.startswith(f"{chosen.name}/"):
                wanted[member] = target / member.name.removeprefix(f"{chosen.name}/")
            elif member.name == chosen.name:
                wanted[member] = target
            elif (ending := _ending_of(member.name, name)) is not None:
                wanted[member] = folder / f"{name.stem}{ending}"
        archive.unpack(wanted, budget)
    return target


def _ending_of(member: str, chosen: PurePosixPath) -> str | None:
    """`.dbf` of a member that lies beside the chosen file under its name, in whatever case; None of the others."""
    path = PurePosixPath(member)
    beside = path.parent == chosen.parent and path.name.lower().startswith(f"{chosen.stem.lower()}.")
    return path.name[len(chosen.stem) :].lower() if beside else None


# --- shapefiles ------------------------------------------------------------------------------------------------------


def _whole(source: Path, folder: Path, where: str) -> Path:
    """A shapefile with its index, which is made anew where it is missing. Raises DeclarationFileError where a part of
    the file is missing."""
    if source.suffix.lower() != ".shp" or not source.is_file():
        return source
    with source.open("rb") as file:
        header = file.read(100)
    magic, words = struct.unpack(">i20xi", header[:28]) if len(header) == 100 else (0, 0)
    if magic != 9994:
        return source  # no shapefile: opening it raises the error
    _refuse_cut(2 * words, source, where)
    beside = {each.suffix.lower(): each for each in source.parent.iterdir() if each.stem == source.stem}
    if (dbf := beside.get(".dbf")) is not None:
        with dbf.open("rb") as file:
            head = file.read(12)
        if len(head) == 12:
            rows, first, row = struct.unpack("<IHH", head[4:12])
            _refuse_cut(first + rows * row, dbf, where)
    if ".shx" in beside:
        return source
    target = folder / "indexed"
    target.mkdir()
    for each in beside.values():
        (target / f"{source.stem}{each.suffix.lower()}").symlink_to(each.absolute())
    (target / f"{source.stem}.shx").write_bytes(_index(source, header))
    return target / f"{source.stem}.shp"


def code_page(source: str) -> str | None:
    """The encoding that a `.cpg` states in words that GDAL does not know (`ANSI 1250`), None for all others."""
    path = Path(source)
    if path.suffix.lower() != ".shp":
        return None
    stated = next(
        (each for each in path.parent.glob(f"{glob.escape(path.stem)}.*") if each.suffix.lower() == ".cpg"), None
    )
    if stated is None:
        return None
    match = _CODE_PAGE.match(stated.read_bytes()[:40].decode("ascii", "replace").strip())
    return f"CP{match.group(1)}" if match else None


def _refuse_cut(stated: int, path: Path, where: str) -> None:
    if (size := path.stat().st_size) < stated:
        raise DeclarationFileError(
            f"{path.name} is cut off: it should have {stated} bytes and has {size}", where=where, mend="Fetch it again"
        )


def _index(shapefile: Path, header: bytes) -> bytes:
    """The .shx: where each shape begins and how long it is, in words of two bytes (ESRI Shapefile Technical
    Description, 1998)."""
    entries, offset, size = [], 100, shapefile.stat().st_size
    with shapefile.open("rb") as file:
        while offset + 8 <= size:
            file.seek(offset)
            words = struct.unpack(">i", file.read(8)[4:])[0]
            if words < 2 or offset + 8 + 2 * words > size:
                break
            entries.append(struct.pack(">ii", offset // 2, words))
            offset += 8 + 2 * words
    return header[:24] + struct.pack(">i", 50 + 4 * len(entries)) + header[28:] + b"".join(entries)
