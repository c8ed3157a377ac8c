"""What progress and a list of failures say to a person."""

from __future__ import annotations

import logging

import pytest

from cropmap.errors import PartialFailureError
from cropmap.progress import Counter, part_of_work
from cropmap.stages.training import _round


@pytest.mark.parametrize(
    ("rounds", "said"), [(0, [""]), (2, ["first of 3 rounds", "clean-up 1 of 2", "clean-up 2 of 2"])]
)
def test_every_round_of_training_has_a_name(rounds: int, said: list[str]) -> None:
    assert [_round(number, rounds) for number in range(rounds + 1)] == said


def test_what_is_counted_names_the_part_it_belongs_to_and_leaves_a_line(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("cropmap")
    logger.addHandler(caplog.handler)
    level = logger.level
    logger.setLevel(logging.INFO)
    try:
        with part_of_work("clean-up 1 of 2"), Counter("train lstm", total=2, unit="folds") as counter:
            for _ in range(10):  # steps of the two folds: their sum is a little less than 2
                counter.add(1 / 5)
    finally:
        logger.removeHandler(caplog.handler)
        logger.setLevel(level)
    assert "train lstm, clean-up 1 of 2: 2 of 2 folds in" in caplog.text
    assert Counter("train lstm", total=2, unit="folds").description == "train lstm"


def test_units_that_fail_of_one_cause_are_said_together() -> None:
    failed = {f"S2A_{number:02}": "the disk is full" for number in range(63)} | {"S2B": "no band B04"}
    said = str(PartialFailureError(failed, of=70, unit="acquisitions"))
    assert said.startswith("64 of 70 acquisitions failed: S2A_00, S2A_01")
    assert "S2A_07 and 55 more: the disk is full; S2B: no band B04" in said
    assert len(said) < 200
