"""What a run says of itself: kept in the store beside its tables, and published with its rows."""

from __future__ import annotations

from pydantic import Field

from cropmap.assessments.report import AssessmentReport
from cropmap.database.runs import Run
from cropmap.records import Record
from cropmap.statistics.report import StatisticsReport


class RunReport(Record):
    acquisitions: dict[str, int] = Field(default_factory=dict)
    """acquisitions of the season when the run was published: by status, quarantined by reason, observed by warning"""
    assessments: AssessmentReport = AssessmentReport()
    statistics: StatisticsReport = StatisticsReport()

    @classmethod
    def of(cls, run: Run | None) -> RunReport:
        """As it was published; all defaults where there is no run, or nothing of it is published. Raises InputError
        where an earlier version wrote what cannot be read."""
        report = run.report if run else None
        return cls.read(report or {}, where=f"the report of run {run.run_id}" if run else "the run's report")
