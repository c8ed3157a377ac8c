"""The commands in `cropmap --help`, grouped by who needs them."""

from __future__ import annotations

from typing import Any, Final

from typer.core import TyperGroup

GROUPS: Final = {
    "To begin": ("demo", "commands", "doctor", "settings", "columns", "reasons", "db"),
    "Operator: runs the seasons of an agency": (
        "agency-keys",
        "catalog-keys",
        "declarations",
        "acquisitions",
        "observations",
        "season",
        "schedule",
        "schedules",
        "unschedule",
        "simulate",
        "serve",
        "api-key",
        "account",
        "audit",
        "forget",
    ),
    "Operator: the steps of a season, one by one": ("observe", "train", "predict", "assess", "aggregate", "publish"),
    "Controller: works through doubtful declarations": ("flags", "evidence", "explain", "review"),
    "Statistician: publishes crop areas": ("stats", "report"),
    "Model engineer: judges and replaces models": ("evaluate", "models", "mlflow", "drift", "breizhcrops", "bench"),
}
"""heading: commands in the order of work"""


class GroupedCommands(TyperGroup):
    """The program. A test holds that every command stands in one group."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 (click's own signature)
        width = formatter.width - 6 - max(map(len, self.commands))
        for heading, names in GROUPS.items():
            rows = [(name, self.commands[name].get_short_help_str(width)) for name in names if name in self.commands]
            with formatter.section(heading):
                formatter.write_dl(rows)
