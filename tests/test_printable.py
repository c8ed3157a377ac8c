"""Nothing that a file holds commands the terminal of whoever reads it, or writes records into a log."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest
from shapely import box

from cropmap.errors import DeclarationFileError
from cropmap.logs import set_up_logging
from cropmap.printable import printable
from tests.flows.terminal import on_terminal

TITLE = "\x1b]0;owned\x07"
CLEAR = "\x1b[2J\x9b2J"


def test_what_commands_is_shown_and_does_not_act() -> None:
    assert printable(f"a{TITLE}b{CLEAR}c") == "a\ufffd]0;owned\ufffdb\ufffd[2J\ufffd2Jc"
    assert printable("line\r\nline\tcell\n") == "line\nline\tcell\n", "lines and columns stay"
    assert printable("gone\rshown") == "gone\ufffdshown", "a line that writes over another"
    assert printable("a\u202egnp.exe\u2066\u2028\ud800") == "a\ufffdgnp.exe\ufffd\ufffd\ufffd"
    words = "Épeautre d’hiver, łąka, Άρδευση, ячмень 中 🌾"
    assert printable(words) == words


def test_an_error_is_one_printable_line() -> None:
    error = DeclarationFileError(f"no column {TITLE}", where=f"d{CLEAR}.csv", mend="It has:\nid\r, code")
    assert not any(ord(character) < 32 or 127 <= ord(character) < 160 for character in str(error))


def test_a_name_writes_no_record_of_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_up_logging(tmp_path)
    try:
        logging.getLogger("cropmap.test").warning("parcel %s", f"P1\n2026-01-01 00:00:00 INFO all is well{TITLE}")
    finally:
        for handler in logging.getLogger("cropmap").handlers:
            handler.close()
    written = (tmp_path / "logs" / "cropmap.log").read_text()
    assert sum(not line.startswith(" ") for line in written.splitlines()) == 1
    assert "\x1b" not in written + capsys.readouterr().err


@pytest.mark.slow
def test_the_name_of_a_column_does_not_command_a_terminal(tmp_path: Path) -> None:
    crops = ["wheat", "maize", "barley"] * 4
    rows = [f'P{n};{crop};"{box(9 + n, 50, 9.001 + n, 50.001).wkt}"' for n, crop in enumerate(crops)]
    lines = [f'pid;"crop{TITLE}";wkt', *rows]
    file = tmp_path / "d.csv"
    file.write_text("\n".join(lines), encoding="utf-8")
    command = [sys.executable, "-c", "from cropmap.cli import main; main()", "declarations", "inspect", str(file)]
    ended = on_terminal(command, patience=120)
    assert "owned" in ended.said
    assert TITLE not in ended.said
