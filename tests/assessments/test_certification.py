"""The exact test against hypergeometric tails written out, and a list of which somebody knows the truth."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb

import numpy as np
import pytest

from cropmap.assessments.certification import Certificate, certify, statement
from cropmap.schemas import CertificateReason


@pytest.mark.slow
def test_p_value_is_the_hypergeometric_tail() -> None:
    # 10 parcels, 6 drawn, none right. More than 20 % are three: C(7, 6) of C(10, 6) draws miss all of them
    certificate = certify([10], np.arange(1, 7), np.full(6, "wrong", object), target=0.2, delta=0.1)
    (step,) = certificate.steps
    assert step.p_value == pytest.approx(comb(7, 6) / comb(10, 6))
    assert (certificate.reason, certificate.certified_size) == (CertificateReason.CERTIFIED, 10)


def _certify(finding: Sequence[str | None], *, grid: tuple[int, ...] = (20, 40), **changes: bool) -> Certificate:
    """A list of 40 of which every second parcel was drawn."""
    assert len(finding) == 20
    return certify(grid, np.arange(1, 41, 2), np.array(finding, dtype=object), target=0.2, delta=0.1, **changes)


def test_the_longest_list_that_passes_is_certified() -> None:
    # the first ten draws are wrong; of the next ten eight are right: the first 20 pass and all 40 do not
    certificate = _certify(["wrong"] * 12 + ["right"] * 8)
    assert (certificate.certified, certificate.certified_size) == (True, 20)
    assert [step.counted_right for step in certificate.steps] == [0, 8]
    assert (certificate.found_right, certificate.leaving) == (8, 0)


def test_a_list_that_fails_early_is_not_tried_further() -> None:
    # the first 20 hold too many; that all 40 would pass does not count
    found: list[str | None] = [*["right"] * 2, *["wrong"] * 18]
    certificate = _certify(found)
    assert (certificate.reason, certificate.certified_size) == (CertificateReason.TOO_MANY_RIGHT, 0)
    assert len(certificate.steps) == 1
    assert _certify(found, grid=(40,)).certified


@pytest.mark.parametrize(
    ("finding", "reason"),
    [
        ([None] * 20, CertificateReason.TOO_FEW_REVIEWED),
        ([None] * 3 + ["wrong"] * 17, CertificateReason.TOO_FEW_REVIEWED),
        (["cannot_tell"] * 3 + ["wrong"] * 17, CertificateReason.TOO_MANY_RIGHT),
        (["wrong"] * 17 + [None] * 3, CertificateReason.CERTIFIED),
    ],
)
def test_what_is_not_known_counts_as_right(finding: list[str | None], reason: CertificateReason) -> None:
    assert _certify(finding).reason == reason


def test_other_reasons() -> None:
    wrong: list[str | None] = ["wrong"] * 20
    assert _certify(wrong, used_before=True).reason == CertificateReason.LIST_USED_BEFORE
    assert _certify(wrong, grid=()).reason == CertificateReason.NO_LIST
    few = certify([20, 40], np.array([3, 30]), np.array(["wrong"] * 2, dtype=object), target=0.2, delta=0.1)
    assert few.reason == CertificateReason.SAMPLE_TOO_SMALL


def test_the_sentence_says_how_sure_of_how_many() -> None:
    certificate = _certify(["wrong"] * 12 + ["right"] + ["wrong"] * 7)
    assert statement(certificate, target=0.2, delta=0.1, list_size=40) == (
        "With 90% confidence at most 20% of these 40 parcels are rightly declared (the first 40 of 40). 1 of them were "
        "found right and leave the list: of the other 39 at most 7 are right."
    )
    refused = statement(_certify(["right"] * 20), target=0.2, delta=0.1, list_size=40)
    assert refused == "Could not be certified: too many of the reviewed parcels are right, or could not be judged."


@pytest.mark.slow
def test_a_list_just_over_its_bound_is_certified_in_at_most_delta_of_the_draws() -> None:
    # 41 of 200 are right, one more than 20 %
    rng, right = np.random.default_rng(0), np.arange(200) < 41
    false = 0
    for _ in range(2_000):
        drawn = rng.permutation(200)[:100]
        finding = np.where(right[drawn], "right", "wrong").astype(object)
        false += certify([200], drawn + 1, finding, target=0.2, delta=0.1).certified
    assert false / 2_000 <= 0.1 + 3 * np.sqrt(0.09 / 2_000)
