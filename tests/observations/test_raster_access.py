"""Rasters of real servers on the loopback: keys, tokens and headers of several providers, pace, and broken answers."""

from __future__ import annotations

import logging
import math
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.io import MemoryFile

from cropmap.errors import ConfigurationError, SceneError
from cropmap.masking import mask_logs
from cropmap.observations import raster_access as accessing
from cropmap.observations.grids import Window
from cropmap.observations.raster import read_grid, read_window
from cropmap.observations.raster_access import with_patience
from cropmap.schemas import QuarantineReason
from cropmap.sources.catalogs import redirects
from cropmap.sources.catalogs.providers import Quota, in_use
from cropmap.sources.catalogs.providers.in_use import use
from cropmap.sources.catalogs.sign_in import renewed
from cropmap.sources.catalogs.sign_in.pace import Pace, Used
from tests.data.sign_in_services import Answer, Request, TokenService, of, provider, service
from tests.metered_server import Busy, Meter, metered
from tests.s3_server import OWNER, READER, STRANGER, KeyPair, S3Server, running
from tests.threaded_server import answering_at

SIZE = 512


@pytest.fixture(autouse=True)
def _own_providers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test has its own providers, and none of the operator's keys."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(in_use, "_own", {})
    in_use.provider_of.cache_clear()
    factory = logging.getLogRecordFactory()
    mask_logs()
    yield
    logging.setLogRecordFactory(factory)
    in_use.provider_of.cache_clear()


@pytest.fixture(scope="module")
def second_s3_server() -> Iterator[S3Server]:
    with running() as server:
        yield server


def cog(value: int) -> bytes:
    """A tiled GeoTIFF whose pixels are `value` and more."""
    profile: dict[str, Any] = {"width": SIZE, "height": SIZE, "count": 1, "dtype": "uint16", "crs": "EPSG:32632"}
    profile["transform"] = Affine(10, 0, 499_980, 0, -10, 5_300_040)
    with MemoryFile() as memory:
        with memory.open(driver="GTiff", tiled=True, blockxsize=256, blockysize=256, **profile) as sink:
            sink.write(value + np.arange(SIZE * SIZE, dtype="uint16").reshape(1, SIZE, SIZE) % 7)
        return bytes(memory.read())


def whole(href: str) -> int:
    """The smallest pixel of a file, read as the pipeline reads: first its grid, then a window of all of it."""
    return int(read_window(href, read_grid(href), Window(0, 0, SIZE, SIZE)).min())


def put(server: S3Server, bucket: str, files: dict[str, bytes]) -> None:
    client = server.client()
    client.create_dir(bucket)
    for name, content in files.items():
        with client.open_output_stream(f"{bucket}/{name}") as sink:
            sink.write(content)


def s3_provider(server: S3Server, name: str, bucket: str, **keys: Any) -> None:
    s3 = {"endpoint": server.endpoint, "region": "us-east-1", "path_style": True, **keys}
    use(provider(name, buckets=[f"s3://{bucket}"], s3=s3))


def set_keys(monkeypatch: pytest.MonkeyPatch, name: str, keys: KeyPair) -> None:
    monkeypatch.setenv(f"CROPMAP_CATALOG_{name.upper()}_ACCESS_KEY_ID", keys.access_key_id)
    monkeypatch.setenv(f"CROPMAP_CATALOG_{name.upper()}_SECRET_ACCESS_KEY", keys.secret_access_key)


@pytest.mark.slow
def test_two_s3_providers_are_read_at_once(
    s3_server: S3Server, second_s3_server: S3Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Each with its own endpoint and keys, in the threads of one process whose environment has a third pair."""
    put(s3_server, "first-scenes", {f"{n}.tif": cog(100 + n) for n in range(8)})
    put(second_s3_server, "second-scenes", {f"{n}.tif": cog(200 + n) for n in range(8)})
    s3_provider(s3_server, "first", "first-scenes")
    s3_provider(second_s3_server, "second", "second-scenes", requester_pays=True)
    set_keys(monkeypatch, "first", READER)
    set_keys(monkeypatch, "second", OWNER)
    for name, value in s3_server.aws_environment(STRANGER).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of-another-pair")
    hrefs = [f"s3://{bucket}-scenes/{n}.tif" for n in range(8) for bucket in ("first", "second")]
    with caplog.at_level(logging.DEBUG), ThreadPoolExecutor(4) as pool:
        values = list(pool.map(whole, hrefs))
    assert values == [base + n for n in range(8) for base in (100, 200)]
    assert READER.secret_access_key not in caplog.text
    assert OWNER.secret_access_key not in caplog.text


def test_a_bucket_without_permission_is_a_clear_line(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    put(s3_server, "closed-scenes", {"a.tif": cog(1), "b.tif": cog(2)})
    s3_provider(s3_server, "closed", "closed-scenes")
    set_keys(monkeypatch, "closed", STRANGER)
    with pytest.raises(SceneError, match="CROPMAP_CATALOG_CLOSED_ACCESS_KEY_ID") as caught:
        whole("s3://closed-scenes/a.tif")
    assert caught.value.reason is QuarantineReason.UNREADABLE_FILE
    set_keys(monkeypatch, "closed", KeyPair(OWNER.access_key_id, "expired"))
    with pytest.raises(SceneError, match="CROPMAP_CATALOG_CLOSED_ACCESS_KEY_ID"):
        whole("s3://closed-scenes/b.tif")
    set_keys(monkeypatch, "closed", OWNER)
    with pytest.raises(SceneError, match="does not exist"):
        whole("s3://closed-scenes/none.tif")


def test_keys_that_are_missing_are_named(s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    s3_provider(s3_server, "keyless", "keyless-scenes")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    with pytest.raises(SceneError, match=r"need keys.*CROPMAP_CATALOG_KEYLESS_ACCESS_KEY_ID"):
        whole("s3://keyless-scenes/a.tif")
    monkeypatch.setenv("CROPMAP_CATALOG_KEYLESS_ACCESS_KEY_ID", "half")
    with pytest.raises(SceneError, match="CROPMAP_CATALOG_KEYLESS_SECRET_ACCESS_KEY is missing"):
        whole("s3://keyless-scenes/a.tif")


def test_the_environments_keys_count_where_a_provider_has_none(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(s3_server, "old-scenes", {"a.tif": cog(5)})
    s3_provider(s3_server, "old_way", "old-scenes")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", READER.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", READER.secret_access_key)
    assert whole("s3://old-scenes/a.tif") == 5


def test_a_bucket_of_nobody_known_is_opened_as_the_environment_says(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(s3_server, "trusted-scenes", {"a.tif": cog(6)})
    for name, value in s3_server.aws_environment(READER).items():
        monkeypatch.setenv(name, value)
    assert whole("s3://trusted-scenes/a.tif") == 6


@pytest.mark.parametrize("own_keys", [True, False])
def test_a_provider_that_states_no_region_needs_none_in_the_environment(
    own_keys: bool, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"no-region-{own_keys}".lower()
    put(s3_server, name, {"a.tif": cog(7)})
    s3_provider(s3_server, "no_region", name, region=None)
    if own_keys:
        set_keys(monkeypatch, "no_region", READER)
    else:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", READER.access_key_id)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", READER.secret_access_key)
    assert whole(f"s3://{name}/a.tif") == 7


def test_two_providers_cannot_claim_one_bucket(s3_server: S3Server) -> None:
    s3_provider(s3_server, "one", "claimed-scenes")
    s3_provider(s3_server, "one", "claimed-scenes", region="elsewhere")  # the same file, changed
    with pytest.raises(ConfigurationError, match="both describe s3://claimed-scenes"):
        s3_provider(s3_server, "other", "claimed-scenes")


def test_a_token_is_sent_with_each_file_and_renewed_during_a_long_job(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CROPMAP_CATALOG_BEARER_CLIENT_ID", "client-1")
    monkeypatch.setenv("CROPMAP_CATALOG_BEARER_CLIENT_SECRET", "the-secret-of-the-client")
    tokens = TokenService(lasts_s=1.0)
    served = {f"/{n}.tif": cog(n) for n in range(6)}

    def answer(request: Request) -> Answer:
        if request.path == "/token":
            return tokens(request)
        return Answer(200, served[request.path]) if tokens.admits(request) else Answer(401, {"error": "ended"})

    with service(answer) as (url, _), caplog.at_level(logging.DEBUG):
        use(provider("bearer", hosts=[of(url)], token={"address": f"{url}/token", "hosts": [of(url)]}))
        for n in range(6):
            assert whole(f"{url}/{n}.tif") == n
            time.sleep(0.25)
        assert len(tokens.given) >= 3
        tokens.given.clear()  # revoked before its end: asked for once more
        served["/again.tif"] = cog(9)
        assert whole(f"{url}/again.tif") == 9
        monkeypatch.setattr(tokens, "admits", lambda _: False)
        served["/closed.tif"] = cog(9)
        with pytest.raises(SceneError, match=r"401.*CROPMAP_CATALOG_BEARER_") as caught:
            whole(f"{url}/closed.tif")
    assert caught.value.reason is QuarantineReason.UNREADABLE_FILE
    assert "the-access-token" not in caplog.text + str(caught.value)


@pytest.mark.slow
def test_a_token_is_as_good_after_the_wait_for_a_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many wait for the one connection for longer than a token lasts."""
    monkeypatch.setenv("CROPMAP_CATALOG_QUEUE_CLIENT_ID", "client-1")
    monkeypatch.setenv("CROPMAP_CATALOG_QUEUE_CLIENT_SECRET", "the-secret-of-the-client")
    tokens, content = TokenService(lasts_s=1.6), cog(7)

    def answer(request: Request) -> Answer:
        if request.path == "/token":
            return tokens(request)
        time.sleep(0.1)
        return Answer(200, content) if tokens.admits(request) else Answer(401, {"error": "ended"})

    with service(answer) as (url, seen), ThreadPoolExecutor(8) as pool:
        token = {"address": f"{url}/token", "hosts": [of(url)]}
        use(provider("queue", hosts=[of(url)], token=token, limits={"connections": 1}))
        assert list(pool.map(whole, [f"{url}/{n}.tif" for n in range(8)])) == [7] * 8
        assert seen[-1].at_s - seen[0].at_s > tokens.lasts_s
        assert all(
            tokens.given.get((request.headers.get("Authorization") or "")[7:], 0) > request.at_s
            for request in seen
            if request.path != "/token"
        )


@pytest.mark.slow
def test_a_token_service_that_is_down_costs_the_files_of_that_time_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROPMAP_CATALOG_OUT_CLIENT_ID", "client-1")
    monkeypatch.setenv("CROPMAP_CATALOG_OUT_CLIENT_SECRET", "the-secret-of-the-client")
    monkeypatch.setattr(renewed, "REST_S", 0.5)
    tokens, content = TokenService(fail=[Answer(404, b"<html>maintenance</html>")]), cog(4)

    def answer(request: Request) -> Answer:
        if request.path == "/token":
            return tokens(request)
        return Answer(200, content) if tokens.admits(request) else Answer(401)

    with service(answer) as (url, seen):
        use(provider("out", hosts=[of(url)], token={"address": f"{url}/token", "hosts": [of(url)]}))
        for n in range(3):
            with pytest.raises(SceneError, match=r"token service of out gives none.*CROPMAP_CATALOG_OUT_") as caught:
                whole(f"{url}/{n}.tif")
            assert caught.value.reason is QuarantineReason.UNREADABLE_FILE
        assert len(seen) == 1, "neither the service nor the host of the files is asked meanwhile"
        time.sleep(0.6)
        assert [whole(f"{url}/{n}.tif") for n in range(3)] == [4] * 3


def test_signed_files_are_read_and_the_ledgers_address_stays_unsigned(caplog: pytest.LogCaptureFixture) -> None:
    content = cog(3)
    ends: dict[str, float] = {}

    def answer(request: Request) -> Answer:
        if request.path.startswith("/sas/"):
            signature = f"signature{len(ends)}"
            ends[signature] = time.time() + 1.0
            moment = datetime.now(UTC) + timedelta(seconds=1.0)
            return Answer(200, {"token": f"sp=r&sig={signature}", "msft:expiry": moment.isoformat()})
        if ends.get(request.query.get("sig", ""), 0.0) < time.time():
            return Answer(403, b"<Error>AuthenticationFailed</Error>")
        return Answer(200, content)

    with service(answer) as (url, seen), caplog.at_level(logging.DEBUG):
        use(provider("sas", hosts=[of(url)], signature={"address": f"{url}/sas", "hosts": [of(url)]}))
        for n in range(4):
            assert whole(f"{url}/container/{n}.tif") == 3
            time.sleep(0.3)
    assert len(ends) >= 2
    assert {request.path for request in seen if request.path.startswith("/sas/")} == {"/sas/127/container"}
    assert "signature0" not in caplog.text


def test_a_header_goes_to_the_hosts_of_the_provider_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROPMAP_CATALOG_HEADED_HEADERS", "X-Key: a, b; c\nX-Other: 2")
    content = cog(4)

    def answer(request: Request) -> Answer:
        return Answer(200, content) if request.headers.get("X-Key") == "a, b; c" else Answer(403)

    with service(answer) as (url, _), service(lambda _: Answer(200, content)) as (other, elsewhere):
        use(provider("headed", hosts=[of(url), of(other)], header_hosts=[of(url)]))
        assert whole(f"{url}/a.tif") == whole(f"{other}/b.tif") == 4
    assert all("X-Key" not in request.headers for request in elsewhere)


def test_nothing_of_a_file_that_the_main_thread_holds_reaches_another_provider(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rasterio sets the options of the main thread for all threads."""
    put(s3_server, "held-scenes", {"a.tif": cog(1)})
    put(s3_server, "others-scenes", {"a.tif": cog(6)})
    s3_provider(s3_server, "held", "held-scenes")
    set_keys(monkeypatch, "held", STRANGER)
    for name, value in s3_server.aws_environment(READER).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CROPMAP_CATALOG_HOLDS_HEADERS", "X-Key: secret-of-the-header")
    content = cog(5)
    with service(lambda _: Answer(200, content)) as (url, _), service(lambda _: Answer(200, content)) as (other, seen):
        use(provider("holds", hosts=[of(url)], header_hosts=[of(url)]))
        with ThreadPoolExecutor(1) as pool:

            def read_others(_: str) -> list[int]:
                return list(pool.map(whole, [f"{other}/b.tif", "s3://others-scenes/a.tif"]))

            held = with_patience(f"{url}/a.tif", lambda _: with_patience("s3://held-scenes/a.tif", read_others))
        assert held == [5, 6]
    assert seen
    assert all("X-Key" not in request.headers for request in seen)


def test_a_bucket_of_nobody_is_in_no_region_of_another_file(
    s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the main thread holds a file of a provider elsewhere; and the environment's region is not a provider's."""
    put(s3_server, "southern-scenes", {"a.tif": cog(1)})
    regions: list[str] = []

    def answer(request: Request) -> Answer:
        regions.extend(re.findall(r"/\d{8}/([\w-]+)/s3/", request.headers.get("Authorization", "")))
        return Answer(404)

    with service(answer) as (url, _):
        for name, value in S3Server(url).aws_environment(READER).items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("AWS_REGION")
        monkeypatch.delenv("AWS_DEFAULT_REGION")

        def signed_for(href: str) -> set[str]:
            regions.clear()
            with pytest.raises(SceneError), ThreadPoolExecutor(1) as pool:
                pool.submit(whole, href).result()
            return set(regions)

        s3_provider(s3_server, "southern", "southern-scenes", region="eu-south-2")
        set_keys(monkeypatch, "southern", OWNER)
        assert with_patience("s3://southern-scenes/a.tif", lambda _: signed_for("s3://nobody/a.tif")) == {"us-east-1"}
        s3_provider(S3Server(url), "northern", "northern-scenes", region="eu-north-1")
        set_keys(monkeypatch, "northern", OWNER)
        monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-east-1")
        assert signed_for("s3://northern-scenes/a.tif") == {"eu-north-1"}
        assert signed_for("s3://nobody/b.tif") == {"ap-east-1"}


def test_a_jpeg_2000_file_is_read_from_an_odata_address(tmp_path: Path) -> None:
    path = tmp_path / "B02.jp2"
    profile: dict[str, Any] = {"width": SIZE, "height": SIZE, "count": 1, "dtype": "uint16", "crs": "EPSG:32632"}
    profile["transform"] = Affine(10, 0, 499_980, 0, -10, 5_300_040)
    with rasterio.open(path, "w", driver="JP2OpenJPEG", QUALITY="100", REVERSIBLE="YES", **profile) as sink:
        sink.write(np.full((1, SIZE, SIZE), 7, "uint16"))
    content = path.read_bytes()
    with service(lambda _: Answer(200, content)) as (url, _):
        assert whole(f"{url}/odata/v1/Products(e0fec106)/Nodes(T32VKR_B02_10m.jp2)/$value") == 7


def noise(path: Path) -> bytes:
    """A file of random pixels, in the format of its ending."""
    profile: dict[str, Any] = {"width": SIZE, "height": SIZE, "count": 1, "dtype": "uint16", "crs": "EPSG:32632"}
    profile |= {"QUALITY": "100", "REVERSIBLE": "YES"} if path.suffix == ".jp2" else {}
    with rasterio.open(path, "w", transform=Affine(10, 0, 499_980, 0, -10, 5_300_040), **profile) as sink:
        sink.write(np.random.default_rng(3).integers(0, 9_000, (1, SIZE, SIZE), "uint16"))
    return path.read_bytes()


@pytest.mark.parametrize(
    ("kind", "given"), [("image/tiff", "whole files alone, no parts"), ("text/html; charset=utf-8", "a web page")]
)
def test_a_host_that_gives_no_parts_of_files_is_named(kind: str, given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accessing, "WAITS_S", ())
    content = cog(1)

    class Whole(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            with suppress(OSError):
                self.wfile.write(b"" if self.command == "HEAD" else content)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: Any) -> None:
            """Silent."""

    with (
        answering_at(ThreadingHTTPServer(("127.0.0.1", 0), Whole)) as url,
        pytest.raises(SceneError, match=f"its host gives {given}"),
    ):
        whole(f"{url}/a.tif")


def answer_of(content: bytes) -> Callable[[Request], Answer]:
    return lambda _: Answer(200, content)


@pytest.mark.parametrize("suffix", ["jp2", "tif"])
def test_a_copy_that_was_cut_off_is_fetched_again(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To GDAL a cut is the end of the file. The length of a JPEG 2000 stands in it, that of others in their item."""
    monkeypatch.setattr(accessing, "WAITS_S", (0.01,))
    content = noise(tmp_path / f"a.{suffix}")
    cut: list[str] = []

    def answer(request: Request) -> Answer:
        asked = request.headers.get("Range") or "bytes=0-0"
        if asked == "bytes=0-0" or cut:
            return Answer(200, content)
        cut.append(asked)
        return Answer(200, content, cut_at=70_000)

    with service(answer) as (url, _):
        size = None if suffix == "jp2" else len(content)
        accessing.fetch(f"{url}/a.{suffix}", tmp_path / "copy", size)
    assert cut
    assert (tmp_path / "copy").read_bytes() == content


def test_a_file_that_is_cut_off_at_its_host_is_fetched_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(accessing, "WAITS_S", (0.01,) * 3)
    whole_file = noise(tmp_path / "a.jp2")
    pixels = whole_file.rindex(b"jp2c") - 4
    unbounded = whole_file[:pixels] + b"\0\0\0\0" + whole_file[pixels + 4 :]
    cut = [whole_file[:-1], whole_file[: len(whole_file) // 2], unbounded[:-1], whole_file + b"\0\0\0"]
    for number, content in enumerate([whole_file, unbounded, *cut]):
        caplog.clear()
        with service(answer_of(content)) as (url, _), caplog.at_level(logging.INFO):
            accessing.fetch(f"{url}/{number}.jp2", tmp_path / "copy")
        assert (tmp_path / "copy").read_bytes() == content
        assert caplog.text.count("it was cut off after") == (0 if number < 2 else 1), number


def test_a_header_that_was_cut_off_is_asked_for_again() -> None:
    """What arrives of it opens, without its coordinate reference system."""
    content, asked = cog(8), []

    def answer(request: Request) -> Answer:
        if request.method == "GET" and request.headers.get("Range") != "bytes=0-0":
            asked.append(request)
        return Answer(200, content, cut_at=400 if len(asked) == 1 else None)

    with service(answer) as (url, _):
        assert whole(f"{url}/a.tif") == 8
    with service(lambda _: Answer(200, content, cut_at=400)) as (url, _), pytest.raises(SceneError) as caught:
        whole(f"{url}/b.tif")
    assert caught.value.reason is QuarantineReason.WRONG_CRS


def test_a_redirect_takes_no_secret_along(monkeypatch: pytest.MonkeyPatch) -> None:
    """GDAL itself drops Authorization; any other header would reach the other host, so that it may not be left."""
    monkeypatch.setenv("CROPMAP_CATALOG_SENT_ON_HEADERS", "X-Key: secret-of-the-header")
    with service(lambda _: Answer(200, cog(1))) as (other, elsewhere):
        target = f"http://localhost:{of(other).rpartition(':')[2]}"

        def answer(request: Request) -> Answer:
            return Answer(302, b"", {"Location": f"{target}{request.path}"})

        with service(answer) as (url, _):
            use(provider("sent_on", hosts=[of(url)], header_hosts=[of(url)]))
            with pytest.raises(SceneError) as caught:
                whole(f"{url}/a.tif")
    assert caught.value.reason is QuarantineReason.FORBIDDEN_ADDRESS
    assert not elsewhere


Broken = Callable[[int], Answer | None]


@pytest.mark.slow
@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(lambda n: Answer(cut_at=0) if n < 2 else None, id="no answer, twice"),
        pytest.param(lambda n: Answer(200, cog(1), cut_at=900) if n in (1, 3) else None, id="cut off"),
        pytest.param(lambda n: Answer(503, b"", {"Retry-After": "1"}) if n in (0, 2) else None, id="503"),
        pytest.param(lambda n: Answer(429, b"", {"Retry-After": "1"}) if n in (1, 2) else None, id="429"),
        pytest.param(lambda n: Answer(500) if n == 0 else None, id="500"),
    ],
)
def test_a_server_that_fails_for_a_while_is_read_all_the_same(broken: Broken) -> None:
    content, counted = cog(8), iter(range(10_000))

    def answer(_: Request) -> Answer:
        return broken(next(counted)) or Answer(200, content)

    with service(answer) as (url, _):
        assert whole(f"{url}/a.tif") == 8


@pytest.mark.slow
def test_a_server_that_drops_one_connection_in_twenty_loses_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    content, lock, rng = cog(8), threading.Lock(), np.random.default_rng(1)
    monkeypatch.setattr(accessing, "WAITS_S", (0.05, 0.1, 0.2))
    dropped = 0

    def answer(_: Request) -> Answer:
        nonlocal dropped
        with lock:
            if rng.random() >= 1 / 20:
                return Answer(200, content)
            dropped += 1
            return Answer(200, content, cut_at=int(rng.integers(0, 5_000)))

    with service(answer) as (url, _), ThreadPoolExecutor(4) as pool:
        values = list(pool.map(whole, [f"{url}/{n}.tif" for n in range(100)]))
    assert values == [8] * 100
    assert dropped >= 10


def test_a_host_that_is_silent_is_not_waited_for_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accessing, "WAITS_S", ())
    monkeypatch.setitem(accessing.GDAL_OPTIONS, "GDAL_HTTP_LOW_SPEED_TIME", "1")
    monkeypatch.setattr(redirects, "TIMEOUT_S", 0.2)
    closed = threading.Event()

    def answer(_: Request) -> Answer:
        closed.wait(60)
        return Answer(503)

    with service(answer) as (url, _):
        try:
            with pytest.raises(SceneError, match="too slow") as caught:
                whole(f"{url}/a.tif")
        finally:
            closed.set()
    assert caught.value.reason is QuarantineReason.UNREADABLE_FILE


def test_what_is_no_raster_is_quarantined_after_some_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accessing, "WAITS_S", (0.01, 0.01, 0.01))
    with service(lambda _: Answer(200, b"<html>login</html>" * 500)) as (url, _), pytest.raises(SceneError) as caught:
        whole(f"{url}/a.tif")
    assert caught.value.reason is QuarantineReason.UNREADABLE_FILE
    assert "\n" not in str(caught.value)


def test_a_broken_answer_at_an_address_with_a_signature_in_it_is_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    """GDAL says of what it reads: '/vsicurl/http://…?X-Amz-Signature=…' not recognized."""
    monkeypatch.setattr(accessing, "WAITS_S", (0.01, 0.01, 0.01))
    opened: list[str] = []

    def smallest(address: str) -> int:
        opened.append(address)
        with rasterio.open(address, driver="GTiff") as source:
            return int(source.read(1).min())

    with service(lambda _: Answer(200, cog(6) if len(opened) > 2 else b"<html>busy</html>" * 500)) as (url, _):
        assert with_patience(f"{url}/a.tif?X-Amz-Signature=abcdef0123456789", smallest) == 6
    assert len(opened) == 3


@pytest.mark.parametrize(("then", "limits"), [(1, (4, 1)), (2, (4, 2))])
def test_a_quota_that_is_used_up_bounds_the_connections(then: int, limits: tuple[int, int]) -> None:
    pace = Pace(connections=4, used=Used(Quota(bytes=1, days=30, then_connections=then)))
    lock, held, most = threading.Lock(), 0, 0

    def hold(_: int) -> None:
        nonlocal held, most
        with pace.connection():
            with lock:
                held += 1
                most = max(most, held)
            time.sleep(0.05)
            with lock:
                held -= 1

    found = []
    with ThreadPoolExecutor(8) as pool:
        for _ in limits:
            most = 0
            list(pool.map(hold, range(8)))
            found.append(most)
            pace.spend(n_bytes=2)
    assert tuple(found) == limits


def test_no_more_files_are_open_than_the_provider_allows() -> None:
    content, open_now, most = cog(2), 0, 0
    lock = threading.Lock()

    def answer(_: Request) -> Answer:
        nonlocal open_now, most
        with lock:
            open_now += 1
            most = max(most, open_now)
        time.sleep(0.03)
        with lock:
            open_now -= 1
        return Answer(200, content)

    with service(answer) as (url, _), ThreadPoolExecutor(8) as pool:
        use(provider("narrow", hosts=[of(url)], limits={"connections": 2}))
        assert list(pool.map(whole, [f"{url}/{n}.tif" for n in range(12)])) == [2] * 12
    assert most == 2


def test_the_environment_changes_the_limits_of_a_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROPMAP_CATALOG_ODD_CONNECTIONS", "many")
    with service(lambda _: Answer(200, cog(2))) as (url, _):
        use(provider("odd", hosts=[of(url)]))
        with pytest.raises(ConfigurationError, match="CROPMAP_CATALOG_ODD_CONNECTIONS"):
            whole(f"{url}/a.tif")


@pytest.mark.slow
def test_bytes_per_second_are_bounded_over_all_threads() -> None:
    content, n = cog(2), 12  # half a megabyte each, nothing packed
    with service(lambda _: Answer(200, content)) as (url, seen), ThreadPoolExecutor(4) as pool:
        use(provider("slow", hosts=[of(url)], limits={"bytes_per_second": 2e6}))
        began = time.monotonic()
        list(pool.map(whole, [f"{url}/{k}.tif" for k in range(n)]))
        took = time.monotonic() - began
    assert took >= n * SIZE * SIZE * 2 / 2e6 - 1.1
    assert took < 8
    assert seen


@pytest.mark.slow
def test_a_quota_that_is_used_up_leaves_one_slow_connection(caplog: pytest.LogCaptureFixture) -> None:
    content, each = cog(2), SIZE * SIZE * 2
    with service(lambda _: Answer(200, content)) as (url, _), ThreadPoolExecutor(4) as pool:
        quota = {"bytes": 4.5 * each, "days": 30, "then_bytes_per_second": 1e6, "then_connections": 1}
        use(provider("metered", hosts=[of(url)], limits={"connections": 4, "quota": quota}))
        list(pool.map(whole, [f"{url}/{k}.tif" for k in range(4)]))
        assert "quota" not in caplog.text
        began = time.monotonic()
        list(pool.map(whole, [f"{url}/{k}.tif" for k in range(4, 8)]))
        assert time.monotonic() - began >= 4 * each / 1e6 - 1.1
    assert caplog.text.count("metered: its quota is used up") == 1


def test_an_item_without_a_provider_pays_nothing() -> None:
    with service(lambda _: Answer(200, cog(2))) as (url, _):
        assert with_patience(f"{url}/a.tif", lambda address: address) == f"{url}/a.tif"


class Shut:
    """Refuses every request for `lasts_s` from the first one after `after` requests on, as often as `times`."""

    def __init__(self, *, after: int, lasts_s: float, status: int = 503, times: int = 1) -> None:
        self.after, self.lasts_s, self.status, self.times = after, lasts_s, status, times
        self.began: list[float] = []
        self._seen, self._lock = 0, threading.Lock()

    def __call__(self, _: str) -> Busy | None:
        with self._lock:
            self._seen += 1
            now = time.monotonic()
            if self.began and now < self.began[-1] + self.lasts_s:
                return Busy(self.status, str(math.ceil(self.began[-1] + self.lasts_s - now)))
            if self._seen > self.after * (len(self.began) + 1) and len(self.began) < self.times:
                self.began.append(now)
                return Busy(self.status, str(math.ceil(self.lasts_s)))
            return None

    def disturbed(self, meter: Meter) -> list[float]:
        """Seconds from a first refusal to each request before the end, but for what was on its way by then."""
        since = [one.began - began for one in meter.answered for began in self.began]
        return [seconds for seconds in since if self.lasts_s / 2 < seconds < self.lasts_s]


def large(path: Path) -> int:
    """A file of 8 x 8 blocks, of which a window takes several ranges; the sum of the window."""
    random = np.random.default_rng(3)
    profile: dict[str, Any] = {"width": 2048, "height": 2048, "count": 1, "dtype": "uint16", "crs": "EPSG:32632"}
    profile["transform"] = Affine(10, 0, 499_980, 0, -10, 5_300_040)
    values = random.integers(0, 10_000, (2048, 2048)).astype("uint16")
    with rasterio.open(path, "w", driver="GTiff", tiled=True, blockxsize=256, blockysize=256, **profile) as sink:
        sink.write(values, 1)
    return int(values[300:1500, 300:1000].sum(dtype=np.int64))


def some(href: str) -> int:
    return int(
        read_window(href, read_grid(href), Window(row_off=300, col_off=300, height=1200, width=700)).sum(dtype=np.int64)
    )


@pytest.mark.slow
@pytest.mark.parametrize(("status", "limits"), [(503, {}), (429, {"connections": 3})])
def test_a_busy_host_gets_no_request_before_the_time_that_it_states(
    status: int, limits: dict[str, int], tmp_path: Path
) -> None:
    """By every thread that reads from its provider, wherever in a file it is; and nothing is lost."""
    wanted = [large(tmp_path / f"{n}.tif") for n in range(6)]
    shut = Shut(after=9, lasts_s=3.0, status=status, times=2)
    with metered(tmp_path, refuse=shut, lasts_s=0.01) as meter, ThreadPoolExecutor(3) as pool:
        use(provider(f"busy_{status}_{len(limits)}", hosts=[of(meter.url)], limits=limits))
        assert list(pool.map(some, [f"{meter.url}/{n}.tif" for n in range(6)])) == wanted
    assert len(shut.began) == 2
    assert not shut.disturbed(meter)
    refused = sum(one.status == status for one in meter.answered)
    assert refused <= 2 * 3 * (1 + 10), "each thread what it had asked for, and one asks how long"


@pytest.mark.slow
def test_a_busy_host_does_not_keep_others_waiting(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(cog(3))
    shut, ended = Shut(after=0, lasts_s=3.0), list[str]()

    def read(href: str) -> None:
        whole(href)
        ended.append(href)

    with metered(tmp_path, refuse=shut) as busy, metered(tmp_path) as other, ThreadPoolExecutor(2) as pool:
        use(provider("is_busy", hosts=[of(busy.url)]))
        use(provider("is_free", hosts=[of(other.url)]))
        first = pool.submit(read, f"{busy.url}/a.tif")
        while not shut.began:
            time.sleep(0.01)
        for _ in range(3):
            pool.submit(read, f"{other.url}/a.tif").result()
        first.result()
    assert ended[-1] == f"{busy.url}/a.tif"


@pytest.mark.slow
def test_a_copy_of_a_whole_file_heeds_a_busy_host_too(tmp_path: Path) -> None:
    large(tmp_path / "a.tif")
    content = (tmp_path / "a.tif").read_bytes()
    shut = Shut(after=2, lasts_s=3.0)
    with metered(tmp_path, refuse=shut) as meter:
        use(provider("copied", hosts=[of(meter.url)]))
        accessing.fetch(f"{meter.url}/a.tif", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == content
    assert not shut.disturbed(meter)
    assert sum(one.n_bytes for one in meter.answered) < 1.5 * len(content), "it went on where it was"


def test_a_host_that_is_busy_to_the_end_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accessing, "WAITS_S", ())
    monkeypatch.setitem(accessing.GDAL_OPTIONS, "GDAL_HTTP_MAX_RETRY", "1")
    monkeypatch.setitem(accessing.GDAL_OPTIONS, "GDAL_HTTP_RETRY_DELAY", "0.01")
    with metered(tmp_path, refuse=lambda _: Busy(429, "1")) as meter:
        use(provider("ever_busy", hosts=[of(meter.url)]))
        with pytest.raises(SceneError, match=r"its host answered 429.*run the same command again later") as caught:
            whole(f"{meter.url}/a.tif")
    assert caught.value.reason is QuarantineReason.UNREADABLE_FILE


@pytest.mark.slow
@pytest.mark.parametrize("keys", [True, False])
def test_a_busy_bucket_is_asked_with_the_keys_of_its_provider(
    keys: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "busy-bucket").mkdir()
    (tmp_path / "busy-bucket" / "a.tif").write_bytes(cog(4))
    shut = Shut(after=1, lasts_s=3.0)
    with metered(tmp_path, refuse=shut) as meter:
        s3 = {"endpoint": meter.url, "region": "us-east-1", "path_style": True, "keys": keys}
        use(provider(f"bucket_{keys}".lower(), buckets=["s3://busy-bucket"], s3=s3))
        if keys:
            set_keys(monkeypatch, "bucket_true", READER)
        assert whole("s3://busy-bucket/a.tif") == 4
    assert not shut.disturbed(meter)
    asked = [one for one in meter.answered if one.status == 503 and one.path == "/busy-bucket/a.tif"]
    assert len(asked) >= 2
