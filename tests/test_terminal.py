"""How answers are printed: for a person in lines and columns, for a program as one JSON document."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cropmap.errors import ConfigurationError
from cropmap.schemas import Verdict
from cropmap.terminal import require_file_to_write, say, table, write_out


def printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_values_stand_below_each_other(capsys: pytest.CaptureFixture[str]) -> None:
    say({"run_id": "x", "a": None, "areas_ha": 1234.5678}, as_json=False)
    assert printed(capsys) == ["run id    x", "a         -", "areas ha  1,234.568"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (float("nan"), "-"),
        (float("inf"), "-"),
        (0.0, "0.000"),
        (7, "7"),
        (True, "True"),
        ({"a": 1.5, "b": None}, "a 1.500, b -"),
        ([1, None, "x"], "1, -, x"),
        ({}, ""),
        (Verdict.MISMATCH, "mismatch"),
        (date(2018, 3, 1), "2018-03-01"),
    ],
)
def test_a_value_in_a_line(value: object, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    say({"k": value}, as_json=False)
    assert printed(capsys) == [f"k  {text}"]


def test_json_holds_plain_values_and_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    answer = {
        "nan": [float("nan"), {"inf": float("-inf")}],
        "day": date(2018, 3, 1),
        "n": np.int64(7),
        "f": np.float32(0.5),
        "path": Path("/x"),
        "word": "é",
    }
    say(answer, as_json=True)
    text = capsys.readouterr().out
    assert json.loads(text) == {
        "nan": [None, {"inf": None}],
        "day": "2018-03-01",
        "n": 7,
        "f": 0.5,
        "path": "/x",
        "word": "é",
    }
    assert "é" in text


def test_columns_of_numbers_are_aligned_to_the_right(capsys: pytest.CaptureFixture[str]) -> None:
    rows: list[dict[str, Any]] = [
        {"name": "a", "n": 5, "mixed": 1},
        {"name": "bcd", "n": None, "mixed": "x"},
        {"name": "e", "n": 12.5},
    ]
    table(rows, ["name", "n", "mixed"])
    assert printed(capsys) == ["name       n  mixed", "a          5  1", "bcd        -  x", "e     12.500  -"]


def test_a_table_of_nothing_has_its_head(capsys: pytest.CaptureFixture[str]) -> None:
    table([], ["a", "long name"])
    assert printed(capsys) == ["a  long name"]


def test_where_a_file_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert require_file_to_write(None) is None
    for path in (tmp_path / "new", tmp_path / "file", tmp_path / "no" / "such" / "folder" / "x"):
        assert require_file_to_write(path) == path
    with pytest.raises(ConfigurationError, match="is a folder"):
        require_file_to_write(tmp_path)
    with pytest.raises(ConfigurationError, match="cannot be written: file is a file"):
        require_file_to_write(tmp_path / "file" / "deep" / "x")


def test_what_was_read_is_not_written_over(tmp_path: Path) -> None:
    """Under whatever name the same file is meant."""
    read, link = tmp_path / "read", tmp_path / "link"
    read.write_text("before")
    link.symlink_to(read)
    for out in (read, link, tmp_path / "." / "read"):
        with pytest.raises(ConfigurationError, match="is a file that this command reads"):
            write_out(b"after", out, read=[None, tmp_path / "absent", read])
    assert read.read_text() == "before"
    write_out(b"after", tmp_path / "other", read=[read])
    assert (tmp_path / "other").read_bytes() == b"after"
