"""Drift between two seasons of an agency, as the champions see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import date, timedelta
from typing import TypedDict

from cropmap.database import queries
from cropmap.dataset.series import Series
from cropmap.errors import ArtifactError, InputError
from cropmap.predictions import drift
from cropmap.predictions.predict import Artifact, load_artifact, predict
from cropmap.predictions.predictions import Predictions
from cropmap.schemas import Architecture
from cropmap.seasons import SeasonKey
from cropmap.stages.champion import current_model
from cropmap.stages.context import SeasonContext
from cropmap.stages.dataset import SeasonData
from cropmap.stages.open_season import OpenSeason


class NetworkDrift(TypedDict):
    artifact: str
    trained_on: str
    """season"""
    crops_psi: float
    crops_verdict: drift.Verdict
    crops: list[Mapping[str, object]]
    """the fields of `drift.CropShift`"""
    confidence: dict[str, Mapping[str, object]]
    """before, now: the fields of `drift.Confidence`"""


class SeasonDrift(SeasonKey):
    against: int
    """season"""
    until: date
    """the day that both seasons are cut at"""
    verdict: drift.Verdict
    """the worst of all"""
    inputs: list[Mapping[str, object]]
    """the fields of `drift.BandDrift`, and its verdict"""
    networks: dict[str, NetworkDrift]


def earlier_season(season: OpenSeason) -> int | None:
    """The agency's last season before this one; None where there is none. Raises InputError without data."""
    context, _ = season.context, season.data
    with context.connect() as connection:
        return queries.season_before(connection, agency=context.agency.agency, season=context.season.year)


def season_drift(season: OpenSeason, *, against: int) -> SeasonDrift:
    """Compares a season with an earlier one: inputs, and for each champion predicted crops, confidence, strangeness.

    The earlier season is cut at the day of the year of this one's last observation, so that a season that has just
    begun is compared with the same part of the other. Both are predicted by the same models; parcels that a model was
    trained on, by the folds that did not see them. Raises InputError where a season has no data or no model is there.
    """
    context = season.context
    if against == context.season.year:
        raise InputError("a season does not drift from itself", where="--against")
    earlier = replace(context, season=context.agency.season(against), as_of=None)
    data, before = season.data, OpenSeason(earlier).data
    last = last_observation(data.series)
    known_then = before.series.until(before.series.day_zero + (last - data.series.day_zero))
    inputs = drift.input_drift(known_then, data.series)
    networks = {
        str(a): _network(context, artifact, (before, known_then), (data, data.series))
        for a in context.networks
        if (artifact := _champion(context, a)) is not None
    }
    if not networks:
        raise InputError("no network is trained", mend="Run `cropmap train` (or `season run`) in one of the seasons")
    worst = drift.worst([*(band.verdict for band in inputs), *(n["crops_verdict"] for n in networks.values())])
    return {
        **context.key,
        "against": against,
        "until": last,
        "verdict": worst,
        "inputs": [{**asdict(band), "verdict": band.verdict} for band in inputs],
        "networks": networks,
    }


def last_observation(series: Series) -> date:
    """Raises InputError where nothing was seen."""
    if not len(series.day_of_year):
        raise InputError("no parcel was seen clearly yet", mend="Wait for a clear acquisition")
    return series.day_zero + timedelta(days=int(series.day_of_year.max()))


def _champion(context: SeasonContext, architecture: Architecture) -> Artifact | None:
    model = current_model(context, architecture)
    return load_artifact(context.store, model.artifact_id) if model else None


def _network(
    context: SeasonContext, artifact: Artifact, before: tuple[SeasonData, Series], now: tuple[SeasonData, Series]
) -> NetworkDrift:
    said_before, said_now = (_predicted(context, artifact, *season) for season in (before, now))
    crops, psi = drift.crop_shift(said_before, said_now)
    sure_before, sure_now = drift.confidence(said_before), drift.confidence(said_now)
    return {
        "artifact": artifact.artifact_id,
        "trained_on": artifact.manifest.about.get("season", "unknown"),
        "crops_psi": psi,
        "crops_verdict": drift.verdict(psi),
        "crops": [asdict(crop) for crop in crops],
        "confidence": {"before": asdict(sure_before), "now": asdict(sure_now)},
    }


def _predicted(context: SeasonContext, artifact: Artifact, data: SeasonData, series: Series) -> Predictions:
    """By the model's folds where it was trained on this season, else by the mean of its models."""
    if series.bands != artifact.manifest.bands:
        raise ArtifactError(f"made for {list(artifact.manifest.bands)}", where=artifact.artifact_id)
    trained_here = data.dataset is not None and data.dataset.hash == artifact.manifest.dataset_hash
    fold = data.dataset.folds.fold if data.dataset is not None and trained_here else None
    return predict(artifact, series, fold=fold, threads=context.threads)
