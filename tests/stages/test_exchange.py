"""Files out and in: observations, assessments, statistics."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyarrow.parquet as pq
import pytest

from cropmap.database.queries import published_seasons
from cropmap.database.runs import read_run
from cropmap.errors import InputError
from cropmap.results.exports import FLAG_SCHEMA, Format, export_flags, export_observations
from cropmap.settings import Settings
from cropmap.stages import ingest, products
from cropmap.stages.context import SeasonContext
from cropmap.stages.imported import import_observations
from cropmap.stages.open_season import OpenSeason
from tests.stages.conftest import NOON, YEAR, observe_everything, open_context, publish_without_model


def test_exported_observations_start_a_season_without_a_catalogue(
    observed: SeasonContext, tiny_inputs: Path, tmp_path: Path
) -> None:
    tidy = tmp_path / "tidy.parquet"
    assert export_observations(observed, tidy) == pq.read_metadata(tidy).num_rows

    other = open_context(
        tiny_inputs, tmp_path, agency="other", acquisitions={}, assessment={"min_class_parcels": 1_000}
    )
    ingest.load_declarations(other, loaded_at=NOON)
    with pytest.raises(InputError, match="cropmap observations import"):
        products.plan_run(OpenSeason(other))
    assert import_observations(other, tidy)["dates"] > 1
    assert import_observations(other, tidy)["dates"] > 1  # the same file again
    observe_everything(other)  # as a season does: there is nothing to search and nothing to observe

    ours, theirs = OpenSeason(observed).data.series, OpenSeason(other).data.series
    assert theirs.parcel_ids.tolist() == ours.parcel_ids.tolist()
    assert theirs.day_of_year.tolist() == ours.day_of_year.tolist()
    np.testing.assert_allclose(theirs.reflectance, ours.reflectance, atol=1e-4, equal_nan=True)


def test_published_rows_leave_in_every_format(observed: SeasonContext, tmp_path: Path) -> None:
    publish_without_model(observed)
    settings, agency = Settings.load(), observed.agency.agency
    verdicts = ["not_assessable"]

    lines = export_flags(settings, agency=agency, season=YEAR, verdicts=verdicts, format_="csv").decode()
    rows = list(csv.DictReader(io.StringIO(lines)))
    assert len(rows) == 60
    assert rows[0]["parcel_id"].startswith("0")
    outlines = tmp_path / "flags.gpkg"
    outlines.write_bytes(export_flags(settings, agency=agency, season=YEAR, verdicts=verdicts, format_="gpkg"))
    shapes = gpd.read_file(outlines)
    assert set(shapes["parcel_id"]) == {row["parcel_id"] for row in rows}
    assert shapes.geometry.is_valid.all()
    table = pq.read_table(
        io.BytesIO(export_flags(settings, agency=agency, season=YEAR, verdicts=verdicts, format_="parquet"))
    )
    assert len(table) == 60


def test_every_format_of_the_list_says_the_same_in_the_same_order(observed: SeasonContext, tmp_path: Path) -> None:
    publish_without_model(observed)
    settings, agency = Settings.load(), observed.agency.agency
    with observed.connect() as connection:
        connection.execute(
            "UPDATE assessment SET verdict = 'mismatch', priority = area_ha / 3 WHERE parcel_id < '0000004'"
        )
        ranked = connection.execute(
            "SELECT parcel_id, priority FROM assessment WHERE verdict = 'mismatch' ORDER BY priority DESC"
        ).fetchall()

    def exported(format_: Format, verdict: str = "mismatch") -> bytes:
        return export_flags(settings, agency=agency, season=YEAR, verdicts=[verdict], format_=format_)

    as_json = json.loads(exported("json"), parse_constant=lambda text: pytest.fail(f"{text} is no JSON"))
    assert [(row["parcel_id"], row["priority"]) for row in as_json] == ranked  # to the last bit
    assert as_json[0]["right_probability"] is None
    table = pq.read_table(io.BytesIO(exported("parquet")))
    assert table.schema.equals(FLAG_SCHEMA)
    assert table.to_pylist() == as_json
    (tmp_path / "list.gpkg").write_bytes(exported("gpkg"))
    shapes = gpd.read_file(tmp_path / "list.gpkg")
    assert shapes["parcel_id"].tolist() == [parcel for parcel, _ in ranked]
    assert shapes["right_probability"].dtype == np.float64
    assert (shapes.crs.to_epsg(), set(shapes.geom_type)) == (4326, {"MultiPolygon"})
    lines = list(csv.DictReader(io.StringIO(exported("csv").decode())))
    assert [float(row["priority"]) for row in lines] == [priority for _, priority in ranked]

    # a list without a row has every column all the same
    assert pq.read_table(io.BytesIO(exported("parquet", "conform"))).schema.equals(FLAG_SCHEMA)
    assert exported("csv", "conform").decode().strip().split(",") == FLAG_SCHEMA.names
    assert json.loads(exported("json", "conform")) == []
    (tmp_path / "none.gpkg").write_bytes(exported("gpkg", "conform"))
    empty = gpd.read_file(tmp_path / "none.gpkg")
    assert (len(empty), empty.crs.to_epsg()) == (0, 4326)
    assert [name for name in empty.columns if name != "geometry"] == FLAG_SCHEMA.names


def test_nothing_published_is_said(observed: SeasonContext) -> None:
    with pytest.raises(InputError, match="not published"):
        export_flags(Settings.load(), agency="nobody", season=YEAR, verdicts=["mismatch"], format_="csv")


def test_a_step_that_fails_is_in_the_run_log_and_publishes_nothing(observed: SeasonContext) -> None:
    plan = products.plan_run(OpenSeason(observed))
    logged = products.logged_run(observed, plan, clock=lambda: NOON)
    with pytest.raises(InputError, match="has no predictions yet"), logged:
        products.assess(OpenSeason(observed), plan)  # before anything was predicted
    with observed.connect() as connection:
        run = read_run(connection, plan.run_id)
    assert run is not None
    assert run.status == "failed"
    assert run.detail
    with observed.connect() as connection:
        assert not published_seasons(connection)

    publish_without_model(observed)
    with observed.connect() as connection:
        assert [row["run_id"] for row in published_seasons(connection)] == [plan.run_id]
