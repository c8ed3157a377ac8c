"""The pages of columns and of reason codes are those that the code writes, and they are complete."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from cropmap.agency import documented_keys
from cropmap.cli import run
from cropmap.cli.meanings import code_lists, columns_page, reasons_page
from cropmap.schemas import FindingReject, Notice, ReasonCode, RejectReason
from cropmap.sources.declarations.file_quality import FileWarning
from cropmap.sources.outlines import MAX_AREA_DIFFERENCE, MAX_REPAIR_CHANGE

ROOT = Path(__file__).parents[2]
KEY = re.compile(
    r"\b(?:regions|acquisitions|declarations|observations|model|assessment|review|statistics|schedule)\.[a-z_][a-z_.]*"
)


def classes(base: str) -> Iterator[ast.ClassDef]:
    """Classes of the product with this base, as they stand in the source."""
    for path in (ROOT / "cropmap").rglob("*.py"):
        text = path.read_text()
        for node in ast.walk(ast.parse(text)) if f"({base})" in text else ():
            if isinstance(node, ast.ClassDef) and base in {b.id for b in node.bases if isinstance(b, ast.Name)}:
                yield node


@pytest.mark.parametrize(("page", "write"), [("columns.md", columns_page), ("reasons.md", reasons_page)])
def test_the_page_is_the_one_that_the_code_writes(page: str, write: object) -> None:
    assert callable(write)
    assert (ROOT / "docs" / page).read_text() == write(), f"docs/{page} is out of date; run `make docs`"


def test_every_list_of_reason_codes_is_on_the_page() -> None:
    assert {node.name for node in classes("ReasonCode")} == {found.codes.__name__ for found in code_lists()}


def test_every_list_of_codes_says_what_they_mean() -> None:
    """Words are written as they are said (`conform`); what is written in capitals is a code, and needs a meaning."""
    for node in classes("StrEnum"):
        values = [
            line.value.value
            for line in node.body
            if isinstance(line, ast.Assign)
            if isinstance(line.value, ast.Constant)
        ]
        assert not any(isinstance(value, str) and value.isupper() for value in values), node.name


@pytest.mark.parametrize("code", [code for found in code_lists() for code in found.codes], ids=lambda code: repr(code))
def test_a_code_has_a_meaning_and_says_what_to_do(code: ReasonCode) -> None:
    assert str(code) == code.name
    assert code.meaning
    assert not code.meaning.endswith(".")
    assert code.mend[:1].isupper()
    assert not code.mend.endswith(".")


def test_keys_that_a_code_names_are_keys_of_the_agency_file() -> None:
    keys = {key for key, _, _ in documented_keys()}
    named = {
        key.rstrip(".")
        for found in code_lists()
        for code in found.codes
        for key in KEY.findall(code.meaning + " " + code.mend)
    }
    assert len(named) > 10
    assert {key for key in named if not any(key == one or key.startswith(f"{one}.") for one in keys)} == set()


def test_a_code_is_found_by_its_text() -> None:
    assert RejectReason("MISSING_CODE") is RejectReason.MISSING_CODE
    assert f"{FindingReject.UNKNOWN_CODE}" == "UNKNOWN_CODE"
    assert FileWarning.SEVERAL_CROPS.stated == Notice.SEVERAL_CROPS.stated


def test_numbers_in_a_meaning_are_those_that_decide() -> None:
    assert RejectReason.INVALID_GEOMETRY.meaning.endswith(f"by {MAX_REPAIR_CHANGE:.0%}")
    assert RejectReason.AREA_CONTRADICTS_GEOMETRY.meaning.endswith(f"more than {MAX_AREA_DIFFERENCE:.0%}")


def test_the_commands_explain_one_table_and_one_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["reasons", "UNKNOWN_CODE", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["meaning"] for row in rows] == [
        "the legend does not list the crop's code",
        "the code that was found is not in the legend",
    ]
    assert run(["columns", "statistic_release"]) == 0
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["table", "column", "type", "meaning", "empty"]
    assert [line.split()[1] for line in lines][:4] == ["agency", "season", "number", "stage"]


@pytest.mark.parametrize("command", ["columns", "reasons"])
def test_an_unknown_name_is_one_line(capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert run([command, "nothing"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
