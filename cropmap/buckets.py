"""Objects in a bucket of an S3 server, any that speaks S3: Amazon, MinIO, Ceph, SeaweedFS, Data Space.

Keys and endpoint come from the environment of each process that opens the bucket, so that no address, pickle or message
holds them. A dropped connection is tried again. What no step can do without (an answer, a permission, the bucket, room)
ends as one line within half a minute.
"""

from __future__ import annotations

import io
import re
import tempfile
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import timedelta
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PreconditionError
from obstore.store import S3Store
from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from cropmap.errors import ConfigurationError, StoreRefusedError, StoreUnavailableError

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import S3Credential

T = TypeVar("T")

PREFIX: Final = "CROPMAP_STORE_"
CONNECT_SECONDS: Final = 5
SILENT_SECONDS: Final = 20
"""after which a server that took a request and does not answer is given up"""
REQUEST_SECONDS: Final = 300
RETRY_SECONDS: Final = 10
"""requests that fail are sent again until then"""
TRIES: Final = 6
"""of a request whose answer was cut or is none of an S3 server, or met another one of the same object: the client does
not send those again by itself"""
PART: Final = 8 << 20
"""bytes that are sent, or read, in one request: few enough for SILENT_SECONDS on a slow line"""
WHOLE: Final = 64 << 20
"""bytes of an object that are read in one request; a larger one is read in such pieces"""
CUT: Final = re.compile(r"body error|response body")
GARBLED: Final = re.compile(r"Got invalid|Unable to extract metadata")
SILENT: Final = re.compile(r"(?i)timed ?out|kind: Timeout")
AGAIN: Final = "then run the same command again"
SERVER_MEND: Final = f"Check {PREFIX}ENDPOINT and that the server runs, {AGAIN}"
ROLE: Final = "/latest/api/token"
"""where the client asks for the role of its machine when it has no key"""
KEYS: Final = f"{PREFIX}ACCESS_KEY_ID and {PREFIX}SECRET_ACCESS_KEY"
BAD_KEY: Final = (
    *("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired"),
)
CLOCK: Final = ("RequestTimeTooSkewed", "RequestExpired")
FULL: Final = re.compile(r"Quota|StorageFull|InsufficientStorage|NoSpace")
BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_CODE: Final = re.compile(r"<Code>(\w+)</Code>")
_STATUS: Final = re.compile(r"status code: (\d{3})")


class StoreSettings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore")

    endpoint: str = Field(
        "",
        description="address of the S3 server of `CROPMAP_STORE`, such as `https://s3.example.org`; default: "
        "`AWS_ENDPOINT_URL`, else Amazon",
    )
    region: str = Field(
        "", description="region of the bucket; default: `AWS_REGION`, else us-east-1, which most other servers accept"
    )
    access_key_id: SecretStr = Field(
        SecretStr(""),
        description="key of the object store, with `CROPMAP_STORE_SECRET_ACCESS_KEY`; default: what Amazon's tools "
        "use, that is `AWS_ACCESS_KEY_ID`, a token file of the container, or the role of the machine",
    )
    secret_access_key: SecretStr = Field(SecretStr(""), description="secret of that key")
    session_token: SecretStr = Field(SecretStr(""), description="session token of a temporary key")
    path_style: bool = Field(
        True,
        description="whether the bucket stands in the path of an address (`https://host/bucket/key`), which nearly "
        "every server takes, or in the host (`false`: `https://bucket.host/key`); default: true",
    )

    @classmethod
    def load(cls) -> StoreSettings:
        """Raises ConfigurationError."""
        try:
            settings = cls()
        except ValidationError as error:
            problem = error.errors()[0]
            raise ConfigurationError(problem["msg"], where=PREFIX + str(problem["loc"][0]).upper()) from error
        if bool(settings.access_key_id.get_secret_value()) != bool(settings.secret_access_key.get_secret_value()):
            raise ConfigurationError("one half of a key pair is missing", where=KEYS, mend="Set both, or neither")
        if settings.endpoint and urlsplit(settings.endpoint).scheme not in ("http", "https"):
            raise ConfigurationError(
                "is no address of a server", where=f"{PREFIX}ENDPOINT", mend="It begins with https:// or http://"
            )
        return settings

    def for_amazons_tools(self) -> dict[str, str]:
        """The same as the variables that other programs read (boto3, MLflow); what is not set is not in it."""
        values = {
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "MLFLOW_S3_ENDPOINT_URL": self.endpoint,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ACCESS_KEY_ID": self.access_key_id.get_secret_value(),
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key.get_secret_value(),
            "AWS_SESSION_TOKEN": self.session_token.get_secret_value(),
        }
        own_key = bool(values["AWS_ACCESS_KEY_ID"])  # then no token of another one belongs to it
        return {name: value for name, value in values.items() if value or (own_key and name == "AWS_SESSION_TOKEN")}

    def credential(self) -> S3Credential | None:
        """What signs requests; None: the client searches where Amazon's tools do."""
        if not self.access_key_id.get_secret_value():
            return None
        return {
            "access_key_id": self.access_key_id.get_secret_value(),
            "secret_access_key": self.secret_access_key.get_secret_value(),
            "token": self.session_token.get_secret_value() or None,
            "expires_at": None,
        }


class Bucket:
    """Names are keys below the address's prefix. Errors are FileNotFoundError where there is no such object;
    ConfigurationError or StoreUnavailableError where the store cannot be used; otherwise OSError."""

    def __init__(self, address: str) -> None:
        """`s3://bucket/prefix`. Raises ConfigurationError for another address, and for settings that are incomplete."""
        self.address = address.rstrip("/")
        scheme, _, place = self.address.partition("://")
        self._bucket, _, prefix = place.partition("/")
        self._prefix = prefix.strip("/")
        if scheme != "s3" or not BUCKET.fullmatch(self._bucket) or not _is_prefix(self._prefix):
            raise ConfigurationError(
                "is no address of a store",
                where=address,
                mend=f"Set CROPMAP_STORE to a folder or s3://bucket/prefix; keys and endpoint stand in {PREFIX}…",
            )
        self._settings = StoreSettings.load()
        self._found = False

    @cached_property
    def _client(self) -> S3Store:
        settings, config = self._settings, dict[str, Any]()
        if endpoint := settings.endpoint.rstrip("/"):
            if not settings.path_style:
                endpoint = endpoint.replace("://", f"://{self._bucket}.", 1)
            config["aws_endpoint_url_s3"] = endpoint  # the one that no variable of Amazon's tools overrules
        if settings.region:
            config["region"] = settings.region
        credential = settings.credential()
        return S3Store(
            self._bucket,
            prefix=self._prefix or None,
            virtual_hosted_style_request=not settings.path_style,
            disable_bulk_delete=True,
            client_options={
                "allow_http": True,
                "connect_timeout": f"{CONNECT_SECONDS}s",
                "read_timeout": f"{SILENT_SECONDS}s",
                "timeout": f"{REQUEST_SECONDS}s",
            },
            retry_config={"max_retries": 8, "retry_timeout": timedelta(seconds=RETRY_SECONDS)},
            credential_provider=(lambda: credential) if credential else None,
            **config,
        )

    def read(self, name: str) -> tuple[bytes, str]:
        """The bytes and their version. Raises FileNotFoundError."""

        def whole() -> tuple[bytes | None, ObjectMeta]:
            answer = obstore.get(self._client, name)
            return answer.bytes().to_bytes() if answer.meta["size"] <= WHOLE else None, answer.meta

        data, about = self._do(whole)
        if data is None:
            starts, size = range(0, about["size"], WHOLE), about["size"]
            data = b"".join(self.read_part(name, start, min(start + WHOLE, size)) for start in starts)
        return data, _version(about)

    def read_part(self, name: str, start: int, end: int) -> bytes:
        def part() -> bytes:
            data = obstore.get_range(self._client, name, start=start, end=end).to_bytes()
            if len(data) != end - start:
                raise OSError(f"response body of {len(data)} bytes in place of {end - start}")
            return data

        return self._do(part)

    def open(self, name: str) -> io.RawIOBase:
        """For reading parts."""
        return _Parts(self, name, self._do(lambda: obstore.head(self._client, name))["size"])

    def open_whole(self, name: str) -> IO[bytes]:
        """For reading all of it, piece by piece: a copy in a temporary file without a name. Raises
        FileNotFoundError."""
        size = self._do(lambda: obstore.head(self._client, name))["size"]
        with ExitStack() as opened:
            file = opened.enter_context(tempfile.TemporaryFile())
            for start in range(0, size, PART):
                file.write(self.read_part(name, start, min(start + PART, size)))
            opened.pop_all()  # the caller closes it
        return file

    def version(self, name: str) -> str | None:
        try:
            return _version(self._do(lambda: obstore.head(self._client, name)))
        except FileNotFoundError:
            self._require_bucket()
            return None

    def versions(self, prefix: str) -> dict[str, str]:
        """Version by name of every object below `prefix`: one request for a thousand. A version is what the server says
        of the bytes (ETag): another one for other bytes."""

        def listed() -> dict[str, str]:
            pages = obstore.list(self._client, prefix or None, chunk_size=1_000)
            return {one["path"]: _version(one) for page in pages for one in page}

        found = self._do(listed)
        if not found:
            self._require_objects()
        self._found = True
        return found

    def write(self, name: str, data: bytes) -> None:
        self._put(name, lambda: data, size=len(data))

    def write_with(self, name: str, fill: Callable[[IO[bytes]], None]) -> None:
        """The same of what `fill` puts into a file that is open for writing and reading."""
        with tempfile.TemporaryFile() as file:
            fill(file)

            def whole() -> IO[bytes]:
                file.seek(0)
                return file

            self._put(name, whole, size=file.seek(0, 2))

    def _put(self, name: str, data: Callable[[], bytes | IO[bytes]], *, size: int) -> None:
        self._do(
            lambda: obstore.put(
                self._client, name, data(), use_multipart=size > PART, chunk_size=PART, max_concurrency=2
            ),
            writes=True,
        )

    def write_new(self, name: str, data: bytes) -> bool:
        """Writes the object unless there is one; returns whether it did."""
        return self._conditionally(name, data, "create")

    def write_over(self, name: str, data: bytes, version: str) -> bool:
        """Writes the object where what stands there is still this version; returns whether it did."""
        return self._conditionally(name, data, {"e_tag": version})

    def _conditionally(self, name: str, data: bytes, mode: Any) -> bool:
        try:
            self._do(lambda: obstore.put(self._client, name, data, mode=mode), writes=True)
        except StoreUnavailableError as error:
            if mode != "create" and isinstance(error.__cause__, FileNotFoundError):  # what was to be replaced is gone
                return False
            if not isinstance(error.__cause__, AlreadyExistsError | PreconditionError):
                raise
            try:
                return self.read(name)[0] == data  # a put whose answer was cut, and which was sent again, meets itself
            except FileNotFoundError:
                if mode == "create":  # refused, though nothing is there: no other writer has done it
                    raise error from None
            return False
        return True

    def remove(self, name: str) -> None:
        with suppress(FileNotFoundError):  # most servers do not tell
            self._do(lambda: obstore.delete(self._client, name))

    def clean(self) -> list[str]:
        """An object is whole or absent. What a killed process has sent of a large one is not shown, and is left to the
        bucket's own rule for incomplete uploads."""
        return []

    def _do(self, call: Callable[[], T], *, writes: bool = False) -> T:
        """What `writes` never lacks an object: a 404 says something else of the store."""
        for rest in reversed(range(TRIES)):
            try:
                return call()
            except (BaseError, OSError) as error:
                if rest and _may_pass(error):
                    time.sleep(0.1 * (TRIES - rest))
                    continue
                raise self._translated(error, writes=writes) from error
        raise AssertionError("the last try returns or raises")

    def _require_bucket(self) -> None:
        """Raises ConfigurationError where there is no bucket: a missing object alone does not tell."""
        if not self._found:
            self._do(lambda: next(iter(obstore.list(self._client, None, chunk_size=1)), None))
            self._found = True

    def _require_objects(self) -> None:
        """Raises StoreUnavailableError where every address is answered: the client takes any page for an empty list."""
        try:
            self._do(lambda: obstore.get(self._client, f"none-{uuid.uuid4().hex}"))
        except FileNotFoundError:
            return
        raise self._foreign("it has objects of any name")

    def _foreign(self, said: str) -> StoreUnavailableError:
        server = self._settings.endpoint or "the store"
        return StoreUnavailableError(
            f"{server} does not answer as an S3 server does ({said})", where=self.address, mend=SERVER_MEND
        )

    def _translated(self, error: Exception, *, writes: bool) -> Exception:
        """What the client says, as one of our errors; it answers with pages of XML and of its own state."""
        text = str(error)
        code = match[1] if (match := _CODE.search(text)) else ""
        status = match[1] if (match := _STATUS.search(text)) else ""
        said = code or (f"status {status}" if status else _first_words(text))
        refused, where = self._refused(text, code, status, said), self.address
        if refused is not None or (isinstance(error, FileNotFoundError) and not writes):
            return refused or error
        if FULL.search(code) or status == "507":
            return StoreUnavailableError(
                f"the store is full ({said})", where=where, mend=f"Free space there, or raise its quota; {AGAIN}"
            )
        if status == "501":
            return StoreUnavailableError(
                f"the store does not know such a request ({said})",
                where=where,
                mend="Take a server that knows puts on conditions (If-None-Match, If-Match)",
            )
        if status:
            mend = f"Its log says why (a full disk, too many requests); {AGAIN}"
            return StoreUnavailableError(f"the store cannot do this ({said})", where=where, mend=mend)
        if GARBLED.search(text):
            return self._foreign(said)
        server = self._settings.endpoint or "the store"
        return StoreUnavailableError(f"no answer from {server} ({said})", where=where, mend=SERVER_MEND)

    def _refused(self, text: str, code: str, status: str, said: str) -> StoreRefusedError | None:
        """What the settings of this process are the cause of."""
        where = self.address
        if ROLE in text:
            return StoreRefusedError("there is no key for this store", where=where, mend=f"Set {KEYS}")
        if code == "NoSuchBucket":
            mend = "Make it, or set CROPMAP_STORE to one that is there"
            return StoreRefusedError("there is no such bucket", where=where, mend=mend)
        if code in BAD_KEY:
            mend = f"Check {KEYS}, and the endpoint"
            return StoreRefusedError(f"the store does not accept the key ({code})", where=where, mend=mend)
        if code in CLOCK:
            mend = f"Set the clock of this machine; {AGAIN}"
            return StoreRefusedError(f"this machine's clock is not that of the store ({code})", where=where, mend=mend)
        if code in ("PermanentRedirect", "AuthorizationHeaderMalformed") or status in ("301", "307"):
            mend = f"Set {PREFIX}REGION"
            return StoreRefusedError(f"the bucket lies in another region ({said})", where=where, mend=mend)
        if status in ("401", "403") and not FULL.search(code):
            mend = "Let it list the bucket, and get, put and delete its objects; or check the key and the endpoint"
            return StoreRefusedError(f"the key may not do this ({said})", where=where, mend=mend)
        return None


class _Parts(io.RawIOBase):
    """An object as a file of which parts are read, each by one request."""

    def __init__(self, bucket: Bucket, name: str, size: int) -> None:
        self._of, self._name, self._size, self._at = bucket, name, size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def readinto(self, buffer: Any) -> int:
        end = min(self._at + len(buffer), self._size)
        if end <= self._at:
            return 0
        data = self._of.read_part(self._name, self._at, end)
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


def _is_prefix(prefix: str) -> bool:
    """Whether objects below it are found again, by every client."""
    parts = prefix.split("/") if prefix else []
    return prefix.isprintable() and not {"?", "#"} & {*prefix} and not {"", ".", ".."} & {*parts}


def _may_pass(error: Exception) -> bool:
    text = str(error)
    if isinstance(error, AlreadyExistsError):  # 409: another request for the object is at work, or was
        return "409" in _STATUS.findall(text)[:1]
    return bool((CUT.search(text) and not SILENT.search(text)) or GARBLED.search(text) or "NoSuchUpload" in text)


def _version(about: ObjectMeta) -> str:
    return about["e_tag"] or f"{about['size']}-{about['last_modified']}"


def _first_words(text: str) -> str:
    """The last sentence of the client's first line, without the address that it asked for."""
    line = next(iter(text.splitlines()), "")
    return line.rpartition(" - ")[2] or line
