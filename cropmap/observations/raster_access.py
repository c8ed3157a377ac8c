"""How a raster file is reached: rasterio's environment and the address for one href, at the pace of its provider.

Whatever opens a raster does it in `with_patience`, which tries again where that helps. Two providers may be read at
once, each with its own keys: the environment is that of the thread.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import rasterio
import rasterio.shutil
from rasterio.errors import RasterioError, RasterioIOError
from rasterio.session import Session

from cropmap.errors import SceneError
from cropmap.observations.ranges import CHUNK_BYTES, HEADER_BYTES, requests_of_copy
from cropmap.schemas import QuarantineReason
from cropmap.sources.catalogs.places import local_file
from cropmap.sources.catalogs.providers.in_use import provider_of
from cropmap.sources.catalogs.redirects import check_redirects
from cropmap.sources.catalogs.sign_in.backoff import Backoff, backoff_of, given_in_place_of_a_part, stated_wait
from cropmap.sources.catalogs.sign_in.opening import Opening, opening_of
from cropmap.sources.catalogs.sign_in.pace import NO_PACE, pace_of
from cropmap.sources.catalogs.sign_in.renewed import NoEntryError
from cropmap.sources.catalogs.sign_in.signatures import without_signatures

log = logging.getLogger(__name__)

GDAL_OPTIONS: Final = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",  # no directory listing per file: the costliest part of a remote open
    "CPL_VSIL_CURL_ALLOWED_EXTENSIONS": ".tif,.TIF,.tiff,.jp2,.xml,$value",  # no probes for side-car files
    "CPL_VSIL_CURL_AUTHORIZATION_HEADER_ALLOWED_IF_REDIRECT": "IF_SAME_HOST",
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "GDAL_HTTP_MULTIPLEX": "YES",
    "GDAL_HTTP_VERSION": "2",
    "GDAL_HTTP_MAX_RETRY": "10",  # object stores are busy under load; GDAL doubles its waits, `_Heeding` adds to them
    "GDAL_HTTP_RETRY_DELAY": "0.5",
    "GDAL_HTTP_CONNECTTIMEOUT": "30",
    "GDAL_HTTP_LOW_SPEED_TIME": "60",  # a host that is silent, or trickles: GDAL itself would wait for ever
    "GDAL_HTTP_LOW_SPEED_LIMIT": "1000",  # bytes per second
    "GDAL_INGESTED_BYTES_AT_OPEN": str(HEADER_BYTES),
    "VSI_CACHE": "TRUE",
    "VSI_CACHE_SIZE": "5000000",
    "GDAL_NUM_THREADS": "1",  # the caller reads several bands at a time
}
SIGNATURE_BOX: Final = b"\0\0\0\x0cjP  \r\n\x87\n"
"""with which each JPEG 2000 file begins"""
END_OF_CODESTREAM: Final = b"\xff\xd9"
REFUSED: Final = re.compile(
    r"(?i)response code: 40[13]|access ?denied|InvalidAccessKeyId|access key id .*does not exist|signature(?!=)|"
    r"AWS_SECRET_ACCESS_KEY|expired|credentials"
)
NOT_THERE: Final = re.compile(
    r"(?i)response code: (404|410)|specified (key|bucket) does not exist|does not exist in the file system"
)
KEYS_WANTED: Final = "It is not there, or its host wants keys or a signature: docs/catalogues.md"
BUSY: Final = re.compile(r"HTTP error code: (429|503)\b|failed with response_code=(429|503)\b")
"""what GDAL says in the thread that asked: before it asks again, or of the parts of a window that it asked for at once
"""
BUSY_TO_THE_END: Final = "Its host is busy: run the same command again later"
MOST_WAITED_S: Final = 1_800.0
"""of one file, after which it is not opened again"""
IN_MEMORY: Final = re.compile(r"/vsimem/[^\s']+")
"""another name each time, which would make of one damage many"""
WAITS_S: Final = (0.5, 2.0, 8.0)
"""before a file elsewhere is opened again: a server drops connections, or cuts an answer off"""

IN_THE_HEADER: Final = (QuarantineReason.WRONG_CRS, QuarantineReason.WRONG_GRID)
"""what is wrong with a file of which GDAL got a part of the header alone"""

UNRECOGNISED: Final = "not recognized as being in a supported file format"
"""what GDAL says of another format, and of a host that answers otherwise than it was asked"""
NOT_WRITTEN: Final = "error while writing into target file"
"""what GDAL says of a copy, whether the disk is full or a quota or a limit of the process is"""

Result = TypeVar("Result")


class NotWrittenError(Exception):
    """The copy of a file cannot be written on this machine, which is no fault of the file."""


def with_patience(href: str, read: Callable[[str], Result], *, named: str = "") -> Result:
    """What `read` makes of the address to open, while rasterio has the options and keys of the file's provider.

    One of the provider's connections is held meanwhile. A file elsewhere is opened again after a failure that may pass,
    and once where its host refuses, with another token or signature. Errors name the file, or `named`, of which it is a
    copy. Raises SceneError: UNREADABLE_FILE, also where a token, a signature or a key cannot be had, MISSING_BAND where
    a local file does not exist, FORBIDDEN_ADDRESS; and whatever else `read` raises.
    """
    is_remote, fresh, waited_s = local_file(href) is None, False, 0.0
    waits, refused = list(WAITS_S) if is_remote else [], ""
    while True:
        reading = _Reading(href, backoff_of(href))
        try:
            with _entered(reading, fresh=fresh) as address:
                return read(address)
        except SceneError as error:
            if fresh or not is_remote or error.reason not in IN_THE_HEADER:
                raise
            fresh = True  # an answer that was cut off within the header leaves a file that opens, without its grid
        except (RasterioError, OSError) as error:
            why = _one_line(error).replace(href, "the copy") if named else _one_line(error)
            lasting = REFUSED.search(why) or NOT_THERE.search(why)
            waited_s += reading.waited_s
            if (lasting and fresh) or not waits or waited_s > MOST_WAITED_S:
                mend = reading.opening.mend if REFUSED.search(why) else ""
                raise _unreadable(
                    (refused or why) + _said_by_the_host(reading, why),
                    named or href,
                    mend or (KEYS_WANTED if lasting and is_remote else BUSY_TO_THE_END if reading.busy else ""),
                ) from error
            if lasting:  # GDAL keeps such answers, and the key, the token or the file may be another one by now
                reading.opening.forget()
                refused = why  # the server's own words: the second time GDAL gives the status alone
            else:
                log.info("%s: %s; again in %.1f s", without_signatures(href), why, waits[0])
                time.sleep(waits.pop(0))
            fresh = True


def fetch(href: str, path: Path, size: int | None = None) -> None:
    """Copies a whole file to this machine; `size` are its bytes where its item states them.

    One that arrives cut off is fetched again, unless its host gives the same part of it each time. What comes of a try
    that fails counts against the provider's pace too. Raises SceneError as `with_patience` does, and NotWrittenError.
    """
    arrived: set[int] = set()

    def copy(address: str) -> None:
        with rasterio.Env(CPL_VSIL_CURL_CHUNK_SIZE=str(CHUNK_BYTES), VSI_CACHE="FALSE"), path.open("wb") as written:
            try:
                rasterio.shutil.copyfiles(address, str(path))
            except Exception as error:  # GDAL's own, which rasterio gives no public name here
                if NOT_WRITTEN in str(error):
                    raise NotWrittenError("no more bytes can be written there") from error
                raise RasterioIOError(str(error)) from error
            finally:  # GDAL removes the file where it fails; what is open here has its size all the same
                got = os.fstat(written.fileno()).st_size
                account(href, n_bytes=got, n_requests=requests_of_copy(got))
        if (got < size if size is not None else _is_cut_off(path)) and got not in arrived:
            arrived.add(got)  # GDAL takes an answer that was cut off for the end of the file
            raise RasterioIOError(f"it was cut off after {got:,} bytes")

    with_patience(href, copy)


def _is_cut_off(path: Path) -> bool:
    """Whether a JPEG 2000 file ends within its last box or before the end of its pixels; False for what is none.

    Source: ISO/IEC 15444-1, annexes A.4.4 and I.4.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        if file.read(12) != SIGNATURE_BOX:
            return size < len(SIGNATURE_BOX)
        at = len(SIGNATURE_BOX)
        while at < size:
            file.seek(at)
            head = file.read(16)
            if len(head) < 8:
                return True
            length, kind = int.from_bytes(head[:4], "big"), head[4:8]
            if length == 1:  # it stands in the eight bytes after the kind
                length = int.from_bytes(head[8:], "big")
            if length == 0:  # to the end of the file
                file.seek(size - len(END_OF_CODESTREAM))
                return kind == b"jp2c" and file.read() != END_OF_CODESTREAM
            if length < 8:
                return False
            at += length
    return at > size


def account(href: str, *, n_bytes: float, n_requests: float = 1) -> None:
    """Counts what was read of a file against the pace of its provider, and waits where that was too much. Whoever calls
    it holds the connection still (`with_patience`)."""
    if (provider := provider_of(href)) is not None:
        pace_of(provider).spend(n_bytes=n_bytes, n_requests=n_requests)


class _Keys(Session):  # type: ignore[misc]  # rasterio has no types
    """GDAL's options of one file. Rasterio takes keys from a session alone, and its own needs boto3."""

    def __init__(self, options: Mapping[str, str]) -> None:
        self._options = dict(options)

    @classmethod
    def hascreds(cls, _: Mapping[str, str]) -> bool:
        return True

    def get_credential_options(self) -> dict[str, str]:
        return dict(self._options)


def _opening(href: str) -> Opening:
    try:
        return opening_of(href)
    except NoEntryError as error:
        raise SceneError(
            str(error), reason=QuarantineReason.UNREADABLE_FILE, where=without_signatures(href), mend=error.mend
        ) from error


@dataclass
class _Reading:
    """One try at a file, by the thread that makes it."""

    href: str
    backoff: Backoff
    opening: Opening = field(default_factory=lambda: Opening(""))
    """once it has its connection"""
    waited_s: float = 0.0
    busy: str = ""
    """the last status by which the host put GDAL off"""
    heeded_at_once: bool = False
    """GDAL tells of each part that it asked for at once, after all are refused: one of them is enough"""


_here: Final = threading.local()
"""`reading`: what the thread is at"""


@contextmanager
def _entered(reading: _Reading, *, fresh: bool) -> Iterator[str]:
    """Yields the address to open. `fresh` forgets what GDAL keeps of the file, failures too."""
    provider, options = provider_of(reading.href), dict[str, Any](GDAL_OPTIONS)
    pace = pace_of(provider) if provider else NO_PACE
    if pace.is_bounded or reading.backoff.has_been:  # else GDAL asks for the parts of a window all at once
        options["GDAL_HTTP_MULTIRANGE"] = "SERIAL"
    if fresh:
        options["CPL_VSIL_CURL_NON_CACHED"] = "/vsis3/:/vsigs/:/vsicurl/"
    with pace.connection():
        reading.backoff.wait()
        reading.opening = opening = _opening(reading.href)  # not before: a token may end while others are waited for
        with rasterio.Env(session=_Keys(opening.options), **options):
            check_redirects(reading.href, opening.headers)
            before, _here.reading = getattr(_here, "reading", None), reading
            try:
                yield opening.address
            finally:
                _here.reading = before


class _Heeding(logging.Filter):
    """Lets a host that is busy have the time that it states. GDAL asks again after a wait of its own and reads no
    `Retry-After`; but it says so first, in the thread that asked, and goes on when that is logged."""

    def filter(self, record: logging.LogRecord) -> bool:
        reading: _Reading | None = getattr(_here, "reading", None)
        said = BUSY.search(record.getMessage()) if reading else None
        if reading is None or said is None or (said[2] and reading.heeded_at_once):
            return True
        began = time.monotonic()
        reading.busy, reading.heeded_at_once = said[1] or said[2], said[2] is not None
        reading.backoff.refused(lambda: stated_wait(reading.opening, reading.href))
        reading.waited_s += time.monotonic() - began
        return True


for _name in ("rasterio._env", "rasterio._err"):
    logging.getLogger(_name).setLevel(logging.WARNING)  # whatever the root's is: a filter hears what is logged
    logging.getLogger(_name).addFilter(_Heeding())


def _said_by_the_host(reading: _Reading, why: str) -> str:
    if reading.busy:
        return f"; its host answered {reading.busy}"
    if UNRECOGNISED in why and urlsplit(reading.href).scheme in ("http", "https"):
        given = given_in_place_of_a_part(reading.opening, reading.href)
        return f"; its host gives {given}" if given else ""
    return ""


def _unreadable(why: str, href: str, mend: str) -> SceneError:
    path = local_file(href)
    if path is not None and not path.exists():
        return SceneError(
            "the file does not exist", reason=QuarantineReason.MISSING_BAND, where=without_signatures(href)
        )
    return SceneError(
        f"cannot be read ({IN_MEMORY.sub('the member', why)})",
        reason=QuarantineReason.UNREADABLE_FILE,
        where=without_signatures(href),
        mend=mend if urlsplit(href).scheme else "",
    )


def _one_line(error: BaseException) -> str:
    """The innermost message: rasterio says "Read failed. See previous exception for details."."""
    while error.__cause__ is not None:
        error = error.__cause__
    return without_signatures(" ".join(str(error).split()))
