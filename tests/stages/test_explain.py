"""`cropmap explain`: the way of a parcel, from its row to its published row, and once more to the same bits."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest

from cropmap.cli import run
from cropmap.contracts.tables import REJECTION_COLUMNS
from cropmap.database import declarations as register
from cropmap.errors import InputError
from cropmap.predictions.predictions import Predictions
from cropmap.results.explain import IDENTICAL, explain
from cropmap.results.judgement import scored_together
from cropmap.results.published import open_published
from cropmap.schemas import RejectReason
from cropmap.stages.open_season import OpenSeason
from cropmap.stages.products import parts_of
from tests.stages.conftest import NOON, YEAR
from tests.stages.judged import JudgedSeason


def _ask(judged: JudgedSeason, monkeypatch: pytest.MonkeyPatch, parcel: str, *options: str) -> int:
    judged.enter(monkeypatch)
    return run(
        [
            "explain",
            str(judged.context.agency.file),
            "--season",
            str(YEAR),
            "--data",
            str(judged.data),
            "--parcel",
            parcel,
            *options,
        ]
    )


def test_every_parcel_is_computed_again_to_the_same_bits(judged: JudgedSeason) -> None:
    for parcel in OpenSeason(judged.context).data.series.parcel_ids[::29]:
        found = explain(judged.context, str(parcel))
        assert found.sections["recomputed"] == IDENTICAL, parcel


def test_the_way_is_told_from_the_row_of_the_file_to_the_published_row(
    judged: JudgedSeason, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = OpenSeason(judged.context).data
    place = int(np.argmax(data.series.lengths))
    parcel = str(data.series.parcel_ids[place])
    assert _ask(judged, monkeypatch, parcel, "--json") == 0
    told = json.loads(capsys.readouterr().out)

    version = told["declarations"][0]
    assert (version["version"], version["change"], version["row_number"]) == (1, "new", int(parcel))
    assert version["source_file"] == "declarations.gpkg"
    fates = [row["fate"] for row in told["acquisitions"]]
    assert fates.count("used") == told["series"]["length"] == int(data.series.lengths[place])
    assert told["judge"]["fold"] == data.parcels["nuts_id"].iloc[place]
    assert told["judge"]["of the same holding among them"] == 0
    assert told["judge"]["parcels to learn from"] <= (data.parcels["nuts_id"] != told["judge"]["fold"]).sum()
    chances = [row["probability"] for row in told["scores"]]
    assert sum(chances) == pytest.approx(1, abs=1e-5)
    assert told["scores"][0]["crop"] == told["published prediction"]["crop"]
    assert [gate["reason"] for gate in told["gates"]][:2] == ["NO_GEOMETRY", "TOO_SMALL"]
    assert told["recomputed"] == IDENTICAL

    assert _ask(judged, monkeypatch, parcel) == 0
    said = capsys.readouterr().out
    headings = [line.strip() for line in said.splitlines() if line.isupper() and line[0].isalpha()]
    assert headings[:3] == ["PARCEL", "DECLARATIONS", "ACQUISITIONS"]
    assert said.rstrip().endswith(IDENTICAL)


def test_channel_numbers_give_the_published_probability_by_hand(judged: JudgedSeason) -> None:
    """P(right) = q_k T_kk / Σ_c q_c T_ck, from the printed numbers alone."""
    published = open_published(judged.context)
    rows = published.assessments[published.assessments["declared_probability"].notna()]
    parcel = str(rows.index[0])
    channel = explain(judged.context, parcel).sections["channel"]
    assert isinstance(channel, dict)
    q = {share["crop"]: share["q"] for share in channel["shares"]}
    t = {share["crop"]: share["t"] for share in channel["shares"]}
    k = channel["declared"]
    assert channel["right"] == pytest.approx(q[k] * t[k] / sum(q[c] * t[c] for c in q))
    assert q[k] == rows["declared_probability"].iloc[0]


def test_an_object_that_was_changed_is_found_out(
    judged: JudgedSeason, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = judged.with_own_store(tmp_path / "store")
    published = open_published(context)
    name = f"runs/{published.run.run_id}/predictions.parquet"
    logits = published.predictions.logits.copy()
    place = int(np.flatnonzero(np.isfinite(logits).all(axis=1))[0])
    logits[place, 0] = np.nextafter(logits[place, 0], np.float32(np.inf))  # one bit
    parcel = str(published.predictions.parcel_ids[place])
    Predictions(**{**vars(published.predictions), "logits": logits}).write(context.store, name)
    differences = explain(context, parcel).differences
    assert any(text.startswith("prediction: logits differ") for text in differences)
    other = int(np.flatnonzero(np.isfinite(logits).all(axis=1))[-1])
    assert not any(
        "logits" in text for text in explain(context, str(published.predictions.parcel_ids[other])).differences
    )

    monkeypatch.setenv("CROPMAP_STORE", str(tmp_path / "store"))
    assert _ask(judged, monkeypatch, parcel, "--json") == 1


def test_a_rejected_row_tells_where_the_parcel_was_lost(
    observed_copy: JudgedSeason, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _ask(observed_copy, monkeypatch, "lost-7", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["parcel"]["state"] == "rejected: UNKNOWN_CODE"
    assert told["rejected rows"] == [
        {"source_file": "declarations.gpkg", "row_number": 61, "reason": "UNKNOWN_CODE", "detail": "code QQQ"}
    ]
    assert "acquisitions" not in told
    assert _ask(observed_copy, monkeypatch, "7777777") == 2
    assert re.search("no file of season 2018 names parcel 7777777", capsys.readouterr().err)


@pytest.fixture
def observed_copy(judged: JudgedSeason) -> JudgedSeason:
    """The season with one rejected row."""
    with judged.context.connect() as connection:
        accepted = register.read_declarations(connection, **judged.context.key)
        register.store_declarations(
            connection,
            **judged.context.key,
            accepted=gpd.GeoDataFrame(accepted),
            source_file="declarations.gpkg",
            rejected=pd.DataFrame(
                [("declarations.gpkg", 61, "lost-7", RejectReason.UNKNOWN_CODE, "code QQQ")],
                columns=list(REJECTION_COLUMNS),
            ),
            source_hash="",
            loaded_at=NOON + timedelta(days=1),
        )
    return judged


def test_batches_are_those_of_the_prediction(judged: JudgedSeason) -> None:
    """Parcels of one fold and one tile, in the batches of 32 that `predict` cuts by length: together they are all."""
    data = OpenSeason(judged.context).data
    series, folds = data.series, np.zeros(len(data.series), np.int16)
    tiles, part_of = parts_of(data.parcels["home_tile"])
    seen = np.flatnonzero(series.lengths > 0)
    together = {tuple(scored_together(series, folds, part_of, int(p))) for p in seen}
    assert sorted(p for part in together for p in part) == seen.tolist()
    assert max(len(part) for part in together) == min(np.bincount(part_of[seen]).max(), 32)
    assert all(len(set(part_of[list(part)])) == 1 for part in together)
    assert len(tiles) > 1


def test_nothing_is_known_of_a_parcel_without_a_file(judged: JudgedSeason) -> None:
    with pytest.raises(InputError, match="names parcel nobody"):
        explain(judged.context, "nobody")
