"""Text of other people's files before it reaches a terminal or a log: nothing in it commands the terminal, turns the
reading direction round or looks like another record. Pure, but for `guard_terminal`."""

from __future__ import annotations

import re
import sys
from typing import Any, Final, TextIO, cast

CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
"""what neither XML nor a workbook may hold; no name and no table that people keep has it"""
COMMANDS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""control characters but tab and line feed, line and paragraph separators, marks of direction, halves of surrogate
pairs"""
SHOWN: Final = "\N{REPLACEMENT CHARACTER}"


def printable(text: str) -> str:
    """The text with SHOWN in the place of every character that commands."""
    return COMMANDS.sub(SHOWN, text.replace("\r\n", "\n"))


class _Guarded:
    """A text stream whose writes are printable."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        return self._stream.write(printable(text))

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def guard_terminal() -> None:
    """From now on what is printed on a terminal is printable. A file or a pipe gets what is written: it is data."""
    if sys.stdout is not None and sys.stdout.isatty() and not isinstance(sys.stdout, _Guarded):
        sys.stdout = cast(TextIO, _Guarded(sys.stdout))
