"""Secrets leave no trace: what is printed, logged or stored passes `masked` first.

A secret is what a service gave (`hide`), and whatever the environment marks as one: the value of a variable that is
named like one (password, token, secret, key, header …), and of any variable the password of an address, a query
parameter or a connection string in it. It is found in a text as it stands, percent-encoded, escaped for JSON or XML,
and in base64 as HTTP sends it. Beside that, an address with a password is masked wherever it came from.

Raises nothing, reads the environment alone.
"""

from __future__ import annotations

import base64
import html
import json
import logging
import os
import re
import threading
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote, quote_plus, unquote, unquote_plus

from cropmap.printable import printable

MASK: Final = "***"
SHORT: Final = 8
"""a secret below this length is masked as a whole word only: `cat` is no part of `catalogue`"""
SECRET_NAME: Final = re.compile(
    r"PASSW|PASSPHRASE|PWD$|SECRET|TOKEN|CREDENTIAL|HEADER|USERPWD|AUTH(?!OR|ENTICATION_METHOD)|SIGNATURE"
    r"|(^|_)(PASS|SAS|API_?KEY|ACCESS_?KEY|ACCESS_KEY_ID|CLIENT_ID|ACCOUNT_KEY|PRIVATE_KEY|KEY)$",
    re.IGNORECASE,
)
"""names of environment variables whose whole value is secret"""
NO_SECRET: Final = re.compile(
    r"^((OLD)?PWD|SSH_AUTH_SOCK|XAUTHORITY)$|(TIMEOUT|SECONDS|COUNT|TOKENS|ENABLED|METHOD|TYPE|MODE|PORT|_MAX|_MIN)$"
)
"""names that only look so"""
MOST_LENT: Final = 64
"""secrets that services gave; older ones have ended"""
_lent: Final[dict[str, None]] = {}
_LENT_LOCK: Final = threading.Lock()
NO_VALUE: Final = frozenset(["0", "1", "true", "false", "yes", "no", "none", "null", "on", "off", "basic", "bearer"])
"""values of such variables that say nothing"""

PLAIN_HEADERS: Final = ("accept", "accept-language", "content-type", "user-agent")
_QUOTES: Final = " \t'\"{}[]"
STORES: Final = ("s3", "gs", "gcs", "az", "abfs", "abfss", "wasb", "wasbs")
"""where the user's name is half of the secret"""
DATABASES: Final = ("postgres", "mysql", "mssql", "sqlite")
"""where a name without a password is none"""

_WORD: Final = (
    r"pass(?:word|wd|phrase)?|pwd|sslpassword|(?:access|auth|id|refresh|session|security|sas|x-amz-security)?[_-]?token|"
    r"secret|(?:aws[_-]?)?secret[_-]?(?:access[_-]?)?key|(?:aws[_-]?)?access[_-]?key(?:[_-]?id)?|account[_-]?key|"
    r"api[_-]?key|subscription[_-]?key|client[_-]?secret|sig|x-goog-(?:signature|credential)|x-amz-signature|"
    r"x-amz-credential|signature|credential"
)
_PARAMETER: Final = re.compile(
    # also of an address within an address, where it is percent-encoded
    rf"(?i)(?:(?<![\w-])|(?<=%26)|(?<=%3F))((?:{_WORD})\s*(?:=|%3D)\s*)('[^']*'|\"[^\"]*\"|[^\s&;'\"<>,)]+)"
)
_HEADER: Final = re.compile(
    r"(?i)((?:proxy-)?authorization|x-api-key|[\w-]*subscription-key|cookie)(['\"]?\s*[:=]\s*['\"]?)"
    r"((?:basic|bearer|digest|token)\s+)?([^\s'\",;]+)"
)
_BEARER: Final = re.compile(r"\b(Bearer)\s+([A-Za-z0-9+/_.~-]{8,}=*)")
_ADDRESS: Final = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*:)?//([^\s/?#'\"<>@]*(?:@[^\s/?#'\"<>@]*)*)@")


def hide(secret: str) -> None:
    """From now on this process masks a secret that a service gave it, such as a token; of many, the newest ones."""
    with _LENT_LOCK:
        _lent.pop(secret, None)
        _lent[secret] = None
        while len(_lent) > MOST_LENT:
            del _lent[next(iter(_lent))]


def masked(text: str) -> str:
    """The text without any secret of the environment or of a service, and without the password of any address."""
    secrets = _pattern(_environment(), tuple(_lent))
    if secrets is not None:
        text = secrets.sub(MASK, text)
    if "//" in text:
        text = _ADDRESS.sub(_without_password, text)
    text = _PARAMETER.sub(rf"\1{MASK}", text)
    text = _HEADER.sub(lambda m: f"{m[1]}{m[2]}{m[3] or ''}{MASK}", text)
    return _BEARER.sub(rf"\1 {MASK}", text)


def masked_value(value: Any) -> Any:
    """A value with every text in it masked, keys left as they are."""
    if isinstance(value, str):
        return masked(value)
    if isinstance(value, Mapping):
        return {key: masked_value(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(masked_value, value)) if type(value) in (list, tuple) else value
    return value


_URL: Final = re.compile(r"\b([a-zA-Z][a-zA-Z0-9+.-]*)://[^\s'\"<>()]*[^\s'\"<>().,:;]")
_PATH: Final = re.compile(r"(?<![\w.:/*…])/(?:[^\s/'\"<>():,;]+/)*([^\s/'\"<>():,;]+)/?")
_HOST: Final = re.compile(r"(?i)(server at|host(?: name)?[ =]+|port[ =:]+)\s*(\"[^\"]*\"|'[^']*'|[\w.:\[\]-]+)")
_COUNT: Final = re.compile(
    r"\b\d[\d ,.\u202f]*(?= (?:(?:of|or more|judged|assessable|labelled|drawn) |\d[\d,.\u202f]* )*"
    r"(?:parcels|declarations|holdings)\b)"
)
_IP: Final = re.compile(r"(?<![\w.])(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-f:]{2,}\])(?::\d+)?(?![\w.]*\d)")


def public(text: str) -> str:
    """`masked`, and without the folders, sockets and addresses of this installation: for rows that others read. Of a
    path or an address the last part stays, so that a person can find it in the log. Counts of parcels go too: they are
    sums that the tables of areas do not have."""
    text = _URL.sub(lambda m: f"{m[1]}://…" + _last_part(m[0]), masked(text))
    text = _PATH.sub(r"…/\1", text)
    text = _HOST.sub(lambda m: f"{m[1].rstrip()} …", text)
    return _COUNT.sub("…", _IP.sub("…", text))


def mask_logs() -> None:
    """From now on every log record of this process is masked and printable as it is made, whichever logger makes it."""
    if getattr(logging.getLogRecordFactory(), "masks", False):
        return
    make = logging.getLogRecordFactory()

    def record(*args: Any, **kwargs: Any) -> logging.LogRecord:
        return _masked_record(make(*args, **kwargs))

    record.masks = True  # type: ignore[attr-defined]
    logging.setLogRecordFactory(record)


def _masked_record(record: logging.LogRecord) -> logging.LogRecord:
    if record.args:
        record.args = _masked_args(record.args)
    try:
        text = record.getMessage()
    except (TypeError, ValueError, KeyError):  # a message that does not fit its arguments: logging reports it itself
        return record
    if (hidden := printable(masked(text))) != text:
        record.msg, record.args = hidden, ()
    if record.exc_info and record.exc_info[1] is not None:
        traceback = logging.Formatter().formatException(record.exc_info)
        if (hidden := printable(masked(traceback))) != traceback:
            record.exc_text, record.exc_info = hidden, None
    return record


def _masked_args(args: Any) -> Any:
    if isinstance(args, Mapping):
        return {key: masked(value) if isinstance(value, str) else value for key, value in args.items()}
    return tuple(masked(value) if isinstance(value, str) else value for value in args)


def _last_part(url: str) -> str:
    path = url.partition("://")[2].partition("?")[0].partition("#")[0].partition("/")[2].rstrip("/")
    return f"/{path.rpartition('/')[2]}" if path else ""


def _without_password(address: re.Match[str]) -> str:
    """`postgresql://user:***@`; of stores and of a token in the user's place nothing stays."""
    scheme, (user, separator, _) = address[1] or "", address[2].partition(":")
    if separator and scheme.lower().rstrip(":") not in STORES:
        return f"{scheme}//{user}:{MASK}@"
    return address[0] if scheme.lower().startswith(DATABASES) else f"{scheme}//{MASK}@"


def _environment() -> tuple[tuple[str, str], ...]:
    return tuple(sorted(os.environ.items()))


@lru_cache(maxsize=4)
def _pattern(environment: tuple[tuple[str, str], ...], lent: tuple[str, ...] = ()) -> re.Pattern[str] | None:
    """All secrets of an environment, and those lent by services, in all their forms, the longest first."""
    found = [*lent, *(secret for name, value in environment for secret in _secrets(name, value))]
    forms = {form for secret in found for form in _forms(secret)}
    if not forms:
        return None
    parts = (
        re.escape(form) if len(form) >= SHORT else rf"(?<![A-Za-z0-9]){re.escape(form)}(?![A-Za-z0-9])"
        for form in sorted(forms, key=lambda form: (-len(form), form))
    )
    return re.compile("|".join(parts))


def _secrets(name: str, value: str) -> Iterator[str]:
    """What of a variable must not be seen."""
    for password in _within(value):
        yield from (password, unquote(password), unquote_plus(password))
    if NO_SECRET.search(name.upper()) or not SECRET_NAME.search(name) or _is_a_place(name, value):
        return
    yield value
    for line in value.splitlines():  # headers, `name: value` or `name=value`, one a line or several with commas
        for part in (line, *line.split(",")):
            name, separator, content = re.split(r"([:=]|$)", part.strip(_QUOTES), maxsplit=1)
            if name.strip(_QUOTES).lower() not in PLAIN_HEADERS:
                content = content.strip(_QUOTES) if separator else name
                yield from (content, re.sub(r"(?i)^(basic|bearer|token)\s+", "", content))


def _is_a_place(name: str, value: str) -> bool:
    """A file with a secret in it is none itself."""
    return bool(re.search(r"_(FILE|PATH|DIR)$", name, re.IGNORECASE)) or value.startswith(("/", "./", "~/"))


def _within(value: str) -> Iterator[str]:
    """Passwords within a value: of an address, however it is written, of a query, of a libpq connection string."""
    # to the last @: a password may hold one that is not encoded
    for scheme, address in re.findall(r"(?:^|[\s,;='\"])(?:([\w+.-]+):?//)?([^\s/:@]*:(?!//)\S+)@", value):
        user, _, password = address.partition(":")
        yield password
        if scheme.lower() in STORES:
            yield user
        yield base64.b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode()
    for scheme, user in re.findall(r"(?:^|[\s,;='\"])([\w+.-]+)://([^\s/:?#@]+)@", value):
        if not scheme.lower().startswith(DATABASES):
            yield user
    for parameter in _PARAMETER.finditer(value):
        yield parameter[2].strip("'\"")


def _forms(secret: str) -> set[str]:
    """A secret as programs write it."""
    if secret.lower() in NO_VALUE or len(secret) < 2:
        return set()
    encoded = {quote(secret, safe=""), quote(secret), quote_plus(secret), quote(secret, safe="!$&'()*+,;=:@")}
    lower = {re.sub(r"%[0-9A-F]{2}", lambda m: m[0].lower(), form) for form in encoded}
    escaped = {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1]}
    raw = secret.encode(errors="surrogateescape")
    sent = {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()} if len(raw) >= 4 else set()
    return {secret, *encoded, *lower, *escaped, html.escape(secret), *sent} - {""}
