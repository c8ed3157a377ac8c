"""A folder of Sentinel-2 products as a catalogue: `.SAFE` folders, or zip files of them, as they were downloaded.

    products/S2A_MSIL2A_….SAFE/        products/S2A_MSIL2A_….SAFE.zip        products/2018-06-07/S2A_MSIL2A_….zip

Products lie in the folder itself or one level below. Zip files are read where they lie, once their list of members is
within the bounds below (decision 0095). A product that cannot be read is returned with its reason.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import Any, Final

from cropmap.errors import CatalogError, SceneError
from cropmap.schemas import QuarantineReason
from cropmap.seasons import Season
from cropmap.sources.catalogs.acquisition import UnusableItem
from cropmap.sources.catalogs.item_identity import PRODUCT_NAME
from cropmap.sources.catalogs.places import ForbiddenAddressError, Places
from cropmap.sources.catalogs.plain_text import kept_id, one_line
from cropmap.sources.catalogs.safe import (
    LEVEL_1C_METADATA,
    MOST_BYTES,
    OLD_FORMAT,
    PRODUCT_METADATA,
    Product,
    old_format,
    product_item,
)
from cropmap.sources.catalogs.zipped import archived_address, open_zip, read_some
from cropmap.sources.files.archives import ANY_RATIO_BELOW, MAX_RATIO

MAX_MEMBERS: Final = 5_000
"""of a zip file; a product has about 150"""
PACKED: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
ENCRYPTED: Final = 1
DOCUMENTS: Final = (PRODUCT_METADATA, LEVEL_1C_METADATA)
"""by which a product is known, whatever its folder is called"""
MADE_BY_MACOS: Final = "__MACOSX/"
"""where its archives hold a shadow of every file"""
_PLAIN_FILE: Final = (0, 0o10)
"""the kind of file in a Unix mode, and none where the archive has no modes"""
_DAY: Final = timedelta(days=1)


def is_folder_of_products(folder: Path) -> bool:
    return any(isinstance(entry, Path) for entry in _entries(folder))


def read_products(places: Places, *, collection: str, season: Season) -> Iterator[dict[str, Any] | UnusableItem]:
    """Every product of the folder `places.catalog` as a STAC item, or the reason for which it is none.

    Products whose names say a day outside the season are not opened. Raises CatalogError where the folder cannot be
    listed.
    """
    for entry in _entries(Path(places.catalog)):
        if isinstance(entry, UnusableItem):
            yield entry
        elif _may_lie_in(season, _started(name := _name_of(entry))):
            try:
                with _opened(entry, name, places) as products:
                    for product in products:
                        if _may_lie_in(season, _started(product.name)):
                            yield _item_of(product, collection)
            except SceneError as error:
                yield _unusable(name, error)


def _item_of(product: Product, collection: str) -> dict[str, Any] | UnusableItem:
    try:
        return product_item(product, collection=collection)
    except SceneError as error:
        return _unusable(product.name, error)


def _unusable(name: str, error: SceneError) -> UnusableItem:
    tile = match["tile"] if (match := PRODUCT_NAME.match(name)) else None
    return UnusableItem(kept_id(name), tile, _started(name), error.reason, one_line(error.what))


def _entries(folder: Path) -> Iterator[Path | UnusableItem]:
    """Products by name: those of the folder, and those of each folder in it."""
    try:
        listed = _listed(folder)
    except OSError as error:
        raise CatalogError(
            f"the folder cannot be listed ({error.strerror})", where=str(folder), mend="Check acquisitions.catalog"
        ) from error
    for path in listed:
        if _is_product(path):
            yield path
        elif os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises where a link leads to what may not be read
            try:
                yield from filter(_is_product, _listed(path))
            except OSError as error:
                detail = f"the folder cannot be listed ({error.strerror})"
                yield UnusableItem(kept_id(path.name), None, None, QuarantineReason.INCOMPLETE_METADATA, detail)


def _listed(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _is_product(path: Path) -> bool:
    ending = path.suffix.lower()
    is_folder = os.path.isdir(path)  # noqa: PTH112
    if is_folder:
        return ending == ".safe" or _holds_product(path)
    return ending == ".zip" or (ending == ".safe" and path.is_symlink())


def _holds_product(folder: Path) -> bool:
    return any(os.path.isfile(folder / document) for document in DOCUMENTS)  # noqa: PTH113 - as PTH112


def _innermost(folder: Path) -> Path:
    """The product itself where a program unpacked it into a folder of its own name."""
    if _holds_product(folder):
        return folder
    try:
        within = [path for path in _listed(folder) if path.suffix.lower() == ".safe" and _holds_product(path)]
    except OSError:
        return folder
    return within[0] if len(within) == 1 else folder


def _name_of(path: PurePath) -> str:
    name = path.name
    for ending in (".zip", ".safe"):
        if name.lower().endswith(ending):
            name = name[: -len(ending)]
    return name


def _started(name: str) -> datetime | None:
    """When the datatake began, by the product's name; the tile was sensed within the hour."""
    match = PRODUCT_NAME.match(name)
    try:
        return datetime.strptime(match["datatake"], "%Y%m%dT%H%M%S").replace(tzinfo=UTC) if match else None
    except ValueError:
        return None


def _may_lie_in(season: Season, started: datetime | None) -> bool:
    return started is None or season.start - _DAY <= started.date() <= season.end


@contextmanager
def _opened(path: Path, name: str, places: Places) -> Iterator[Sequence[Product]]:
    if path.suffix.lower() != ".zip" or os.path.isdir(path):  # noqa: PTH112
        yield [_Folder(name, _innermost(path), places)]
        return
    try:
        places.check_document(str(path))
    except ForbiddenAddressError as error:
        raise SceneError(str(error), reason=QuarantineReason.FORBIDDEN_ADDRESS, where=name) from error
    try:
        with open_zip(path) as archive:
            members = _members(archive, path, name)
            roots = _roots(archive, name)
            names = [name] if len(roots) == 1 else [_name_of(root) or name for root in roots]
            yield [_Archive(own, path, root, members, archive) for own, root in zip(names, roots, strict=True)]
    except OSError as error:
        raise SceneError(
            f"the archive cannot be read ({one_line(error, 160)})",
            reason=QuarantineReason.UNREADABLE_FILE,
            where=name,
            mend="Download it again",
        ) from error


@dataclass(frozen=True)
class _Folder:
    name: str
    path: Path
    places: Places

    def address(self, file: PurePosixPath) -> str | None:
        try:
            path = self._found(file)
            return str(path) if path.is_file() else None
        except OSError:  # a name that no file may have
            return None

    def _found(self, file: PurePosixPath) -> Path:
        """Whatever the case of its name, as on the machine that it may come from; the very name where there is one."""
        if (self.path / file).is_file():
            return self.path / file
        path = self.path
        for part in file.parts:
            alike = () if (path / part).exists() else [n for n in sorted(os.listdir(path)) if n.lower() == part.lower()]  # noqa: PTH208
            path /= next(iter(alike), part)
        return path

    def read(self, file: PurePosixPath) -> bytes:
        path = self._found(file)
        self.places.check_document(str(path))
        with path.open("rb") as opened:
            return opened.read(MOST_BYTES + 1)


@dataclass(frozen=True)
class _Archive:
    name: str
    path: Path
    root: PurePosixPath
    """of the product within the archive"""
    members: Mapping[str, zipfile.ZipInfo]
    archive: zipfile.ZipFile

    def _found(self, file: PurePosixPath) -> zipfile.ZipInfo | None:
        """Whatever the case of its name, as in a folder."""
        name = str(self.root / file)
        return self.members.get(name) or self._by_small_letters.get(name.lower())

    @cached_property
    def _by_small_letters(self) -> Mapping[str, zipfile.ZipInfo]:
        return {name.lower(): member for name, member in self.members.items()}

    def address(self, file: PurePosixPath) -> str | None:
        member = self._found(file)
        return archived_address(self.path, member.filename) if member else None

    def read(self, file: PurePosixPath) -> bytes:
        member = self._found(file)
        if member is None:
            raise FileNotFoundError("the archive does not hold it")
        return read_some(self.archive, member.filename, MOST_BYTES + 1)


def _roots(archive: zipfile.ZipFile, name: str) -> list[PurePosixPath]:
    """Where products lie in the archive: in its top folder, without one, or deeper. Raises SceneError where none is."""
    paths = [PurePosixPath(name) for name in map(_plain, archive.infolist()) if not name.startswith(MADE_BY_MACOS)]
    documents = {document.lower() for document in DOCUMENTS}
    folders = {path.parent for path in paths if path.name.lower() in documents}
    roots = sorted(folder for folder in folders if folders.isdisjoint(folder.parents))
    if not roots and any(OLD_FORMAT.search(path.name) for path in paths):
        raise old_format(name)
    if not roots:
        raise SceneError(
            "the archive holds no Sentinel-2 product", reason=QuarantineReason.UNSUPPORTED_FORMAT, where=name
        )
    return roots


def _members(archive: zipfile.ZipFile, path: Path, name: str) -> dict[str, zipfile.ZipInfo]:
    """Plain files by name. Raises SceneError for a list of members that leaves the bounds."""
    listed = archive.infolist()
    packed, unpacked = path.stat().st_size, sum(member.file_size for member in listed)
    problem = next(
        (
            what
            for what, is_so in (
                (f"has {len(listed)} members", len(listed) > MAX_MEMBERS),
                ("has two members of one name", len({_plain(member) for member in listed}) < len(listed)),
                ("has a member that leads out of it", any(_leads_out(member.filename) for member in listed)),
                ("is under a password", any(member.flag_bits & ENCRYPTED for member in listed)),
                ("is packed otherwise than by deflate", any(m.compress_type not in PACKED for m in listed)),
                (
                    f"has {packed >> 20} MB and would unpack to {unpacked >> 20}",
                    unpacked > ANY_RATIO_BELOW and unpacked > MAX_RATIO * packed,
                ),
                ("has a brace in its path", bool({"{", "}"} & {*str(path)})),
            )
            if is_so
        ),
        None,
    )
    if problem:
        raise SceneError(
            f"the archive {problem}", reason=QuarantineReason.UNREADABLE_FILE, where=name, mend="Unpack it"
        )
    plain = (m for m in listed if m.external_attr >> 28 in _PLAIN_FILE and not m.filename.endswith(("/", "\\")))
    return {_plain(member): member for member in plain}


def _plain(member: zipfile.ZipInfo) -> str:
    """Its name without `./`, which some programs write before every one; others write the path as Windows does."""
    return str(PurePosixPath(member.filename.replace("\\", "/")))


def _leads_out(member: str) -> bool:
    path = PureWindowsPath(member)  # both kinds of slash, and drives
    return bool(path.anchor) or ".." in path.parts
