"""The study of the list on a few hundred parcels: that its counts are right, not how good the list is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cropmap.bench.estimate import plain_legend
from cropmap.dataset.folds import at_random
from cropmap.store import Store
from tests.studies import flags_elsewhere, flags_study
from tests.studies.flags import COUNTS, Case, row
from tests.studies.flags_classifier import Light, Projection, train
from tests.studies.flags_figure import draw
from tests.studies.flags_season import SLOTS, at_slots
from tests.studies.thinned import subset

CROPS = ("maize", "meadow", "wheat")


def case(*, wrong: int) -> Case:
    """900 parcels, 300 of each crop, scored without doubt; the first `wrong` wheat fields are declared as maize."""
    true = np.repeat([0, 1, 2], 300)
    declared = true.copy()
    declared[600 : 600 + wrong] = 0
    logits = (12 * np.eye(3)[true]).astype(np.float32)
    right = np.where(declared == true, 0.99, 0.01)
    legend = plain_legend(CROPS)
    return Case(CROPS, true, declared, np.zeros(900), np.full(900, 20), legend, lambda _: logits, right)


def test_counts_of_a_case_that_is_known() -> None:
    found = row(case(wrong=30), seed=0)
    assert (found["parcels"], found["wrong"], found["accuracy"]) == (900, 30, 1.0)
    assert [one["flags"] for one in found["reference"]] == [30 + k for k in (1, 3, 7)]  # as long as the mean allows
    same = {"flags": 30, "false": 0}
    assert found["peers"]["Flemish"] == same | {"beside": {"list": same, "p(declared)": same, "reference": same}}
    assert found["peers"]["Sen4CAP"]["flags"] == 0  # the declared crop is second of two that tie
    assert found["curves"]["list"][:2] == found["curves"]["p(declared)"][:2] == [25, 30]


def test_under_a_uniform_law_nothing_ranks_better_than_p_declared() -> None:
    """P(right) is then a rising function of p(declared); with one flow alone, only that flow is at issue."""
    rng, usual = np.random.default_rng(1), case(wrong=30)
    logits = rng.normal(size=(900, 3)).astype(np.float32)
    law = np.where(np.eye(3)[usual.declared] == 1, 0.96, 0.02)
    uniform = replace(usual, score=lambda _: logits, declared_given_crop=law)
    found = row(uniform, seed=0)["curves"]
    assert found["law known"] == found["p(declared)"]
    one_flow = np.where(np.eye(3)[usual.declared] == 1, 0.96, 0.0)
    one_flow[usual.declared == 0, 2] = 0.1  # wheat as maize
    found = row(replace(uniform, declared_given_crop=one_flow), seed=0)
    assert found["curves"]["law known"][4] > found["curves"]["p(declared)"][4]


def test_tables_are_means_over_seeds() -> None:
    def one(flags: int, false: int) -> dict[str, Any]:
        hits, ours = {"flags": flags, "false": false}, {"flags": flags, "false": 0}
        lists, reference = [{"target": 0.1, **hits}], [{"flags": 10, "false": 0}]
        return {
            "setting": "s",
            "wrong": 10,
            "refused": False,
            "reference": reference,
            "lists": lists,
            "peers": {"rule": {**hits, "beside": {"list": ours, "reference": hits}}},
        }

    rows = [one(10, 1), one(10, 3)]
    (line,) = flags_study.table(rows)
    assert (line["rate"], line["within 1.5 x"], line["recall"], line["ratio"]) == (
        "0.200 (0.280)",
        "50%",
        "0.80",
        "0.80",
    )
    (line,) = flags_study.peer_table(rows)
    assert (line["its rate"], line["its recall"], line["our rate"], line["our recall"]) == (
        "0.200",
        "0.80",
        "0.000",
        "1.00",
    )
    assert (line["ours - its"], line["reference's rate"]) == ("-0.200 ± 0.100", "0.200")
    assert flags_study.peer_table([one(0, 0), rows[1]])[0]["runs"] == 1
    assert flags_study.peer_table([one(0, 0)]) == []
    assert flags_study.rate({"flags": 0, "false": 0}) == 0


def test_slots_are_interpolated_between_clear_looks() -> None:
    """Looks on days 20, 40 and 62; the first parcel's second look is cloudy, the second parcel was never seen."""
    series = np.array([[[0.0], [np.nan], [0.42]], [[np.nan]] * 3], np.float32)
    found = at_slots(series, np.isfinite(series[:, :, 0]), np.array([20, 40, 62]))
    assert found.shape == (2, len(SLOTS))
    assert SLOTS[:3].tolist() == [32, 47, 62]
    assert found[0, :4] == pytest.approx([0.12, 0.27, 0.42, 0.42])
    assert (found[1] == 0).all()


def test_light_classifier_learns_and_repeats_itself() -> None:
    rng = np.random.default_rng(0)
    label = rng.integers(0, 3, 900)
    features = np.eye(5)[label] + 0.3 * rng.normal(size=(900, 5))
    inputs = Projection.of(features)(features)
    once, again = (train(inputs, label, classes=3, light=Light(16, 60), seed=1).logits(inputs) for _ in range(2))
    assert (once.argmax(axis=1) == label).mean() > 0.9
    np.testing.assert_array_equal(once, again)


def test_exchanged_labels_keep_the_shares_and_are_as_many_as_asked() -> None:
    label = np.repeat([0, 1, 2], [500, 300, 200])
    declared = flags_elsewhere.swap(label, share=0.03, seed=5)
    assert (declared != label).sum() == 30
    assert np.bincount(declared).tolist() == [500, 300, 200]


def test_subset_of_folds() -> None:
    folds = at_random(label=np.zeros(30, np.int16), count=3, seed=0)
    keep = np.array([3, 7, 20])
    part = subset(folds, keep)
    for k in range(3):
        np.testing.assert_array_equal(part.training_mask(k), folds.training_mask(k)[keep])


def test_a_study_that_was_cut_short_goes_on(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"POPULATIONS": 1, "MEMBERS": 1, "LIGHT": Light(8, 2)}.items():
        monkeypatch.setattr(f"tests.studies.flags_reference.{name}", value)
    monkeypatch.setattr("tests.studies.flags_season.DATES", 12)  # each is a sky of its own
    settings = flags_study.SHOWN[:1]
    rows = flags_study.measure(store, settings, parcels=600, seeds=[0])
    (name,) = store.names("bench/flags")
    assert rows[0]["parcels"] == 600
    assert 8 <= rows[0]["wrong"] <= 30
    store.write_bytes(name, json.dumps({**rows[0], "wrong": 99}).encode())
    assert flags_study.measure(store, settings, parcels=600, seeds=[0])[0]["wrong"] == 99
    picture = tmp_path / "precision.svg"
    draw(rows, [settings[0].name], picture)
    assert picture.read_bytes().startswith(b"<?xml")
    assert len(rows[0]["curves"]["list"]) == len(COUNTS)
