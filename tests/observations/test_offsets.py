"""Offsets that items name wrongly, in both directions, on real reflectances and by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from cropmap.observations import offset_choice
from cropmap.observations.offset_choice import Judgement, OffsetEvidence, SeasonEvidence, judge_season, season_evidence
from cropmap.observations.offsets import AcquisitionMeans, Look, Looks, Step, looks_of, step_between
from cropmap.schemas import BANDS
from tests.studies.offsets import real_means

CROP = [0.03, 0.06, 0.04, 0.10, 0.28, 0.34, 0.36, 0.38, 0.18, 0.09]
SOIL = [0.115, 0.155, 0.2, 0.225, 0.24, 0.25, 0.27, 0.28, 0.36, 0.3]
DARK_SOIL = [0.05, 0.07, 0.09, 0.11, 0.13, 0.14, 0.15, 0.16, 0.22, 0.2]
HAZE = [0.10, 0.10, 0.08, 0.07, 0.06, 0.05, 0.05, 0.04, 0.02, 0.01]
BRIGHT = [value + 0.07 for value in SOIL]
"""too bright to tell by itself"""
SNOW = [0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.13, 0.12]
SHARE = 0.3
PIXELS = 20.0


def means(
    spectrum: list[float], *, day: int = 1, offset: float = -0.1, shift: float = 0.0, parcels: int = 20
) -> AcquisitionMeans:
    noise = np.random.default_rng(day).normal(0, 0.003, (parcels, len(BANDS)))
    return AcquisitionMeans(
        date(2024, 5, 1) + timedelta(day), offset, np.array(spectrum) + noise + shift, np.full(parcels, PIXELS)
    )


def judge(
    acquisitions: Mapping[str, AcquisitionMeans], neighbours: Mapping[str, bool] | None = None
) -> dict[str, Judgement]:
    looks = {item: looks_of(each) for item, each in acquisitions.items()}
    evidence = season_evidence(looks, lambda a, b: step_between(acquisitions[a], acquisitions[b]))
    return judge_season(evidence, neighbours)


def judge_one(one: AcquisitionMeans) -> Judgement:
    return judge({"one": one})["one"]


def test_an_offset_applied_twice_is_seen_by_itself_and_mended_where_there_is_vegetation() -> None:
    judgement = judge_one(means(CROP, shift=-0.1))
    assert (judgement.evidence, judgement.correction) == (OffsetEvidence.CORRECTED, 0.1)
    assert "applied already" in judgement.detail


@pytest.mark.parametrize("spectrum", [SOIL, DARK_SOIL])
def test_dark_soil_alone_proves_no_other_offset(spectrum: list[float]) -> None:
    judgement = judge_one(means(spectrum, shift=-0.1))
    assert (judgement.evidence, judgement.correction) == (OffsetEvidence.CONTRADICTED, 0.0)
    assert judge_one(means(spectrum)).evidence == OffsetEvidence.UNKNOWN


@pytest.mark.parametrize("spectrum", [CROP, DARK_SOIL])
def test_one_damaged_band_is_no_offset(spectrum: list[float]) -> None:
    damaged = means(spectrum)
    damaged.reflectance[:, BANDS.index("B02")] -= 0.1
    assert judge_one(damaged).evidence == OffsetEvidence.CONTRADICTED


def test_only_what_the_flag_allows_is_said() -> None:
    assert judge_one(means(CROP, offset=0.0, shift=-0.1)).evidence == OffsetEvidence.UNKNOWN
    assert judge_one(means(CROP, offset=-0.1, shift=0.1)).evidence == OffsetEvidence.UNKNOWN


def test_before_baseline_04_nothing_is_taken_away() -> None:
    days = {str(day): replace(means(CROP, day=day, offset=0.0, shift=0.1), baseline="03.01") for day in range(1, 9)}
    assert {each.correction for each in judge(days).values()} == {0.0}
    later = {item: replace(each, baseline="04.00") for item, each in days.items()}
    assert {each.correction for each in judge(later).values()} == {-0.1}


def test_few_pixels_say_nothing() -> None:
    assert judge_one(means(CROP, shift=-0.1, parcels=2)).evidence == OffsetEvidence.UNKNOWN


def test_one_bright_day_is_doubtful_and_several_are_not_a_veil() -> None:
    assert judge_one(means(CROP, offset=0.0, shift=0.1)).evidence == OffsetEvidence.DOUBTFUL
    hazy = [value + haze for value, haze in zip(CROP, HAZE, strict=True)]
    assert judge_one(means(hazy, offset=0.0)).evidence == OffsetEvidence.UNKNOWN
    alike = {str(day): means(CROP, day=day, offset=0.0, shift=0.1) for day in (1, 6, 11)}
    assert {(each.evidence, each.correction) for each in judge(alike).values()} == {(OffsetEvidence.CORRECTED, -0.1)}


@pytest.mark.parametrize(("offset", "shift"), [(-0.1, -0.1), (0.0, 0.1)])
@pytest.mark.parametrize("wrong_days", [(8,), (8, 13, 18, 23, 28)])
def test_bare_fields_are_told_by_other_days(offset: float, shift: float, wrong_days: tuple[int, ...]) -> None:
    mixed = means(BRIGHT, day=1, offset=offset)
    mixed.reflectance[:4] = CROP  # fields that were green some days before, beside others that are bare all the time
    days = {str(day): replace(mixed, day=mixed.day + timedelta(day)) for day in (0, 3, 5)}
    wrong = {f"wrong {day}": means(BRIGHT, day=day, offset=offset, shift=shift) for day in wrong_days}
    judged = judge({**days, **wrong})
    assert {judged[item].correction for item in wrong} == {-shift}
    assert {judged[item].evidence for item in days} == {OffsetEvidence.FINE}


def test_winter_starts_are_settled_by_what_comes_after() -> None:
    winter = {f"wrong {day}": means(BRIGHT, day=day, shift=-0.1) for day in (1, 6, 11)}
    assert {each.correction for each in judge(winter).values()} == {0.0}  # bare, and alike: nothing decides it
    spring = {f"right {day}": means(BRIGHT, day=day) for day in (16, 21)}
    judged = judge({**winter, **spring})
    assert {judged[item].correction for item in winter} == {0.1}
    assert {judged[item].correction for item in spring} == {0.0}


def test_days_that_state_other_offsets_prove_each_other() -> None:
    days = {f"{day}": means(BRIGHT, day=day, offset=-0.1 * (day % 2)) for day in range(1, 9)}
    assert {each.evidence for each in judge(days).values()} == {OffsetEvidence.FINE}
    both = {item: replace(e, reflectance=e.reflectance + (-0.1 if e.offset else 0.1)) for item, e in days.items()}
    judged = judge(both)
    assert {item: each.correction for item, each in judged.items()} == {
        item: 0.1 if each.offset else -0.1 for item, each in days.items()
    }


def test_a_step_to_one_day_alone_is_not_clear() -> None:
    judged = judge({"a": means(BRIGHT, day=1), "b": means(BRIGHT, day=6, shift=-0.1)})
    assert judged["b"].evidence == OffsetEvidence.CONTRADICTED
    assert {each.correction for each in judged.values()} == {0.0}


def test_the_same_datatake_elsewhere_decides_what_is_open() -> None:
    days = {"a": means(BRIGHT, day=1), "b": means(BRIGHT, day=6, shift=-0.1)}
    judged = judge(days, {"b": True})
    assert judged["b"].evidence == OffsetEvidence.CONTRADICTED  # a margin, and one day: not yet numbers to move
    more = {**days, "c": means(BRIGHT, day=3)}
    assert judge(more, {"b": True})["b"].evidence == OffsetEvidence.CORRECTED
    assert judge(days, {"b": False})["b"].evidence == OffsetEvidence.DOUBTFUL


def test_harvest_snow_and_haze_are_no_offset() -> None:
    for changed in (SOIL, SNOW, [c + h for c, h in zip(CROP, HAZE, strict=True)]):
        for offset in (0.0, -0.1):
            days = {str(day): means(CROP, day=day, offset=offset) for day in (1, 4, 9, 12)}
            judged = judge({**days, "x": means(changed, day=7, offset=offset)})
            assert judged["x"].evidence in (OffsetEvidence.FINE, OffsetEvidence.UNKNOWN)


def test_a_veil_is_no_step_and_water_is_not_compared() -> None:
    cloud = np.array([0.60, 0.59, 0.60, 0.61, 0.63, 0.64, 0.65, 0.65, 0.44, 0.32])
    clear, water = means(SOIL), means([0.05, 0.05, 0.04, 0.04, 0.04, 0.04, 0.03, 0.03, 0.02, 0.02])
    for opacity in (0.1, 0.2, 0.3):
        veiled = replace(clear, reflectance=clear.reflectance * (1 - opacity) + cloud * opacity)
        assert step_between(veiled, clear).shifts is None
    assert step_between(replace(water, reflectance=water.reflectance + 0.1), water) == Step(None, 0, 0)
    assert step_between(replace(clear, reflectance=clear.reflectance + 0.1), clear) == Step(1, 20, 20)


def test_chalk_that_dries_is_no_step_and_an_offset_over_chalk_is() -> None:
    bright = np.linspace(0.8, 1.2, 20)[:, None]
    chalk = np.array([0.35, 0.38, 0.40, 0.41, 0.42, 0.42, 0.43, 0.43, 0.42, 0.38]) * bright
    dry = means(list(chalk[0]))
    dry.reflectance[:] = chalk + np.random.default_rng(0).normal(0, 0.005, chalk.shape)
    wet = replace(dry, reflectance=chalk * 0.76)
    assert step_between(dry, wet).shifts is None
    assert step_between(wet, dry).shifts is None
    assert step_between(replace(dry, reflectance=chalk - 0.1), dry).shifts == -1
    assert step_between(replace(wet, reflectance=chalk * 0.76 + 0.1), wet).shifts == 1


def test_rain_on_chalk_moves_no_numbers() -> None:
    salt, draw = np.array([0.35, 0.38, 0.40, 0.41, 0.42, 0.42, 0.43, 0.43, 0.42, 0.38]), np.random.default_rng(3)
    for offset in (0.0, -0.1):
        days = {}
        for number in range(12):
            fields = salt * np.linspace(0.85, 1.15, 40)[:, None] * (0.76 if number % 3 == 2 else 1.0)
            one = means(list(salt), day=1 + 5 * number, offset=offset, parcels=40)
            days[str(number)] = replace(one, reflectance=fields + draw.normal(0, 0.005, fields.shape))
        judged = judge(days)
        assert {(each.evidence, each.correction) for each in judged.values()} == {(OffsetEvidence.FINE, 0.0)}


def by_hand(evidence: SeasonEvidence) -> list[bool]:
    """The cheapest choice of all, by trying every one."""
    order = list(evidence.looks)
    best, cheapest = [], np.inf
    for choice in product((False, True), repeat=len(order)):
        cost, last = 0.0, None
        for at, (item, wrong) in enumerate(zip(order, choice, strict=True)):
            looks = evidence.looks[item]
            cost += offset_choice.LOOK_COST.get(looks.corrected if wrong else looks.stated, 0.0)
            cost += (
                (offset_choice.GOES_ON if last else offset_choice.ERROR * wrong) if last is not None else 4.0 * wrong
            )
            last = wrong
            for back in range(at):
                step = evidence.steps.get((item, order[back]))
                if step is not None and step.shifts is not None:
                    moved = round((looks.other * (choice[back] - wrong)) / 0.1)
                    cost += min(step.parcels, 4) * (moved != step.shifts)
        if cost < cheapest:
            best, cheapest = list(choice), cost
    return best


def test_the_choice_is_the_cheapest_of_all() -> None:
    draw = np.random.default_rng(1)
    seen = set()
    for _ in range(40):
        days = {str(n): date(2024, 1, 1) + timedelta(3 * n) for n in range(9)}
        looks = {
            item: Looks(day, -0.1, 0.1, True, Look.IMPOSSIBLE if draw.random() < 0.2 else Look.SILENT, Look.SILENT, "")
            for item, day in days.items()
        }
        evidence = season_evidence(
            looks, lambda *_: Step([None, -1, 0, 0, 1][draw.integers(5)], int(draw.integers(2, 6)), 20)
        )
        margins = offset_choice._margins(evidence, list(evidence.looks), {})
        if (np.abs(margins) > 1e-9).all():
            assert [margin > 0 for margin in margins] == by_hand(evidence)
            seen.update(by_hand(evidence))
    assert seen == {False, True}


@pytest.mark.parametrize(("offset", "shift"), [(-0.1, -0.1), (0.0, 0.1)])
@pytest.mark.parametrize("share", [0.0, SHARE, 1.0])
@pytest.mark.slow
def test_real_parcels_with_planted_errors(shared_data: Path, offset: float, shift: float, share: float) -> None:
    draw = np.random.default_rng(18)
    right = {
        day: replace(each, offset=offset)
        for day, each in real_means(shared_data / "bavaria" / "oracle.parquet").items()
    }
    planted = {day for day in right if draw.random() < share}
    acquisitions = {d: replace(e, reflectance=e.reflectance + shift) if d in planted else e for d, e in right.items()}
    judged = judge(acquisitions)
    said = {day: judgement.evidence for day, judgement in judged.items()}
    assert not [day for day in right.keys() - planted if judged[day].correction]
    assert sum(said[day] == OffsetEvidence.CORRECTED for day in planted) >= 0.85 * len(planted)
    assert sum(said[day] in (OffsetEvidence.CONTRADICTED, OffsetEvidence.CORRECTED) for day in planted) >= 0.9 * len(
        planted
    )
    assert sum(said[day] == OffsetEvidence.CONTRADICTED for day in right.keys() - planted) <= 1
    shuffled = [str(day) for day in draw.permutation(sorted(acquisitions))]
    assert judge({day: acquisitions[day] for day in shuffled}) == judged


def test_a_judgement_is_plain() -> None:
    assert judge({}) == {}
    assert Judgement(OffsetEvidence.FINE).detail == ""
