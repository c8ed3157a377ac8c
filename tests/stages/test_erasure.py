"""`cropmap forget`, `cropmap season expire`: nothing of a holding is left anywhere, and nothing of others is changed."""

from __future__ import annotations

import io
import json
import logging
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
from cropmap.database.connection import connect
from cropmap.dataset.shared import share_dataset
from cropmap.errors import InputError
from cropmap.model import registry, tracking
from cropmap.observations.coverage import read_outlines
from cropmap.results import releases, reviews
from cropmap.results.erasure.forget import Erased, Request, expire_seasons, forget_holding
from cropmap.results.erasure.objects import KINDS, kind_of
from cropmap.results.erasure.traces import Mask
from cropmap.results.explain import IDENTICAL, explain
from cropmap.results.exports import export_flags
from cropmap.schemas import AuditAction, Finding, ReleaseStage, RunStatus, Verdict
from cropmap.settings import Settings
from cropmap.stages import ingest, products
from cropmap.stages.context import SeasonContext
from cropmap.stages.open_season import OpenSeason
from cropmap.store import Store
from tests.database_fixtures import _fresh
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
        wide = [np.array([parcel]).tobytes() for parcel in self.parcels]  # as numpy holds text
        corners = [struct.pack("<dd", *corner) for corner in self._corners]
        return len(re.findall(named, data)) + sum(data.count(part) for part in [*wide, *corners])

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
def copied(judged: JudgedSeason, cluster_url: str, folder: Path) -> Iterator[Season]:
    name = str(conninfo_to_dict(judged.context.database_url)["dbname"])
    shutil.copytree(judged.home, folder / "home", ignore=shutil.ignore_patterns("logs"))
    shutil.copytree(judged.data, folder / "inputs")
    agency_file = folder / "home" / judged.context.agency.file.name
    agency_file.rename(folder / agency_file.name)
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
    first, others = held.index.get_loc(own.index[0]), held[held["holding"] != holding]
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
    releases.release_season(context, ReleaseStage.FIRST, released_at=NOON, allowed=["simulation"])
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
    )


@pytest.fixture(scope="module")
def season(judged: JudgedSeason, cluster_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Season]:
    with copied(judged, cluster_url, tmp_path_factory.mktemp("erasure")) as made:
        yield made


@pytest.fixture
def own(judged: JudgedSeason, cluster_url: str, tmp_path: Path) -> Iterator[Season]:
    """For one test alone."""
    with copied(judged, cluster_url, tmp_path) as made:
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
    assert erased["rows"]["rejection"] == 1
    assert erased["rows"]["review"] == 1
    assert {"observations", "parcel_sets", "coverage", "runs", "datasets", "training"} <= erased["objects"].keys()

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


def _kept_counts(season: Season) -> list[tuple[Any, ...]]:
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
