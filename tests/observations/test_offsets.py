"""Offsets that items name wrongly, in both directions, on real reflectances and by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cropmap.observations.offsets import AcquisitionMeans, Judgement, OffsetEvidence, judge_acquisition, judge_season
from cropmap.schemas import BANDS

CROP = [0.03, 0.06, 0.04, 0.10, 0.28, 0.34, 0.36, 0.38, 0.18, 0.09]
SOIL = [0.115, 0.155, 0.2, 0.225, 0.24, 0.25, 0.27, 0.28, 0.36, 0.3]
DARK_SOIL = [0.05, 0.07, 0.09, 0.11, 0.13, 0.14, 0.15, 0.16, 0.22, 0.2]
HAZE = [0.10, 0.10, 0.08, 0.07, 0.06, 0.05, 0.05, 0.04, 0.02, 0.01]
SHARE = 0.3
PIXELS = 20.0


def means(
    spectrum: list[float], *, day: int = 1, offset: float = -0.1, shift: float = 0.0, parcels: int = 20
) -> AcquisitionMeans:
    noise = np.random.default_rng(day).normal(0, 0.003, (parcels, len(BANDS)))
    return AcquisitionMeans(
        date(2024, 5, 1) + timedelta(day), offset, np.array(spectrum) + noise + shift, np.full(parcels, PIXELS)
    )


@pytest.mark.parametrize("spectrum", [CROP, SOIL, DARK_SOIL])
def test_an_offset_applied_twice_is_seen_by_itself(spectrum: list[float]) -> None:
    judgement = judge_acquisition(means(spectrum, shift=-0.1))
    assert judgement.evidence == OffsetEvidence.CONTRADICTED
    assert "applied already" in judgement.detail
    assert judge_acquisition(means(spectrum)).evidence in (OffsetEvidence.FINE, OffsetEvidence.UNKNOWN)


def test_only_what_the_flag_allows_is_said() -> None:
    assert judge_acquisition(means(CROP, offset=0.0, shift=-0.1)).evidence == OffsetEvidence.UNKNOWN
    assert judge_acquisition(means(CROP, offset=-0.1, shift=0.1)).evidence == OffsetEvidence.UNKNOWN


def test_few_pixels_say_nothing() -> None:
    assert judge_acquisition(means(CROP, shift=-0.1, parcels=2)).evidence == OffsetEvidence.UNKNOWN


def test_one_bright_day_is_doubtful_and_several_are_not_a_veil() -> None:
    assert judge_acquisition(means(CROP, offset=0.0, shift=0.1)).evidence == OffsetEvidence.DOUBTFUL
    hazy = [value + haze for value, haze in zip(CROP, HAZE, strict=True)]
    assert judge_acquisition(means(hazy, offset=0.0)).evidence == OffsetEvidence.UNKNOWN
    alike = {str(day): means(CROP, day=day, offset=0.0, shift=0.1) for day in (1, 6, 11)}
    assert {j.evidence for j in judge_season(alike).values()} == {OffsetEvidence.CONTRADICTED}


@pytest.mark.parametrize(("offset", "shift"), [(-0.1, -0.1), (0.0, 0.1)])
def test_bare_fields_are_told_by_other_days(offset: float, shift: float) -> None:
    bright = [value + 0.07 for value in SOIL]  # too bright to tell by itself
    # fields that were green some days before, beside others that are bare all the time
    mixed = means(bright, day=1, offset=offset)
    mixed.reflectance[:4] = CROP
    days = {str(day): replace(mixed, day=mixed.day + timedelta(day)) for day in (0, 5)}
    days["wrong"] = means(bright, day=8, offset=offset, shift=shift)
    judged = judge_season(days)
    assert judged["wrong"].evidence == OffsetEvidence.CONTRADICTED
    assert {judged[day].evidence for day in ("0", "5")} == {OffsetEvidence.FINE}


def test_where_nothing_decides_both_are_doubtful() -> None:
    bright = [value + 0.07 for value in SOIL]
    judged = judge_season({"a": means(bright, day=1), "b": means(bright, day=6, shift=-0.1)})
    assert {j.evidence for j in judged.values()} == {OffsetEvidence.DOUBTFUL}
    assert all(j.detail for j in judged.values())


def test_harvest_snow_and_haze_are_no_offset() -> None:
    snow = [0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.13, 0.12]
    for changed in (SOIL, snow, [c + h for c, h in zip(CROP, HAZE, strict=True)]):
        for offset in (0.0, -0.1):
            days = {str(day): means(CROP, day=day, offset=offset) for day in (1, 4, 9, 12)}
            judged = judge_season({**days, "x": means(changed, day=7, offset=offset)})
            assert judged["x"].evidence in (OffsetEvidence.FINE, OffsetEvidence.UNKNOWN)


def real_means(shared_data: Path) -> dict[str, AcquisitionMeans]:
    """301 real parcels of 2018, without offsets, on the days on which a tenth of them was seen."""
    table = pd.read_parquet(shared_data / "bavaria" / "oracle.parquet").query("cloud_fraction < 0.5")
    wide = table.pivot_table(index=["date", "parcel_id"], columns="band", values="reflectance")[list(BANDS)]
    ids = sorted(table["parcel_id"].unique())
    acquisitions = {}
    for day, rows in wide.groupby(level="date"):
        values = rows.droplevel("date").reindex(ids).to_numpy()
        acquisitions[str(day)] = AcquisitionMeans(
            pd.Timestamp(str(day)).date(), 0.0, values, np.where(np.isfinite(values[:, 0]), PIXELS, 0.0)
        )
    return {day: each for day, each in acquisitions.items() if (each.pixels > 0).mean() > 0.1}


@pytest.mark.parametrize(("offset", "shift"), [(-0.1, -0.1), (0.0, 0.1)])
@pytest.mark.parametrize("share", [0.0, SHARE, 1.0])
@pytest.mark.slow
def test_real_parcels_with_planted_errors(shared_data: Path, offset: float, shift: float, share: float) -> None:
    draw = np.random.default_rng(18)
    right = {day: replace(each, offset=offset) for day, each in real_means(shared_data).items()}
    planted = {day for day in right if draw.random() < share}
    acquisitions = {d: replace(e, reflectance=e.reflectance + shift) if d in planted else e for d, e in right.items()}
    judged = judge_season(acquisitions)
    said = {day: judgement.evidence for day, judgement in judged.items()}
    spoken = (OffsetEvidence.CONTRADICTED, OffsetEvidence.DOUBTFUL)
    assert not [day for day in right.keys() - planted if said[day] in spoken]
    assert sum(said[day] in spoken for day in planted) >= 0.85 * len(planted)
    assert sum(said[day] == OffsetEvidence.CONTRADICTED for day in planted) >= 0.6 * len(planted)
    shuffled = [str(day) for day in draw.permutation(sorted(acquisitions))]
    assert judge_season({day: acquisitions[day] for day in shuffled}) == judged


def test_a_judgement_is_plain() -> None:
    assert judge_season({}) == {}
    assert Judgement(OffsetEvidence.FINE).detail == ""
