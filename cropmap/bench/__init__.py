"""Speed as a ratio: against the floor (what the machine needs at least) and against peers, in one run."""

from __future__ import annotations

from typing import TypeAlias

Row: TypeAlias = "dict[str, str | float | None]"
"""a line of a measurement's table: what, how much, beside what, the target, how it was measured"""
