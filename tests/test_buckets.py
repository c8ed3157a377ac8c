"""The store in a bucket of a real S3 server: the same whole objects as in a folder, under real keys."""

from __future__ import annotations

import dataclasses
import io
import os
import pickle
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from cropmap import buckets
from cropmap.errors import (
    ConfigurationError,
    CropmapError,
    DamagedObjectError,
    ObjectChangedError,
    StoreError,
    StoreRefusedError,
    StoreUnavailableError,
)
from cropmap.observations.files import iter_observations, observation_name
from cropmap.results.doctor import examine
from cropmap.settings import Settings
from cropmap.store import Store
from tests.cutting_proxy import Cuts, cutting
from tests.hostile_s3 import Wrong, answering
from tests.s3_server import OWNER, READER, STRANGER, KeyPair, S3Server, free_ports, running

HALF_A_MINUTE = 30.0
QUICKER = 5
NAMES = ("a/b.parquet", "a/b/c d.txt", "a/é+#?%20.json", "b/1")


@pytest.fixture
def bucket(s3_server: S3Server, s3_bucket: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a store in a fresh bucket, with the environment that opens it."""
    for name, value in s3_server.store_environment().items():
        monkeypatch.setenv(name, value)
    return f"s3://{s3_bucket}/some/prefix"


@pytest.fixture(params=["folder", "bucket"])
def either(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return Store(tmp_path / "store" if request.param == "folder" else request.getfixturevalue("bucket"))


def table(rows: int = 60_000) -> pa.Table:
    draw = np.random.default_rng(20)
    return pa.table(
        {"parcel_id": [f"P{number:06}" for number in range(rows)], "B02": draw.integers(0, 9_999, rows, np.int16)}
    )


def test_objects_come_back_as_they_were_written(either: Store) -> None:
    for number, name in enumerate(NAMES):
        either.write_bytes(name, b"%d" % number)
        either.write_bytes(name, b"%d again" % number)
    assert [Store(either.root).read_bytes(name) for name in NAMES] == [b"%d again" % n for n in range(len(NAMES))]
    assert either.names("a") == sorted(NAMES[:3])
    assert either.names("a/b") == [NAMES[1]]  # `a/b` is a folder, not the beginning of a name
    assert either.names("") == sorted(NAMES)
    assert either.names("nothing") == []
    assert either.exists("b/1")
    assert not either.exists("b")
    either.remove("b/1")
    either.remove("b/1")
    assert not either.exists("b/1")
    assert either.recall("b/1", bytes) is None
    with pytest.raises(StoreError, match="b/1: is not in the store"):
        either.read_bytes("b/1")


def test_tables_are_read_whole_and_in_part(either: Store) -> None:
    either.write_table("t.parquet", table(), row_group_size=8_192)
    some = (pc.field("parcel_id") >= "P030000") & (pc.field("parcel_id") < "P031000")
    reader = Store(either.root)
    for _ in range(2):  # the first time it is read as a whole, then in parts
        assert reader.read_table("t.parquet", rows=some).equals(table().slice(30_000, 1_000))
        assert reader.read_table("t.parquet", columns=["B02"], rows=some).equals(
            table().slice(30_000, 1_000).select(["B02"])
        )
    assert reader.read_table("t.parquet").equals(table())
    assert reader.read_schema("t.parquet").equals(table().schema)


def test_a_table_is_written_and_read_one_row_group_after_the_other(either: Store, tmp_path: Path) -> None:
    whole = table(2_000_000)  # more than one request of a bucket
    parts = [whole.slice(start, 700_000) for start in range(0, len(whole), 700_000)]
    either.write_rows("observations/x.parquet", whole.schema, iter(parts))
    again = Store(either.root)
    assert [len(part) for part in again.read_rows("observations/x.parquet")] == [700_000, 700_000, 600_000]
    assert pa.concat_tables(again.read_rows("observations/x.parquet", columns=["B02"])).equals(whole.select(["B02"]))
    assert again.read_table("observations/x.parquet").equals(whole)
    assert again.count_rows("observations/x.parquet") == 2_000_000
    assert again.count_rows("observations/y.parquet") is None
    again.write_rows("observations/none.parquet", whole.schema, [])
    assert [len(part) for part in again.read_rows("observations/none.parquet")] == [0]

    (tmp_path / "a").write_bytes(b"x" * 9_000_000)
    either.write_file("datasets/a", tmp_path / "a")
    again.read_file("datasets/a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == (tmp_path / "a").read_bytes() == again.read_bytes("datasets/a")
    with pytest.raises(StoreError, match="datasets/b: is not in the store"):
        again.read_file("datasets/b", tmp_path / "c")


def test_versions_tell_what_was_written_anew(either: Store) -> None:
    either.write_bytes("a/1", b"first")
    either.write_bytes("a/2", b"first")
    before = either.versions("a")
    either.write_bytes("a/2", b"other")
    after = either.versions("a")
    assert before.keys() == after.keys() == {"a/1", "a/2"}
    assert before["a/1"] == after["a/1"] == either.version("a/1")
    assert before["a/2"] != after["a/2"] == either.version("a/2")
    assert either.version("a/3") is None


def test_the_first_writer_wins(either: Store) -> None:
    assert either.write_once("grids/1", b"first")
    assert not either.write_once("grids/1", b"second")
    assert either.read_bytes("grids/1") == b"first"


def test_of_two_writers_of_a_pointer_one_is_told(either: Store) -> None:
    either.replace("models/1", b"A", before=None)
    with pytest.raises(ObjectChangedError, match="models/1: was changed by another command meanwhile"):
        either.replace("models/1", b"B", before=None)
    seen_by_both = either.version("models/1")
    outcomes: list[bytes] = []

    def write(what: bytes) -> None:
        try:
            Store(either.root).replace("models/1", what, before=seen_by_both)
        except ObjectChangedError:
            return
        outcomes.append(what)

    writers = [threading.Thread(target=write, args=[b"writer %d" % number]) for number in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(outcomes) == 1
    assert either.read_bytes("models/1") == outcomes[0]
    seen_by_both = either.version("models/1")
    either.remove("models/1")
    with pytest.raises(ObjectChangedError):
        either.replace("models/1", b"C", before=seen_by_both)


def test_a_damaged_object_is_found(either: Store, s3_server: S3Server) -> None:
    either.write_table("t.parquet", table(2_000))
    either.write_bytes("c.json", b'{"a": 1}')
    for name in ("t.parquet", "c.json"):
        if either.is_local:
            path = either.local_path(name)
            whole = path.read_bytes()
            path.write_bytes(whole[:40] + bytes([whole[40] ^ 4]) + whole[41:])
        else:
            key, client = either.address(name).removeprefix("s3://"), s3_server.client()
            whole = client.open_input_stream(key).read()
            with client.open_output_stream(key) as sink:
                sink.write(whole[:40] + bytes([whole[40] ^ 4]) + whole[41:])
        with pytest.raises(DamagedObjectError, match=f"{name}: is damaged"):
            Store(either.root).read(name, bytes)
        assert Store(either.root).recall(name, bytes) is None


def test_another_client_reads_the_same_bytes_as_in_a_folder(bucket: str, tmp_path: Path, s3_server: S3Server) -> None:
    folder = Store(tmp_path)
    for store in (folder, Store(bucket)):
        store.write_table("t.parquet", table(), row_group_size=8_192)
    key = f"{bucket.removeprefix('s3://')}/t.parquet"
    seen: bytes = s3_server.client().open_input_stream(key).read()
    assert seen == folder.local_path("t.parquet").read_bytes()
    assert pq.read_table(io.BytesIO(seen)).equals(table())


def test_an_object_larger_than_one_request(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buckets, "PART", 5 << 20)
    monkeypatch.setattr(buckets, "WHOLE", 7 << 20)
    data = np.random.default_rng(20).bytes(23 << 20)
    Store(bucket).write_bytes("large", data)
    assert Store(bucket).read_bytes("large") == data


def test_a_pickled_store_holds_no_key(bucket: str) -> None:
    store = Store(bucket)
    store.write_bytes("a", b"1")
    pickled = pickle.dumps(store)
    for text in (pickled, repr(vars(store)).encode(), repr(vars(store._place)).encode()):
        assert OWNER.secret_access_key.encode() not in text
        assert OWNER.access_key_id.encode() not in text
    assert pickle.loads(pickled).read_bytes("a") == b"1"  # noqa: S301  our own


def test_amazons_variables_open_a_bucket_too(
    s3_server: S3Server, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_server.aws_environment().items():
        monkeypatch.setenv(name, value)
    Store(f"s3://{s3_bucket}").write_bytes("a", b"1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "of-another-provider")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of-another-provider")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    for name, value in s3_server.store_environment().items():
        monkeypatch.setenv(name, value)
    assert Store(f"s3://{s3_bucket}").read_bytes("a") == b"1"


def test_dropped_connections_are_tried_again(bucket: str, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    cuts = Cuts(one_in=20)
    with cutting(s3_server.endpoint, cuts) as endpoint:
        monkeypatch.setenv("CROPMAP_STORE_ENDPOINT", endpoint)
        store, draw = Store(bucket), np.random.default_rng(20)
        objects = {f"a/{number}": draw.bytes(int(draw.integers(0, 90_000))) for number in range(150)}
        for name, data in objects.items():
            store.write_bytes(name, data)
            assert store.read_bytes(name) == data
            assert store.write_once(f"once/{name}", data)
        for number in range(40):
            assert store.names("a") == sorted(objects)
            assert store.exists(f"a/{number}")
            store.replace("pointer", b"%d" % number, before=store.version("pointer"))
    assert cuts.made > 10
    monkeypatch.setenv("CROPMAP_STORE_ENDPOINT", s3_server.endpoint)
    assert {name: Store(bucket).read_bytes(f"once/{name}") for name in objects} == objects
    assert Store(bucket).read_bytes("pointer") == b"39"


def use(store: Store) -> Iterator[CropmapError | None]:
    """Each kind of request."""
    for step in (
        lambda: store.exists("a"),
        lambda: store.recall("a", bytes),
        lambda: store.read_bytes("a"),
        lambda: store.names("a"),
        lambda: store.write_bytes("a", b"1"),
        lambda: store.write_once("a", b"1"),
        lambda: store.remove("a"),
    ):
        try:
            step()
        except CropmapError as error:
            yield error
        else:
            yield None


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        (dataclasses.replace(OWNER, secret_access_key="another-secret"), "does not accept the key"),
        (KeyPair("nobody-knows-me", "the-secret-of-nobody"), "does not accept the key"),
        (STRANGER, "the key may not do this"),
    ],
)
def test_a_key_that_is_refused_is_one_line(
    bucket: str, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch, keys: KeyPair, says: str
) -> None:
    for name, value in s3_server.store_environment(keys).items():
        monkeypatch.setenv(name, value)
    for error in use(Store(bucket)):
        assert isinstance(error, ConfigurationError)
        line = str(error)
        assert line.startswith(f"{bucket}: ")
        assert "\n" not in line
        assert len(line) < 300
        assert keys.secret_access_key not in line
        assert keys.access_key_id not in line
        if "403" not in line:  # an answer to HEAD has no text
            assert says in line


@pytest.mark.parametrize(
    ("method", "wrong", "says"),
    [
        ("PUT", Wrong(404, "NoSuchKey"), r"the store cannot do this \(NoSuchKey\)"),
        ("PUT", Wrong(404, html=True), r"the store cannot do this \(status 404\)"),
        ("PUT", Wrong(409, "OperationAborted"), r"the store cannot do this \(OperationAborted\)"),
        ("PUT", Wrong(412, "PreconditionFailed"), r"the store cannot do this \(PreconditionFailed\)"),
        ("PUT", Wrong(200, html=True), "does not answer as an S3 server does"),
        ("PUT", Wrong(403, "QuotaExceeded"), r"the store is full \(QuotaExceeded\)"),
        ("PUT", Wrong(400, "XMinioStorageFull"), r"the store is full \(XMinioStorageFull\)"),
        ("PUT", Wrong(403, "RequestTimeTooSkewed"), r"clock is not that of the store.*Set the clock"),
        ("GET", Wrong(409, "OperationAborted"), r"the store cannot do this \(OperationAborted\)"),
        ("GET", Wrong(412, "PreconditionFailed"), r"the store cannot do this \(PreconditionFailed\)"),
        ("GET", Wrong(403, "RequestExpired"), r"clock is not that of the store"),
        ("DELETE", Wrong(403, "AccessDenied"), r"the key may not do this"),
        ("DELETE", Wrong(409, "OperationAborted"), r"the store cannot do this"),
    ],
)
def test_an_answer_that_stays_wrong_is_one_line_and_never_taken_for_another_writer(
    bucket: str, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch, method: str, wrong: Wrong, says: str
) -> None:
    Store(bucket).write_bytes("a", b"1")
    steps: dict[str, list[Callable[[Store], object]]] = {
        "PUT": [lambda store: store.write_bytes("b", b"2"), lambda store: store.write_once("b", b"2")],
        "GET": [lambda store: store.read_bytes("a"), lambda store: store.recall("a", bytes)],
        "DELETE": [lambda store: store.remove("a")],
    }
    rule = lambda said, *_: wrong if said == method else None  # noqa: E731
    with answering(s3_server.endpoint, rule) as endpoint, monkeypatch.context() as patch:
        patch.setenv("CROPMAP_STORE_ENDPOINT", endpoint)
        for step in steps[method]:
            with pytest.raises((StoreUnavailableError, StoreRefusedError), match=says) as caught:
                step(Store(bucket))
            assert len(str(caught.value)) < 300
    assert not Store(bucket).exists("b")


def test_a_page_in_place_of_a_list_is_not_an_empty_store(
    bucket: str, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client reads any page as a list of nothing."""
    Store(bucket).write_bytes("a/b", b"1")
    assert Store(bucket).names("nothing") == []
    rule = lambda method, *_: Wrong(200, html=True) if method == "GET" else None  # noqa: E731
    with answering(s3_server.endpoint, rule) as endpoint, monkeypatch.context() as patch:
        patch.setenv("CROPMAP_STORE_ENDPOINT", endpoint)
        with pytest.raises(StoreUnavailableError, match="does not answer as an S3 server does"):
            Store(bucket).names("a")


@pytest.mark.parametrize(
    "wrong", [Wrong(409, "OperationAborted"), Wrong(503, "SlowDown"), Wrong(500, "InternalError"), Wrong(lost=True)]
)
def test_an_answer_that_is_wrong_for_a_while_is_asked_for_again(
    bucket: str, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch, wrong: Wrong
) -> None:
    rule = lambda _method, _path, number: wrong if number <= 2 else None  # noqa: E731
    with answering(s3_server.endpoint, rule) as endpoint, monkeypatch.context() as patch:
        patch.setenv("CROPMAP_STORE_ENDPOINT", endpoint)
        store = Store(bucket)
        assert store.write_once("once", b"1"), "no other writer was there"
        assert store.read_bytes("once") == b"1"
        store.remove("once")
    assert not Store(bucket).exists("once")


def test_a_body_that_is_shorter_than_what_was_asked_for_is_no_object(
    bucket: str, s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(b"x" * 90_000)
    Store(bucket).write_file("a", tmp_path / "a")
    Store(bucket).write_bytes("without", b"y" * 90_000, digest=False)
    for wrong_until, then in ((2, None), (99, "response body of 45040 bytes in place of 90080")):

        def rule(method: str, _path: str, number: int, until: int = wrong_until) -> Wrong | None:
            return Wrong(half=True) if method == "GET" and number <= until else None

        with answering(s3_server.endpoint, rule) as endpoint:
            monkeypatch.setenv("CROPMAP_STORE_ENDPOINT", endpoint)
            if then is None:
                Store(bucket).read_file("a", tmp_path / "b")
                assert (tmp_path / "b").read_bytes() == (tmp_path / "a").read_bytes()
            else:
                with pytest.raises(StoreUnavailableError, match=then):
                    Store(bucket).read_file("a", tmp_path / "b")
    monkeypatch.setenv("CROPMAP_STORE_ENDPOINT", s3_server.endpoint)
    with pytest.raises(DamagedObjectError, match="its SHA-256 is missing"):
        Store(bucket).read_file("without", tmp_path / "b")


@pytest.mark.slow
def test_a_large_object_whose_parts_fail_is_whole_or_absent(
    bucket: str, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = np.random.default_rng(20).bytes(20 << 20)

    def part_lost_once(method: str, path: str, number: int) -> Wrong | None:
        return Wrong(lost=True) if (method == "PUT" and "partNumber=2" in path and number <= 3) else None

    def never_completed(method: str, path: str, _number: int) -> Wrong | None:
        return Wrong(500, "InternalError") if method == "POST" and "uploadId" in path else None

    with answering(s3_server.endpoint, part_lost_once) as endpoint:
        monkeypatch.setenv("CROPMAP_STORE_ENDPOINT", endpoint)
        Store(bucket).write_bytes("large", data)
    with answering(s3_server.endpoint, never_completed) as endpoint:
        monkeypatch.setenv("CROPMAP_STORE_ENDPOINT", endpoint)
        with pytest.raises(StoreUnavailableError, match="InternalError"):
            Store(bucket).write_bytes("absent", data)
    monkeypatch.setenv("CROPMAP_STORE_ENDPOINT", s3_server.endpoint)
    assert Store(bucket).read_bytes("large") == data
    assert not Store(bucket).exists("absent")


@pytest.mark.parametrize("prefix", ["a b", "é/日本", "a+b", "a%20b", "a&b=c", " x ", "a:b@c", "[x]*~'", ""])
def test_a_prefix_may_have_odd_characters(s3_server: S3Server, s3_bucket: str, bucket: str, prefix: str) -> None:
    assert bucket
    store = Store(f"s3://{s3_bucket}/{prefix}")
    store.write_bytes("n/x y", b"1", digest=False)
    assert store.names("n") == ["n/x y"]
    assert store.name_at(store.address("n/x y")) == "n/x y"
    below = f"{s3_bucket}/{prefix}".rstrip("/")
    assert s3_server.client().open_input_stream(f"{below}/n/x y").read() == b"1"


def test_a_key_that_may_only_read_says_so_when_it_is_to_write(
    bucket: str, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    Store(bucket).write_bytes("a", b"1")
    for name, value in s3_server.store_environment(READER).items():
        monkeypatch.setenv(name, value)
    store = Store(bucket)
    assert store.read_bytes("a") == b"1"
    with pytest.raises(ConfigurationError, match=r"the key may not do this \(AccessDenied\)\. Let it list the bucket"):
        store.write_bytes("a", b"2")


def test_a_key_that_may_only_read_is_told_of_a_damaged_observation_file(
    bucket: str, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = observation_name("agency", 2024, "30UXV", "item")
    Store(bucket).write_bytes(name, b"no table")
    for variable, value in s3_server.store_environment(READER).items():
        monkeypatch.setenv(variable, value)
    with pytest.raises(DamagedObjectError, match=name):
        list(iter_observations(Store(bucket), [name]))


def test_a_missing_bucket_is_no_missing_object(bucket: str) -> None:
    for error in use(Store("s3://no-such-bucket/prefix")):
        assert isinstance(error, ConfigurationError)
        assert "s3://no-such-bucket/prefix: there is no such bucket. Make it" in str(error)


def test_half_a_key_pair_and_odd_addresses_are_refused(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    odd = ("gopher://x/y", "s3://", "s3:///x", "s3://key:word@bucket/x", "s3://bucket?endpoint_override=http://x")
    # what an address cuts off would make one store of two
    for address in (
        *odd,
        "s3://bucket:9000/x",
        *(f"s3://bucket/{p}" for p in ("a//b", "../x", "a/./b", "a#b", "a\nb")),
    ):
        with pytest.raises(ConfigurationError, match="Set CROPMAP_STORE to a folder or s3://bucket/prefix") as caught:
            Store(address)
        assert "word" not in str(caught.value)
    monkeypatch.setenv("CROPMAP_STORE_PATH_STYLE", "perhaps")
    with pytest.raises(ConfigurationError, match="CROPMAP_STORE_PATH_STYLE"):
        Store(bucket)
    monkeypatch.setenv("CROPMAP_STORE_PATH_STYLE", "true")
    monkeypatch.setenv("CROPMAP_STORE_ENDPOINT", "s3.example.org")
    with pytest.raises(ConfigurationError, match="CROPMAP_STORE_ENDPOINT: is no address of a server"):
        Store(bucket)
    monkeypatch.delenv("CROPMAP_STORE_SECRET_ACCESS_KEY")
    with pytest.raises(ConfigurationError, match="one half of a key pair is missing"):
        Store(bucket)


def quick_to_give_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fifth of all patience, so that the tests of it take seconds; the whole of it is less than half a minute."""
    assert buckets.SILENT_SECONDS + buckets.CONNECT_SECONDS < HALF_A_MINUTE
    for name in ("CONNECT_SECONDS", "SILENT_SECONDS", "RETRY_SECONDS"):
        monkeypatch.setattr(buckets, name, getattr(buckets, name) // QUICKER)


def silent_server() -> Iterator[str]:
    """Takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def stalling_server() -> Iterator[str]:
    """Begins to answer every request, and falls silent in the middle."""
    head = (
        b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\nETag: "a"\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n'
    )
    taken: list[socket.socket] = []

    def answer() -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                taken.append(connection)
                connection.recv(65_536)
                connection.sendall(head + b"some")

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=answer, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
    for connection in taken:
        connection.close()


@pytest.mark.slow
def test_a_server_that_falls_silent_in_an_answer_is_given_up(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    quick_to_give_up(monkeypatch)
    for endpoint in stalling_server():
        monkeypatch.setenv("CROPMAP_STORE_ENDPOINT", endpoint)
        began = time.monotonic()
        with pytest.raises(StoreUnavailableError, match="no answer from"):
            Store(bucket).read_bytes("a")
        assert time.monotonic() - began < HALF_A_MINUTE / QUICKER


@pytest.fixture(params=["nobody", "silent", "no such host", "no TLS"])
def away(request: pytest.FixtureRequest, s3_server: S3Server) -> Iterator[str]:
    if request.param == "silent":
        yield from silent_server()
    elif request.param == "nobody":
        yield f"http://127.0.0.1:{free_ports(1)[0]}"
    else:
        yield (
            "https://no.such.host.invalid"
            if request.param == "no such host"
            else s3_server.endpoint.replace("http:", "https:")
        )


@pytest.mark.slow
def test_a_server_that_is_away_is_named_within_half_a_minute(
    bucket: str, away: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick_to_give_up(monkeypatch)
    monkeypatch.setenv("CROPMAP_STORE_ENDPOINT", away)
    for step in ("read", "write"):
        began = time.monotonic()
        with pytest.raises(StoreUnavailableError, match="no answer from") as caught:
            Store(bucket).recall("a", bytes) if step == "read" else Store(bucket).write_bytes("a", b"1")
        assert time.monotonic() - began < HALF_A_MINUTE / QUICKER
        assert "\n" not in str(caught.value)
        assert away in str(caught.value)
        assert "Check CROPMAP_STORE_ENDPOINT" in str(caught.value)


def test_without_a_key_the_line_says_where_it_belongs(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("CROPMAP_STORE_", "AWS_")) and "KEY" in name]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", f"http://127.0.0.1:{free_ports(1)[0]}")
    began = time.monotonic()
    with pytest.raises(CropmapError, match=r"there is no key for this store\. Set CROPMAP_STORE_ACCESS_KEY_ID and"):
        Store(bucket).read_bytes("a")
    assert time.monotonic() - began < HALF_A_MINUTE


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 32 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(store: Store, data: bytes) -> None:
    """Writes more than a small disk holds."""
    for number in range(12):
        store.write_bytes(f"a/{number:02}", data)


def test_a_full_disk_is_one_line_and_keeps_what_is_there(small_disk: Path) -> None:
    store, data = Store(small_disk / "store"), np.random.default_rng(20).bytes(4 << 20)
    with pytest.raises(StoreUnavailableError, match=r"the disk is full\. Free space, then run the same command again"):
        fill(store, data)
    names = store.names("a")
    assert 4 < len(names) < 10
    assert all(Store(store.root).read_bytes(name) == data for name in names)
    assert sorted(path.name for path in store.local_path("a").iterdir()) == [name.partition("/")[2] for name in names]


@pytest.mark.slow
def test_a_server_whose_disk_is_full_is_one_line(small_disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(small_disk) as server:
        for name, value in server.store_environment().items():
            monkeypatch.setenv(name, value)
        store, began = Store(f"s3://{server.make_bucket()}"), time.monotonic()
        with pytest.raises(
            StoreUnavailableError, match=r"the store cannot do this \(\w+\)\. Its log says why"
        ) as caught:
            fill(store, bytes(4 << 20))
        assert time.monotonic() - began < HALF_A_MINUTE
        assert "\n" not in str(caught.value)


def test_doctor_names_what_is_wrong_with_a_bucket(
    bucket: str, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CROPMAP_STORE", bucket)
    assert examine(Settings.load())["store"] == f"{bucket} can be written"
    for name, value in s3_server.store_environment(STRANGER).items():
        monkeypatch.setenv(name, value)
    said = examine(Settings.load())["store"]
    assert said.startswith(f"FAILED: {bucket}: the key may not do this (AccessDenied). Let it list the bucket")
    shown = Settings.load().shown()
    assert shown["CROPMAP_STORE_SECRET_ACCESS_KEY"] == "***"
    assert shown["CROPMAP_STORE_ENDPOINT"] == s3_server.endpoint
    for name, value in s3_server.store_environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CROPMAP_STORE", "s3://no-such-bucket")
    assert "s3://no-such-bucket: there is no such bucket" in examine(Settings.load())["store"]
