"""Simulated scenes behind a real STAC API (rustac, on this machine), with their pixels in a bucket that wants keys."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from tests.s3_server import OWNER, REGION, KeyPair, S3Server, end_with_parent, free_ports

SECONDS_TO_START: Final = 30.0
PROVIDER: Final = "wire"


@contextmanager
def serving(collection: dict[str, Any], items: list[dict[str, Any]]) -> Iterator[str]:
    """The address of an API with one collection, gone with the block, and with this process however it ends."""
    program = shutil.which("rustac", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if program is None:
        pytest.skip("the STAC API of the tests is not installed: pip install rustac")
    port = free_ports(1)[0]
    with tempfile.TemporaryDirectory(prefix="cropmap-stac-") as folder:
        documents = {"collection.json": collection, "items.json": {"type": "FeatureCollection", "features": items}}
        for name, document in documents.items():
            (Path(folder) / name).write_text(json.dumps(document), encoding="utf-8")
        with (Path(folder) / "log").open("wb") as log:
            process = subprocess.Popen(
                [program, "serve", *documents, "--addr", f"127.0.0.1:{port}"],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=end_with_parent if sys.platform == "linux" else None,
            )
        try:
            _wait(process, f"http://127.0.0.1:{port}/collections/{collection['id']}", Path(folder) / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    ends = time.monotonic() + SECONDS_TO_START
    while process.poll() is None and time.monotonic() < ends:
        try:
            with urllib.request.urlopen(address, timeout=2):  # noqa: S310  our own server
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"the STAC API did not start: {log.read_text(errors='replace')[-2000:]}")


def put_scenes(season: Path, server: S3Server, bucket: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Puts the scenes of a simulated season into a bucket; its collection and items, which point there."""
    scenes, client = season / "scenes", server.client()
    (path,) = scenes.glob("*/collection.json")
    collection = json.loads(path.read_text(encoding="utf-8"))
    items = []
    for document in sorted(path.parent.glob("*/*.json")):
        item = json.loads(document.read_text(encoding="utf-8"))
        for asset in item["assets"].values():
            key = f"{bucket}/{item['id']}/{Path(asset['href']).name}"
            with client.open_output_stream(key) as sink:
                sink.write((document.parent / asset["href"]).read_bytes())
            asset["href"] = f"s3://{key}"
        items.append({**item, "links": [], "collection": collection["id"]})
    return {**collection, "links": []}, items


def read_over_the_wire(season: Path, target: Path, *, api: str, server: S3Server, bucket: str) -> Path:
    """A copy of a simulated season in `target` whose scenes come from the API; returns its agency file. The keys of the
    pixels are those of the provider `wire` (`pixel_environment`)."""
    shutil.copytree(
        season, target, copy_function=os.link, ignore=shutil.ignore_patterns("scenes", "truth", "agency.yaml")
    )
    document = yaml.safe_load((season / "agency.yaml").read_text(encoding="utf-8"))
    document["acquisitions"] |= {"catalog": api, "provider": f"{PROVIDER}.yaml"}
    (target / "agency.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    provider = {
        "title": "simulated scenes on this machine",
        "buckets": [f"s3://{bucket}"],
        "s3": {"endpoint": server.endpoint, "region": REGION, "path_style": True},
    }
    (target / f"{PROVIDER}.yaml").write_text(yaml.safe_dump(provider), encoding="utf-8")
    return target / "agency.yaml"


def pixel_environment(keys: KeyPair = OWNER) -> dict[str, str]:
    """What the reader of pixels signs its requests with."""
    return {
        f"CROPMAP_CATALOG_{PROVIDER.upper()}_ACCESS_KEY_ID": keys.access_key_id,
        f"CROPMAP_CATALOG_{PROVIDER.upper()}_SECRET_ACCESS_KEY": keys.secret_access_key,
    }
