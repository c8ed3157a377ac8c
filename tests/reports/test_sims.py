"""The quality file: SIMS headings in order, figures as on the page, nothing hidden."""

from __future__ import annotations

import json
from typing import Any

from cropmap.reports.sims import BY_AGENCY, HEADINGS, quality_file
from tests.reports.seasons import SECRETS, report, revised


def concepts(data: bytes) -> dict[str, dict[str, Any]]:
    return {one["code"]: one for one in json.loads(data)["concepts"]}


def test_every_heading_is_there_and_filled_or_the_agencys() -> None:
    found = concepts(quality_file(report()))
    assert list(found) == list(HEADINGS)
    assert [code for code in HEADINGS if code.count(".") == 1] == [f"S.{number}" for number in range(1, 20)]
    assert {code for code, one in found.items() if one["text"] is None} == BY_AGENCY


def test_figures_are_those_of_the_page() -> None:
    data = quality_file(report(revisions=revised(), confidentiality="primary"))
    found = concepts(data)
    assert json.loads(data)["report"]["for_publication"] is False
    assert found["S.7"]["figures"] == {"confidential_cells": 4, "cells": 12}
    assert found["S.13.1"]["figures"]["overall_accuracy"]["value"] == 0.944
    assert found["S.13.1"]["figures"]["parcels_compared"] == "fewer than 100"
    assert found["S.13.2"]["figures"]["cells_per_class"] == [3, 2, 1, 1]
    assert found["S.13.2"]["figures"]["head_region"][-1] == {
        "crop": "R1000",
        "cv": None,
        "confidential": True,
        "flag": None,
    }
    assert found["S.13.3.1"]["figures"]["declared_land"] == {"low": 0.9, "high": 0.95}
    assert found["S.14.1"]["figures"] == {"days": 5}
    assert found["S.17.2"]["figures"] == {"cells_compared": 3, "outside_interval": 1, "confidential": 1}


def test_nothing_of_a_hidden_cell_is_in_it() -> None:
    text = quality_file(report(revisions=revised())).decode()
    assert [secret for secret in SECRETS if secret in text] == []


def test_acquisitions_with_another_offset_are_counted() -> None:
    assert concepts(quality_file(report()))["S.18.1"]["figures"] == {"acquisitions": 70}
    found = concepts(quality_file(report(offset_corrected=3, offset_contradicted=2)))
    assert found["S.18.1"]["figures"] == {"acquisitions": 70, "offset_corrected": 3, "offset_contradicted": 2}
