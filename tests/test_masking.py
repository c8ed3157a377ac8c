"""No secret of the environment in a text, in whatever form, and nothing else masked."""

from __future__ import annotations

import base64
import io
import json
import logging
import pickle
import re
from pathlib import Path
from urllib.parse import quote

import pytest

from cropmap.cli import run
from cropmap.errors import CropmapError, PartialFailureError
from cropmap.masking import mask_logs, masked, public

SECRET = 'pä/ss w@rd+"1%'


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MLFLOW_TRACKING_URI", f"http://ops:{quote(SECRET, safe='')}@127.0.0.1:5999"),
        ("CROPMAP_STORE", f"s3://KEYKEYKEY:{quote(SECRET, safe='')}@bucket/prefix"),
        ("CROPMAP_DATABASE_URL", f"postgresql:///crop?host=/run/x&password={quote(SECRET, safe='')}"),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("MLFLOW_TRACKING_PASSWORD", SECRET),
        ("PREFECT_API_AUTH_STRING", f"cropmap:{SECRET}"),
        ("STAC_HEADERS", f"Authorization: Bearer {SECRET}"),
        ("STAC_HEADERS", f"Accept: application/json\nx-api-key: {SECRET}"),
        ("STAC_HEADERS", json.dumps({"x-api-key": SECRET}, ensure_ascii=False).replace('\\"', '"')),
    ],
)
def test_a_secret_is_masked_in_every_form(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, value)
    forms = [
        SECRET,
        quote(SECRET, safe=""),
        quote(SECRET),
        quote(SECRET, safe="").lower().replace("p%c3%a4", "p%c3%a4"),
        json.dumps(SECRET)[1:-1],
        repr(SECRET)[1:-1],
        base64.b64encode(SECRET.encode()).decode(),
    ]
    for form in forms:
        assert masked(f"before {form} after") == "before *** after"


@pytest.mark.parametrize(
    "value",
    [
        "postgres://me:hunter2@db/crop",
        "postgres//me:hunter2@db/crop",
        "me:hunter2@db/crop",
        "postgresql://me:hunter2@[::1/crop",
        "host=db user=me password=hunter2",
        "postgresql://me:hunter2@db:port/crop",
    ],
)
def test_a_malformed_address_hides_its_password_too(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROPMAP_DATABASE_URL", value)
    assert "hunter2" not in masked(f"cannot read {value}, nor hunter2")


@pytest.mark.parametrize("password", ["q7xk@zz9/jv4w", "q7xk:zz9@jv4w", "50%q7xk", "q7xk#zz9?jv4w", "[q7xk"])
def test_no_part_of_a_password_that_nobody_encoded_is_said(
    password: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CROPMAP_DATABASE_URL", f"postgresql://me:{password}@127.0.0.1:1/crop")
    assert run(["db", "status"]) in (1, 2)
    err = capfd.readouterr().err
    assert len(err.splitlines()) == 1
    for part in re.split(r"[@/:#?%\[]", password):
        assert len(part) < 3 or part not in err


def test_what_came_from_nowhere_is_masked_by_its_place() -> None:
    assert masked("http://ops:pw@host/x") == "http://ops:***@host/x"
    assert masked("s3://KEY:SECRET@bucket/x") == "s3://***@bucket/x"
    assert masked("postgresql://me:s3:cret@db:5432/crop") == "postgresql://me:***@db:5432/crop"
    assert (
        masked("postgresql://me@/crop?host=/run/x&password=s3cret") == "postgresql://me@/crop?host=/run/x&password=***"
    )
    assert masked("https://token@host/x?sig=abc%3D&se=1") == "https://***@host/x?sig=***&se=1"
    assert masked("https://host/x?a=1&X-Goog-Signature=ab12&z=1") == "https://host/x?a=1&X-Goog-Signature=***&z=1"
    assert masked("https://host/r?to=https%3A%2F%2Fx%3Fsp%3Dr%26sig%3Dab12") == (
        "https://host/r?to=https%3A%2F%2Fx%3Fsp%3Dr%26sig%3D***"
    )
    assert masked("x-api-key: abc, Authorization: Basic b3BzOng=") == "x-api-key: ***, Authorization: Basic ***"


@pytest.mark.parametrize(
    "text",
    [
        "no lstm is trained. Run `cropmap train` (or `season run`) first",
        "postgresql://me@host:5432/crop",
        "https://host/path/@user/x",
        "parcel_id=7, crop_code = WHE",
        "OA 0.8123 -> 0.8200; 2 of 4 up",
        "a catalogue",
        "the key is the hash of the data",
        "basic knowledge",
        "2018-05-15T12:00:00",
    ],
)
def test_other_texts_stay_as_they_are(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_PASSWORD", "cat")  # short: a word of its own only
    monkeypatch.setenv("SOME_TOKEN_TIMEOUT", "5432")
    monkeypatch.setenv("SOME_HEADERS", "Accept: the data")
    assert masked(text) == text


def test_errors_carry_no_secret_not_even_pickled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "s3cretword")
    error = CropmapError("said s3cretword", where="http://u:s3cretword@h", mend="not s3cretword")
    several = PartialFailureError({"lstm": "because of s3cretword"}, of=2, unit="networks")
    for one in (error, several):
        assert "s3cretword" not in f"{one} {one!r} {vars(one)}"
        assert b"s3cretword" not in pickle.dumps(one)


def test_logs_carry_none_whoever_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "s3cretword")

    def fail() -> None:
        raise ValueError("s3cretword") from OSError("http://u:s3cretword@h")

    before = logging.getLogRecordFactory()
    try:
        mask_logs()
        mask_logs()
        sink = io.StringIO()
        logger, handler = logging.getLogger("somebody.else"), logging.StreamHandler(sink)
        logger.addHandler(handler)
        try:
            fail()
        except ValueError:
            logger.exception("failed with %s", {"password": "s3cretword"})
        logger.warning("plain %s and %d", "s3cretword", 7)
        logger.removeHandler(handler)
    finally:
        logging.setLogRecordFactory(before)
    said = sink.getvalue()
    assert "s3cretword" not in said
    assert "ValueError: ***" in said
    assert "plain *** and 7" in said


@pytest.mark.parametrize(
    "text",
    [
        "1,234 parcels are not in the register",
        "it would withdraw 1234 of 1\u202f234 declarations",
        "1234 judged parcels, 3 without probability",
        "1234 of 1234 drawn parcels are not judged",
    ],
)
def test_public_rows_count_no_parcels(text: str) -> None:
    said = public(text)
    assert "…" in said
    assert "234" not in said


def test_public_rows_keep_other_counts() -> None:
    text = "30UVU: 3 files are unreadable, 2 of 7 units failed, fold 4"
    assert public(text) == text


def test_public_rows_name_no_folder_socket_or_address() -> None:
    said = public(
        'connection to server on socket "/tmp/x/home/run/.s.PGSQL.5432" failed; server at "10.0.0.5", port 5432; '
        "http://10.0.0.7:5000/api: gone; /data/in/B04.tif: cut; 2/3 of n/a at 10:30:00"
    )
    for hidden in ("home/run", "10.0.0.", "5000", "/data"):
        assert hidden not in said
    for kept in (".s.PGSQL.5432", "B04.tif", "2/3 of n/a at 10:30:00"):
        assert kept in said
