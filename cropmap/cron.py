"""Cron lines and time zones of a schedule: what a scheduler would stumble over is said when they are read."""

from __future__ import annotations

import difflib
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

FIELDS: Final = 5
"""a sixth, of seconds, stands first for the reader that checks and last for the scheduler"""
SOME_DAY = datetime(2024, 1, 1)  # noqa: DTZ001 - of a leap year; whether a line ever comes has no time zone


def checked_cron(line: str) -> str:
    """The line, of five fields. Raises ValueError for one that no scheduler reads, or that never comes."""
    hint = 'write minute, hour, day of the month, month, day of the week, as in "0 6 * * 1"'
    if len(line.split()) != FIELDS:
        raise ValueError(f"{line!r} is no cron line that ever comes (wrong number of fields); {hint}")
    try:
        next(CronSim(line, SOME_DAY))
    except CronSimError as error:
        raise ValueError(f"{line!r} is no cron line that ever comes ({str(error).lower()}); {hint}") from error
    except StopIteration:
        raise ValueError(f"{line!r} never comes: no such day in 50 years") from None
    return line


def checked_zone(name: str) -> str:
    """The name of a time zone of IANA's. Raises ValueError."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # KeyError: none of this name; OSError: a folder of zones, such as Europe
        near = difflib.get_close_matches(name, available_timezones(), n=3, cutoff=0.6)
        hint = f"did you mean {' or '.join(near)}?" if near else "such as Europe/Paris or UTC"
        raise ValueError(f"{name!r} is no time zone; {hint}") from None
    return name
