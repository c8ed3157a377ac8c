"""What a run says of itself: written as it was given, validated when it is read, defaults where a field is missing."""

from __future__ import annotations

import pytest

from cropmap.assessments.report import AssessmentReport
from cropmap.errors import InputError
from cropmap.stages.run_report import RunReport
from cropmap.statistics.confidentiality import internal_reasons
from cropmap.statistics.report import Disclosure, StatisticsReport


def test_only_what_was_given_is_written_in_the_order_of_the_fields() -> None:
    report = AssessmentReport(verdicts={}, reliability="forecast", estimated_rate=None, forecast=True)
    assert list(report.as_json().items()) == [
        ("forecast", True),
        ("estimated_rate", None),
        ("reliability", "forecast"),
        ("verdicts", {}),
    ]
    joined = report.joined(AssessmentReport(flags=3, reliability="provisional"))
    assert joined.as_json() == {
        "forecast": True,
        "flags": 3,
        "estimated_rate": None,
        "reliability": "provisional",
        "verdicts": {},
    }


def test_a_report_of_an_earlier_version_reads_with_defaults() -> None:
    document = {"statistics": {"disclosure": {"mode": "full"}, "parcels_without_holding": 7}, "assessments": {}}
    report = RunReport.read(document, where="run-1")
    assert report.statistics.disclosure.already_published == ()
    assert report.statistics.disclosure.internal is None
    assert internal_reasons(report.statistics) == ("HOLDINGS_UNKNOWN",)
    assert internal_reasons(RunReport.of(None).statistics) == ("NOT_PROTECTED",)
    passed = StatisticsReport(disclosure=Disclosure.read({"mode": "full", "internal": []}, where="run-1"))
    assert internal_reasons(passed) == ()


def test_a_report_of_a_later_version_is_read_without_what_it_says_more() -> None:
    report = AssessmentReport.read({"flags": 3, "confidence": {"low": 0.1}}, where="run-1")
    assert report.as_json() == {"flags": 3}
    nested = RunReport.read({"statistics": {"disclosure": {"mode": "full", "method": "new"}}}, where="run-1")
    assert nested.as_json() == {"statistics": {"disclosure": {"mode": "full"}}}


def test_a_report_that_does_not_fit_is_one_line_that_names_the_field() -> None:
    document = {"statistics": {"disclosure": {"mode": "complete"}, "reviews": "many"}, "assessments": []}
    with pytest.raises(InputError) as caught:
        RunReport.read(document, where="the report of run run-1")
    line = str(caught.value)
    assert line.startswith("the report of run run-1: does not fit this version (assessments: ")
    assert "statistics.reviews: Input should be a valid integer" in line
    assert "statistics.disclosure.mode: Input should be 'full'" in line
    assert line.endswith("Run `cropmap season run` again")
