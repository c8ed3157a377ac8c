"""An attack on statistics with everything that their reader can reach: no hidden cell is rebuilt."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import psycopg
import pytest
from shapely.geometry import box

from cropmap.contracts.tables import ASSESSMENT_COLUMNS, REJECTION_COLUMNS, STATISTIC_COLUMNS
from cropmap.database import publishing, releases, runs
from cropmap.database.connection import Connection
from cropmap.database.declarations import store_declarations
from cropmap.schemas import Confidentiality
from cropmap.statistics.areas import Estimated, estimate_areas
from cropmap.statistics.release import recovered
from tests.database.seasons import KEY, LOADED, PUBLISHED
from tests.statistics.population import Predicted, legend, simulate

FIGURES = ("declared_ha", "mapped_ha", "estimate_ha", "se_ha", "ci95_low_ha", "ci95_high_ha")
PARCEL_VIEWS = (
    "crop_prediction",
    "crop_assessment",
    "rejected_declaration",
    "declaration_log",
    "reviewed_parcel",
    "list_certification",
    "crop_map",
)
TABLES = ("parcel", "declaration", "prediction", "assessment", "statistic", "run", "released_row", "api_key", "season")


@pytest.fixture
def season(connection: Connection) -> tuple[Connection, Estimated, Estimated]:
    """A published and released season; (connection, its table, the same with every figure open)."""
    frame, predicted, _ = simulate(parcels=400, seed=10, undeclared=0.0)
    closed = estimate_areas(frame, predicted, legend())
    open_ = estimate_areas(frame, predicted, legend(), confidentiality=Confidentiality.OFF)
    register = gpd.GeoDataFrame(
        frame.assign(declared_area_ha=np.nan, row_number=range(len(frame)), repaired=False),
        geometry=[box(-3 + i / 1000, 48, -3 + (i + 1) / 1000, 48.01) for i in range(len(frame))],
        crs=4326,
    )
    store_declarations(
        connection,
        **KEY,
        accepted=register,
        rejected=pd.DataFrame(columns=list(REJECTION_COLUMNS)),
        source_file="a.gpkg",
        source_hash="a",
        loaded_at=LOADED,
    )
    runs.ensure_season(connection, **KEY, simulated=True, document={"regions": {"codes": ["FRH0"]}})
    runs.begin_run(connection, run_id="run-1", **KEY, as_of=None, code_version="1", started_at=LOADED)
    publishing.publish(
        connection,
        run_id="run-1",
        **KEY,
        parcels=register,
        predictions=_predictions(frame, predicted),
        assessments=_assessments(frame),
        statistics=closed.table,
        model_version="lstm-1",
        published_at=PUBLISHED,
        nuts_version=2024,
        n_acquisitions=70,
        report={"statistics": closed.report.as_json() | {"partial_regions": ["FR"]}, "assessments": {}},
    )
    release = releases.Release(
        **KEY,
        number=1,
        stage="first",
        run_id="run-1",
        as_of=None,
        nuts_version=2024,
        note=None,
        content_hash=releases.rows_hash(closed.table),
        released_at=PUBLISHED,
    )
    releases.store_release(connection, release, closed.table)
    return connection, closed, open_


def _predictions(frame: pd.DataFrame, predicted: Predicted) -> pd.DataFrame:
    order = np.argsort(-predicted.probabilities, axis=1)
    crops = np.array(predicted.crops, dtype=object)
    return pd.DataFrame(
        {
            "parcel_id": frame["parcel_id"],
            "crop": crops[order[:, 0]],
            "probability": 0.5,
            "second_crop": crops[order[:, 1]],
            "second_probability": 0.25,
            "n_observations": 12,
            "last_observation": None,
            "scored_by": "fold 1",
            "out_of_distribution": 0.5,
        }
    )


def _assessments(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(
        declared_code=frame["crop_code"],
        declared_crop="wheat",
        predicted_crop="wheat",
        declared_probability=0.5,
        right_probability=0.5,
        verdict="conform",
        reason="DECLARED_CROP_SUPPORTED",
        priority=0.0,
    ).reindex(columns=list(ASSESSMENT_COLUMNS))


def _as(connection: Connection, role: str, read: Callable[[], Any]) -> Any:
    connection.execute(f"SET cropmap.agency = 'bretagne'; SET ROLE {role}".encode())
    try:
        return read()
    finally:
        connection.execute("RESET ROLE; RESET cropmap.agency")


def _reachable(connection: Connection) -> dict[str, pd.DataFrame]:
    """Every relation of the database outside the catalogue, with the columns that the current role may read."""
    columns = connection.execute(
        "SELECT c.oid::regclass::text, array_agg(a.attname ORDER BY a.attnum) FROM pg_class c JOIN pg_attribute a"
        " ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
        " WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f') AND c.relnamespace = 'public'::regnamespace"
        " AND has_column_privilege(c.oid, a.attnum, 'SELECT') GROUP BY c.oid"
    ).fetchall()
    found = {}
    for name, names in columns:
        rows = connection.execute(f"SELECT {', '.join(names)} FROM {name}".encode()).fetchall()  # noqa: S608  catalogue
        found[name] = pd.DataFrame(rows, columns=names)
    return found


def test_the_reader_of_statistics_reaches_no_view_of_parcels(season: tuple[Connection, Estimated, Estimated]) -> None:
    connection, *_ = season
    found = _as(connection, "cropmap_reader", lambda: _reachable(connection))
    postgis = {"spatial_ref_sys", "geometry_columns", "geography_columns"}
    assert set(found) - postgis == {"crop_statistic", "statistic_release", "released_statistic", "run_log"}
    assert not {"n_parcels", "detail"} & set(found["run_log"].columns)
    for name in (*PARCEL_VIEWS, *TABLES):
        if connection.execute("SELECT to_regclass(%s)", (name,)).fetchone() != (None,):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                _as(connection, "cropmap_reader", partial(connection.execute, f"TABLE {name}".encode()))


def test_no_hidden_cell_is_rebuilt_from_what_the_reader_reaches(
    season: tuple[Connection, Estimated, Estimated],
) -> None:
    connection, closed, open_ = season
    found = _as(connection, "cropmap_reader", lambda: _reachable(connection))
    hidden = (closed.table["conf_status"] == "C").to_numpy()
    assert hidden.sum() > 10
    secret = {
        round(float(value), 9)
        for name in FIGURES
        for value, gone in zip(open_.table[name], hidden, strict=True)
        if gone and value and value > 0.01
    }
    shown = {round(float(v), 9) for name in FIGURES for v in closed.table[name].dropna()}
    for name, table in found.items():
        numbers = {round(float(v), 9) for column in table for v in table[column] if isinstance(v, float)}
        assert not numbers & (secret - shown), name
        text = table.astype(str).to_json()
        assert not any(holding in text for holding in ('h1"', "p00001")), name
    # the outsider's programme over each table that shows figures, and over both together
    sums = closed.report.sum_members
    for name in ("crop_statistic", "released_statistic"):
        assert recovered(found[name][list(STATISTIC_COLUMNS)], sums) == set()
    both = found["crop_statistic"][["nuts_id", "crop", *FIGURES]].merge(
        found["released_statistic"][["nuts_id", "crop", *FIGURES]], on=["nuts_id", "crop"]
    )
    assert len(both) == len(closed.table)
    for name in FIGURES:
        pd.testing.assert_series_equal(both[f"{name}_x"].isna(), both[f"{name}_y"].isna(), check_names=False)


def test_whoever_reads_parcels_can_rebuild_them_and_is_another(season: tuple[Connection, Estimated, Estimated]) -> None:
    """Why the roles are apart."""
    connection, _, open_ = season
    parcels = _as(
        connection,
        "cropmap_controller",
        lambda: connection.execute("SELECT nuts_id, declared_code, area_ha FROM crop_assessment").fetchall(),
    )
    rows = pd.DataFrame(parcels, columns=["nuts_id", "code", "area_ha"])
    table = open_.table.set_index(["nuts_id", "crop"])
    rebuilt = rows[(rows["nuts_id"] == "FRH01") & (rows["code"] == "DIV")]["area_ha"].sum()
    assert rebuilt == pytest.approx(table.at[("FRH01", "local:misc"), "declared_ha"])
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        _as(connection, "cropmap_controller", lambda: connection.execute("TABLE crop_statistic"))


def test_results_of_a_simulation_and_of_a_part_are_marked_in_every_view(
    season: tuple[Connection, Estimated, Estimated],
) -> None:
    connection, *_ = season
    for name in (
        "crop_prediction",
        "crop_assessment",
        "crop_statistic",
        "run_log",
        "statistic_release",
        "released_statistic",
        "declaration_log",
    ):
        assert connection.execute(f"SELECT DISTINCT simulated FROM {name}".encode()).fetchall() == [(True,)]  # noqa: S608
    for name in ("crop_statistic", "released_statistic"):
        rows = connection.execute(f"SELECT DISTINCT nuts_id FROM {name} WHERE partial_region".encode())  # noqa: S608
        assert rows.fetchall() == [("FR",)]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO statistic SELECT run_id, 'FRH99', level, crop, strucpro, concept, basis FROM statistic LIMIT 1",
        "INSERT INTO prediction (run_id, parcel_id, area_ha, n_observations) VALUES ('run-1', 'new', 1, 1)",
        "INSERT INTO assessment (run_id, parcel_id, area_ha, declared_code, verdict, reason)"
        " VALUES ('run-1', 'new', 1, 'BTH', 'conform', 'WEAK_EVIDENCE')",
        "UPDATE run SET status = 'running'",
        "UPDATE run SET report = '{}'",
        "UPDATE run SET simulated = false",
        "UPDATE run SET run_id = 'run-2'",
        "UPDATE declaration SET crop_code = 'MIS'",
        "UPDATE declaration SET holding_id = NULL, area_ha = 1",
        "UPDATE published SET run_id = 'run-0'",
        "INSERT INTO release (agency, season, number, stage, run_id, content_hash, released_at)"
        " VALUES ('bretagne', 2018, 2, 'final', 'run-1', 'x', now())",
        "INSERT INTO released_row SELECT r.agency, r.season, 1, 'FRH99', level, crop, strucpro, concept, basis"
        " FROM statistic JOIN run r USING (run_id) LIMIT 1",
        "SELECT key_hash FROM api_key",
        "DELETE FROM release",
    ],
)
def test_a_writer_does_not_change_what_was_published(
    season: tuple[Connection, Estimated, Estimated], statement: str
) -> None:
    connection, *_ = season
    runs.begin_run(connection, run_id="run-0", **KEY, as_of=None, code_version="1", started_at=LOADED)
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="permission denied"):
        _as(connection, "cropmap_writer", lambda: connection.execute(statement.encode()))


def test_a_release_of_other_figures_is_refused(season: tuple[Connection, Estimated, Estimated]) -> None:
    connection, closed, _ = season
    other = closed.table.assign(estimate_ha=closed.table["estimate_ha"] * 2)
    forged = releases.Release(
        **KEY,
        number=2,
        stage="final",
        run_id="run-1",
        as_of=None,
        nuts_version=2024,
        note=None,
        content_hash=releases.rows_hash(other),
        released_at=PUBLISHED,
    )
    with pytest.raises(Exception, match="release 2 is not the table of its published run"):
        _as(connection, "cropmap_writer", lambda: releases.store_release(connection, forged, other))
    assert [one.number for one in releases.read_releases(connection, **KEY)] == [1]
