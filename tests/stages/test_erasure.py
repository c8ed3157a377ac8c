"""`cropmap forget`, `cropmap season expire`: nothing of a holding is left, and nothing of others is changed."""

from __future__ import annotations

import io
import json
import re
import shutil
import sqlite3
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from cropmap.cli import run
from cropmap.database import audit, erasure, runs
from cropmap.dataset.shared import share_dataset
from cropmap.errors import InputError
from cropmap.model import registry, tracking
from cropmap.results import releases, reviews
from cropmap.results.erasure.forget import Erased, Request, expire_seasons, forget_holding
from cropmap.results.erasure.objects import KINDS, Wanted, erase_objects, hashes_of, kind_of
from cropmap.results.erasure.traces import Mask
from cropmap.results.evidence import write_evidence
from cropmap.results.explain import IDENTICAL, explain
from cropmap.results.exports import export_flags
from cropmap.schemas import AuditAction, Finding, ReleaseStage, ReleaseWord, Verdict
from cropmap.settings import Settings
from cropmap.stages import ingest, products
from cropmap.stages.context import SeasonContext
from cropmap.stages.open_season import OpenSeason
from cropmap.store import Store
from tests.database_fixtures import _fresh
from tests.s3_server import S3Server
from tests.stages.conftest import NOON, YEAR, enter
from tests.stages.judged import JudgedSeason

REJECTED = "REJECTED-77"
"""a parcel of the holding that was never accepted"""


@dataclass
class Season:
    """A copy of the judged season, with something of the holding wherever people and programs leave it."""

    context: SeasonContext
    folder: Path
    holding: str
    parcels: list[str]
    outlines: list[bytes]
    others: list[str]
    """parcels near those of the holding, and far away"""
    other_outlines: list[bytes]

    def request(self, **changes: Any) -> Request:
        file, data = self.context.agency.file, self.context.agency.data
        return Request(Settings.load(), file, data, lambda: NOON + timedelta(days=30), **changes)

    def forget(self, **changes: Any) -> Erased:
        return forget_holding(
            self.request(**changes), agency=self.context.agency.agency, holding_id=self.holding, season=None
        )

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def traces(self) -> dict[str, int]:
        """How often the holding, its parcels and their corners are found, by where."""
        found = {place: self._count(data) for place, data in self._everything()}
        return {place: count for place, count in found.items() if count}

    def _count(self, data: bytes) -> int:
        words = [self.holding, *self.parcels, REJECTED]
        named = rb"(?<![\w.])(" + b"|".join(re.escape(word).encode() for word in words) + rb")(?![\w.])"
        corners = [struct.pack("<dd", *corner) for corner in self._corners]
        return len(re.findall(named, data)) + sum(data.count(corner) for corner in corners)

    @property
    def _corners(self) -> list[tuple[float, float]]:
        shared = {tuple(c) for w in self.other_outlines for c in shapely.get_coordinates(shapely.from_wkb(w))}
        own = {tuple(c) for w in self.outlines for c in shapely.get_coordinates(shapely.from_wkb(w))}
        return sorted((float(x), float(y)) for x, y in own - shared)  # neighbours have corners in common

    def _everything(self) -> Iterator[tuple[str, bytes]]:
        with self.context.connect() as connection:
            relations = connection.execute(
                "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm')"
                " AND relnamespace = 'public'::regnamespace"
            ).fetchall()
            for (name,) in relations:
                rows = connection.execute(sql.SQL("SELECT to_jsonb(t)::text FROM {} t").format(sql.Identifier(name)))
                text = "\n".join(row for (row,) in rows.fetchall())
                yield f"table {name}", text.encode() + b"".join(map(bytes.fromhex, _hex(text)))
        for path in sorted(each for each in self.home.rglob("*") if each.is_file()):
            yield f"file {path.relative_to(self.home)}", path.read_bytes() + _decoded(path)
        for verdict in Verdict:
            exported = export_flags(
                Settings.load(), agency=self.context.agency.agency, season=YEAR, verdicts=[verdict], format_="csv"
            )
            yield f"export {verdict}", exported


def _hex(text: str) -> list[str]:
    """Bytea as JSON shows it."""
    return [found for found in re.findall(r'"\\\\x([0-9a-f]+)"', text) if len(found) % 2 == 0]


def _decoded(path: Path) -> bytes:
    """What is in a file that compresses."""
    data = path.read_bytes()
    if path.suffix == ".parquet":
        return json.dumps(pq.read_table(pa.BufferReader(data)).to_pydict(), default=str).encode()
    if path.suffix == ".npz":
        with np.load(io.BytesIO(data)) as arrays:
            return b"\n".join(arrays[name].tobytes() + str(arrays[name].tolist()).encode() for name in arrays.files)
    if path.suffix == ".npy":
        return str(np.load(path).tolist()).encode()
    if path.suffix == ".db":
        with sqlite3.connect(path) as database:
            return "\n".join(database.iterdump()).encode()
    return b""


@contextmanager
def copied(judged: JudgedSeason, cluster_url: str, tracked: bytes, folder: Path) -> Iterator[Season]:
    name = str(conninfo_to_dict(judged.context.database_url)["dbname"])
    shutil.copytree(judged.home, folder / "home", ignore=shutil.ignore_patterns("logs"))
    shutil.copytree(judged.data, folder / "inputs")
    agency_file = folder / "home" / judged.context.agency.file.name
    agency_file.rename(folder / agency_file.name)
    (folder / "home" / "mlflow.db").write_bytes(tracked)
    with contextmanager(_fresh)(cluster_url, template=name) as url, pytest.MonkeyPatch.context() as patch:
        enter(patch, folder, url)
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{folder / 'home' / 'mlflow.db'}")
        context = SeasonContext.open(
            Settings.load(), folder / agency_file.name, season=YEAR, data=folder / "inputs", create=True
        )
        yield _left_everywhere(context, folder)


def _left_everywhere(context: SeasonContext, folder: Path) -> Season:
    with context.connect() as connection:
        rows = connection.execute(
            "SELECT holding_id, d.parcel_id, p.wkb FROM declaration d JOIN parcel p USING (agency, season, parcel_id)"
            " ORDER BY parcel_id"
        ).fetchall()
    held = pd.DataFrame(rows, columns=["holding", "parcel", "wkb"])
    sizes = held["holding"].value_counts()
    holding = str(sizes[sizes >= 3].index[-1])
    own = held[held["holding"] == holding]
    first, others = int(own.index[0]), held[held["holding"] != holding]
    near = others["parcel"].iloc[[max(first - 1, 0), first, first + 1, 0, len(others) // 2, -1]]
    season = Season(
        context,
        folder,
        holding,
        own["parcel"].tolist(),
        [bytes(wkb) for wkb in own["wkb"]],
        list(dict.fromkeys(near)),
        [bytes(wkb) for wkb in others["wkb"]],
    )
    _add_rejected_row(season)
    ingest.load_declarations(context, loaded_at=NOON + timedelta(days=1))
    share_dataset(context.store, OpenSeason(context).data.shared, owner=context.agency.agency)
    _note(season, others["parcel"].iloc[0])
    return season


def _add_rejected_row(season: Season) -> None:
    path = season.folder / "inputs" / "declarations.gpkg"
    table = gpd.read_file(path)
    row = table.iloc[[0]].assign(
        parcel_id=REJECTED, holding_id=season.holding, crop_code="???", geometry=[shapely.box(-3, 48, -2.999, 48.001)]
    )
    path.unlink()
    gpd.GeoDataFrame(pd.concat([table, row], ignore_index=True), crs=table.crs).to_file(path)


def _note(season: Season, other: str) -> None:
    context, parcel = season.context, season.parcels[0]
    key = context.key
    drawn, _ = reviews.draw_reviews(context, budget=60, seed=1, drawn_at=NOON, format_="csv")
    file = season.folder / "field.csv"
    file.write_text(
        "campaign,parcel_id,finding,found_code,reviewed_by,reviewed_at,note\n"
        f"{drawn['campaign']},{parcel},{Finding.RIGHT},,me,2018-06-01,gate by {parcel}\n"
        f"{drawn['campaign']},{other},{Finding.RIGHT},,me,2018-06-01,\n"
    )
    reviews.import_reviews(context, file, imported_at=NOON)
    releases.release_season(context, ReleaseStage.FIRST, released_at=NOON, allowed=[ReleaseWord.SIMULATION])
    with context.connect() as connection:
        audit.note(connection, **key, action=AuditAction.READ, subject="explain", parcel_ids=[parcel, other])
        connection.execute(
            "INSERT INTO notice VALUES (%(agency)s, %(season)s, 'declarations.gpkg', 3, %(other)s, 'OVERLAP', %(of)s)",
            {**key, "other": other, "of": f"0.01 ha with {parcel}"},
        )
        runs.begin_run(connection, run_id="lost", **key, as_of=None, code_version="1", started_at=NOON)
        runs.fail_run(
            connection,
            run_id="lost",
            detail=f"1 parcels are not in the register, '{parcel}' among them",
            finished_at=NOON,
        )
    context.store.write_bytes("somebody/else.txt", b"")
    logs = season.home / "logs"
    logs.mkdir(exist_ok=True)
    (logs / "cropmap.log").write_text(
        f"2018-05-15 12:00:00,123 INFO cropmap 2 parcels are not observed ({other}, {parcel}): no tile\n"
        f"2018-05-15 12:00:01,123 INFO cropmap holding {season.holding}: parcel {parcel}.\n"
    )
    tracking.track_failure(
        context.mlflow_uri,
        experiment=f"cropmap/{context.agency.agency}",
        run_key="k",
        tags={registry.DETAIL: f"parcel {parcel} has no area"},
        artifact_root=context.mlflow_artifacts,
    )


@pytest.fixture(scope="module")
def season(
    judged: JudgedSeason, cluster_url: str, empty_tracking: bytes, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Season]:
    with copied(judged, cluster_url, empty_tracking, tmp_path_factory.mktemp("erasure")) as made:
        yield made


@pytest.fixture
def own(judged: JudgedSeason, cluster_url: str, empty_tracking: bytes, tmp_path: Path) -> Iterator[Season]:
    """For one test alone."""
    with copied(judged, cluster_url, empty_tracking, tmp_path) as made:
        yield made


def explained(season: Season) -> dict[str, str]:
    """To the last bit: Python writes the shortest text that gives the same float."""
    found = {parcel: explain(season.context, parcel) for parcel in season.others}
    assert all(one.sections["recomputed"] == IDENTICAL for one in found.values())
    return {parcel: json.dumps(one.sections, default=str) for parcel, one in found.items()}


def test_a_forgotten_holding_is_nowhere_and_nothing_else_changed(
    season: Season, capsys: pytest.CaptureFixture[str]
) -> None:
    context, told = season.context, explained(season)
    before = season.traces()
    places = {place.partition("/")[0] for place in before}
    for wanted in ("table declaration", "table rejection", "table notice", "table review", "table audit_entry"):
        assert wanted in places, "the search finds what is there"
    for wanted in ("observations", "coverage", "parcel_sets", "runs", "datasets"):
        assert any(f"store/{wanted}" in place for place in before), wanted
    assert {"file logs", "file mlflow.db", "file datasets"} <= places
    hashes, counts = _releases(context), _kept_counts(season)

    counted = season.forget(dry_run=True)
    noted = {"table audit_entry": 0}  # each search exports
    assert season.traces() | noted == before | noted, "counting removes nothing"
    file = str(context.agency.file)
    options = ["--holding", season.holding, "--data", str(season.folder / "inputs"), "--json"]
    assert run(["forget", file, *options]) == 2, "nobody answers the question"
    capsys.readouterr()
    assert run(["forget", file, *options, "--yes"]) == 0
    said = capsys.readouterr()
    assert season.holding not in said.out + said.err
    (erased,), (expected,) = json.loads(said.out)["seasons"], counted["seasons"]
    audited = {"audit_entry": erased["rows"]["audit_entry"]}
    assert erased["rows"] == expected["rows"] | audited
    assert {k: n for k, n in erased["objects"].items() if k != "runs"} == {
        k: n for k, n in expected["objects"].items() if k != "runs"
    }, "but for the explanations of the others"
    assert erased["rows"]["declaration"] == erased["rows"]["prediction"] == len(season.parcels)
    assert erased["objects"]["unknown"] == 1, "an object of no known kind is told"
    assert erased["rows"]["rejection"] == 1
    assert erased["rows"]["review"] == 1
    assert {"observations", "parcel_sets", "coverage", "runs", "datasets", "training"} <= erased["objects"].keys()

    write_evidence(context, season.home / "pages", parcel_ids=season.others[:2], html=True, png=False)
    assert season.traces() == {}
    assert explained(season) == told
    assert _releases(context) == hashes
    assert _kept_counts(season) == counts
    with context.connect() as connection:
        (entry,) = [e for e in audit.entries(connection, context.agency.agency) if e["subject"] == "forget"]
    assert (entry["action"], entry["parcel_ids"]) == ("change", [])


def _releases(context: SeasonContext) -> list[tuple[str, bool]]:
    known = releases.list_releases(Settings.load(), agency=context.agency.agency, season=YEAR)
    assert known
    return [(str(one["content_hash"]), bool(one["intact"])) for one in known if one["intact"]]


def _kept_counts(season: Season) -> list[list[tuple[Any, ...]]]:
    """Runs, statistics and releases are those that were."""
    with season.context.connect() as connection:
        return [
            connection.execute(statement.encode()).fetchall()
            for statement in (
                "SELECT run_id, status, n_parcels, report FROM run WHERE status = 'published'",
                "SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM statistic t",
                "SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM released_row t",
                "SELECT count(*) FROM audit_entry WHERE subject = 'explain' AND n_rows = 2",
                "SELECT run_id FROM published",
            )
        ]


def test_what_was_forgotten_does_not_come_back(season: Season) -> None:
    """After the test above: the next day, and the next run."""
    context, first = season.context, OpenSeason(season.context)
    assert season.forget()["seasons"] == [], "there is nothing left"
    with pytest.raises(InputError, match="no declaration of agency simulated-bretagne names this holding"):
        forget_holding(season.request(), agency=context.agency.agency, holding_id="000999")

    pixels = [*season.folder.rglob("*.tif"), *season.folder.rglob("*.jp2")]
    assert pixels
    for path in pixels:
        path.unlink()
    loaded = ingest.load_declarations(context, loaded_at=NOON + timedelta(days=40))
    assert (loaded["new"], loaded["changed"], loaded["withdrawn"]) == (0, 0, 0)
    assert loaded["rejected"] == len(season.parcels) + 1
    with context.connect() as connection:
        left_out = connection.execute(
            "SELECT row_number, parcel_id, detail FROM rejection WHERE reason = 'HOLDING_ERASED'"
        ).fetchall()
    assert len(left_out) == len(season.parcels) + 1
    assert {row[1:] for row in left_out} == {(None, "")}

    ingest.search_catalog(first)
    sets = {tile: ingest.cover_tile(first, tile) for tile in ingest.season_tiles(first)}
    pending = ingest.pending_acquisitions(first, sets)
    assert pending, "files name the parcels that they are of"
    for item, tile in pending.items():
        assert ingest.observe_acquisition(first, item, sets[tile]) == "observed", "no pixel is read again"
    assert season.traces() == {}

    again = OpenSeason(context)
    plan = products.plan_run(again)
    with context.connect() as connection:
        assert connection.execute("SELECT run_id FROM published").fetchone() != (plan.run_id,)
    with products.logged_run(context, plan, clock=lambda: NOON):
        for step in (products.predict, products.assess, products.aggregate):
            step(again, plan)
        products.publish(again, plan, published_at=NOON + timedelta(days=41))
    assert season.traces() == {}
    assert not explain(context, season.others[0]).is_kept
    explained(season)


def test_a_command_that_is_stopped_again_and_again_is_finished_by_the_next(own: Season) -> None:
    told = explained(own)
    names = len(own.context.store.names(""))
    for step, times in (
        ("explanations", 1),
        ("object", names // 3),
        ("object", names // 2),
        ("objects", 1),
        ("files", 1),
    ):
        finished: list[str] = []

        def stop(what: str, step: str = step, times: int = times, finished: list[str] = finished) -> None:
            finished.append(what)
            if finished.count(step) == times:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            own.forget(on_step=stop)
        assert own.traces() != {}, "the rows say whose the parcels are, to the end"
    assert own.forget()["seasons"][0]["rows"]["declaration"] == len(own.parcels)
    assert own.traces() == {}
    assert explained(own) == told


def test_a_season_expires_with_the_year_that_ends_its_retention(own: Season) -> None:
    context, rules = own.context, own.context.agency.retention
    assert (rules.years, rules.audit_years) == (10, 10)
    hashes = _releases(context)
    with context.connect() as connection:
        connection.execute("UPDATE audit_entry SET noted_at = '2017-12-31 23:59:59Z' WHERE subject = 'explain'")
        connection.execute("UPDATE audit_entry SET noted_at = '2018-01-01Z' WHERE subject = 'review sample'")

    def expire(now: datetime, **changes: Any) -> Erased:
        request = Request(Settings.load(), context.agency.file, context.agency.data, lambda: now, **changes)
        return expire_seasons(request, agency=context.agency.agency, years=rules.years, audit_years=rules.audit_years)

    before = expire(datetime(2028, 12, 31, 23, tzinfo=UTC))
    assert (before["seasons"], before["audit_entries"]) == ([], 1), "entries expire by whole years"
    with context.connect() as connection:
        subjects = {entry["subject"] for entry in audit.entries(connection, context.agency.agency)}
    assert "review sample" in subjects
    assert "explain" not in subjects
    counts = _kept_counts(own)
    due = datetime(2029, 1, 1, tzinfo=UTC)
    (counted,) = expire(due, dry_run=True)["seasons"]
    (expired,) = expire(due)["seasons"]
    assert expired == counted | {"explanations": ""}
    assert expired["rows"]["parcel"] == 60
    assert expire(due)["seasons"] == [], "it is done"

    with context.connect() as connection:
        left = {
            table: connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))).fetchall()
            for table in erasure.ERASE
            if table != "audit_entry"
        }
        named = connection.execute("SELECT count(*) FROM audit_entry WHERE parcel_ids <> '{}'").fetchone()
    assert set(map(tuple, left.values())) == {((0,),)}
    assert named == (0,)
    for name in context.store.names(""):
        assert not name.startswith(("observations/", "coverage/", "parcel_sets/", "declarations/")), name
        assert not name.endswith(".npy"), name
        assert not _decoded(context.store.local_path(name)).count(b"parcel_id"), name
    assert _releases(context) == hashes
    assert _kept_counts(own) == counts
    with pytest.raises(InputError, match="retention has ended"):
        ingest.load_declarations(context, loaded_at=due)


def test_every_object_that_a_season_writes_is_of_a_known_kind(judged: JudgedSeason) -> None:
    page = (Path(__file__).parents[2] / "docs" / "season.md").read_text(encoding="utf-8")
    documented = {found.partition("/")[0] for found in re.findall(r"^\| `([^`]+/[^`]*)`", page, re.MULTILINE)}
    assert len(documented) > 8
    written = {kind_of(name) for name in judged.context.store.names("")}
    assert documented | written <= KINDS.keys()


def test_words_are_masked_and_times_and_numbers_within_words_are_not() -> None:
    mask = Mask({"12", "0042", "a b", "x/7"})
    line = "2018-05-12 12:12:12,123 INFO 12 of 312 parcels (12, 0042): '0042' and a b, x/7; 120 0042.\n"
    assert mask.text(line) == (
        "2018-05-12 12:12:12,123 INFO ** of 312 parcels (**, ****): '****' and ***, ***; 120 ****.\n"
    )
    assert mask.text("é0042 0042") == "é0042 ****"


def test_objects_in_a_bucket_lose_the_same_rows(
    own: Season, s3_server: S3Server, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_server.store_environment().items():
        monkeypatch.setenv(name, value)
    folder, bucket = own.context.store, Store(f"s3://{s3_bucket}/store")
    for name in folder.names(""):
        bucket.write_bytes(name, folder.read_bytes(name))
    with own.context.connect() as connection:
        runs_ = frozenset(erasure.runs_of(connection, **own.context.key))
    subject = erasure.Subject(own.context.agency.agency, YEAR, tuple(own.parcels), own.holding)
    counts = [
        erase_objects(Wanted(store, subject, runs_, hashes_of(own.outlines), frozenset())) for store in (folder, bucket)
    ]
    assert counts[0] == counts[1]
    assert {"observations", "runs", "parcel_sets", "coverage", "datasets"} <= counts[0].keys()
    assert bucket.names("") == folder.names("")
    for name in folder.names("observations"):
        assert bucket.read_table(name).equals(folder.read_table(name), check_metadata=True), name
        assert not set(bucket.read_table(name)["parcel_id"].to_pylist()) & set(own.parcels)
