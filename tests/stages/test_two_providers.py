"""A season whose catalogue wants a token, and whose files lie with two providers: rows equal to those from disk."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from cropmap.database import acquisitions as ledger
from cropmap.schemas import AcquisitionStatus, QuarantineReason
from cropmap.sources.catalogs.providers import in_use
from cropmap.stages.context import SeasonContext
from tests.data.hostile_api import Awkward, awkward_api
from tests.data.sign_in_services import Answer, Request, TokenService, of, service
from tests.s3_server import READER, STRANGER, S3Server
from tests.stages.conftest import observe_everything, open_context

BUCKET = "season-scenes"
SECRETS = (READER.secret_access_key, "the-secret-of-the-client", "the-access-token", "the-signature")


def entries(context: SeasonContext) -> list[ledger.LedgerEntry]:
    with context.connect() as connection:
        return ledger.read_acquisitions(connection, **context.key)


def rows(context: SeasonContext) -> dict[str, Any]:
    return {
        entry.item_id: context.store.read_table(entry.object_name or "").to_pylist()
        for entry in entries(context)
        if entry.status == AcquisitionStatus.OBSERVED
    }


def moved(scenes: Path, server: S3Server, files: dict[str, bytes], url: str) -> list[dict[str, Any]]:
    """The items of a folder of scenes: the files of every other one in a bucket, the others behind a web server."""
    items = []
    client = server.client()
    client.create_dir(BUCKET)
    for count, path in enumerate(sorted(scenes.rglob("S2*_L2A.json"))):
        item = json.loads(path.read_text())
        for asset in item["assets"].values():
            source = path.parent / asset["href"]
            name = f"{item['id']}/{source.name}"
            if count % 2:
                files[f"/container/{name}"] = source.read_bytes()
                asset["href"] = f"{url}/container/{name}"
            else:
                with client.open_output_stream(f"{BUCKET}/{name}") as sink:
                    sink.write(source.read_bytes())
                asset["href"] = f"s3://{BUCKET}/{name}"
        items.append(item)
    return items


@pytest.mark.slow
def test_a_season_of_two_providers(
    environment: None,
    tiny_inputs: Path,
    tmp_path: Path,
    s3_server: S3Server,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(in_use, "_own", {})
    monkeypatch.setenv("CROPMAP_CATALOG_NATIONAL_CLIENT_ID", "client-1")
    monkeypatch.setenv("CROPMAP_CATALOG_NATIONAL_CLIENT_SECRET", "the-secret-of-the-client")
    monkeypatch.setenv("CROPMAP_CATALOG_NATIONAL_ACCESS_KEY_ID", READER.access_key_id)
    monkeypatch.setenv("CROPMAP_CATALOG_NATIONAL_SECRET_ACCESS_KEY", READER.secret_access_key)
    disk = open_context(tiny_inputs, tmp_path, agency="disk")
    observe_everything(disk)
    tokens, files = TokenService(), dict[str, bytes]()

    def answer(request: Request) -> Answer:
        if request.path == "/token":
            return tokens(request)
        if request.path.startswith("/sas/"):
            return Answer(200, {"token": f"sig=the-signature-{time.time_ns()}"})
        signed = request.query.get("sig", "").startswith("the-signature")
        return Answer(200, files[request.path]) if signed else Answer(403)

    with service(answer) as (url, seen):
        items = moved(tiny_inputs / "scenes", s3_server, files, url)
        api = Awkward(items, page_size=2)
        api.admits = lambda headers: tokens.given.get(headers.get("Authorization", "")[7:], 0) > time.time()
        with awkward_api(api) as catalog, caplog.at_level(logging.DEBUG, logger="cropmap"):
            national = {
                "title": "a national mirror",
                "catalogs": [of(catalog)],
                "buckets": [f"s3://{BUCKET}"],
                "s3": {"endpoint": s3_server.endpoint, "region": "us-east-1", "path_style": True},
                "token": {"address": f"{url}/token", "hosts": [of(catalog)]},
                "limits": {"connections": 2},
            }
            (tmp_path / "national.yaml").write_text(yaml.safe_dump(national))
            cloud = {"hosts": [of(url)], "signature": {"address": f"{url}/sas", "hosts": [of(url)]}}
            (tmp_path / "cloud.yaml").write_text(yaml.safe_dump(cloud))
            section = yaml.safe_load((tiny_inputs / "agency.yaml").read_text())["acquisitions"]
            section |= {"catalog": catalog, "provider": "national.yaml", "file_providers": ["cloud.yaml"]}

            # a key without permission: what can be read is observed, the rest is counted, and taken in by the next run
            monkeypatch.setenv("CROPMAP_CATALOG_NATIONAL_ACCESS_KEY_ID", STRANGER.access_key_id)
            monkeypatch.setenv("CROPMAP_CATALOG_NATIONAL_SECRET_ACCESS_KEY", STRANGER.secret_access_key)
            wired = open_context(tiny_inputs, tmp_path, agency="wired", acquisitions=section)
            observe_everything(wired)
            lost = [entry for entry in entries(wired) if entry.reason == QuarantineReason.UNREADABLE_FILE]
            assert rows(wired) == {item: of_item for item, of_item in rows(disk).items() if item in rows(wired)}
            monkeypatch.setenv("CROPMAP_CATALOG_NATIONAL_ACCESS_KEY_ID", READER.access_key_id)
            monkeypatch.setenv("CROPMAP_CATALOG_NATIONAL_SECRET_ACCESS_KEY", READER.secret_access_key)
            observe_everything(wired)
            assert rows(wired) == rows(disk)
            in_bucket = [item["id"] for item in items if item["assets"]["red"]["href"].startswith("s3://")]
            assert 0 < len({*rows(wired)} & {*in_bucket}) < len(rows(wired))
            assert {entry.item_id for entry in lost} == {*rows(disk)} & {*in_bucket}
    assert any(request.path.startswith("/sas/") for request in seen)
    ledgers = [entry.acquisition.to_json() for entry in entries(wired) if entry.document]
    told = json.dumps(ledgers) + caplog.text + repr(wired) + str([entry.detail for entry in lost])
    assert not [secret for secret in SECRETS if secret in told]
    assert "CROPMAP_CATALOG_NATIONAL_ACCESS_KEY_ID" in str(lost[0].detail)
