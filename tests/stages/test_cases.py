"""The cases that people met, from a file or a catalogue to what the product says of it: expected, got."""

from __future__ import annotations

import importlib
import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cropmap.agency import Agency
from cropmap.cli import run
from cropmap.errors import CatalogError
from cropmap.seasons import Season
from cropmap.sources.catalogs.catalog import find_acquisitions
from cropmap.sources.declarations.inspection import inspect_file
from cropmap.stages.declared import read_declared
from cropmap.stages.load_guard import against_doubles
from tests.stages.cases import CASES, Case, Elsewhere, Listed, Observed, Read, Refused
from tests.stages.test_catalog_cases import ledger_of, open_case

pytestmark = pytest.mark.shared_data
TESTS = Path(__file__).parents[1]
BRITTANY = (-5.2, 47.2, -1.0, 48.9)
NO_CASE = {"_tools", "lib"}


def of(*kinds: type[Case]) -> list[str]:
    return [name for name, case in CASES.items() if isinstance(case, kinds)]


def variants(folder: Path) -> Iterator[Path]:
    """Folders that hold an agency file or a catalogue; a case without either is one whole."""
    found = {file.parent for name in ("agency.yaml", "catalog.json") for file in folder.rglob(name)}
    found |= {each for each in folder.iterdir() if (each / "agency.yaml").exists()}
    yield from found or {folder}


def test_every_case_stands_in_the_table(shared_data: Path) -> None:
    cases = shared_data / "cases"
    there = {
        str(variant.relative_to(cases))
        for part in ("input", "security", "output")
        for case in (cases / part).iterdir()
        if case.is_dir() and case.name not in NO_CASE
        for variant in variants(case)
    }
    assert there - set(CASES) == set(), "a case without an expectation"
    assert set(CASES) - there == set(), "an expectation without a case"


@pytest.mark.parametrize("name", of(Elsewhere))
def test_a_case_that_is_tested_elsewhere_names_its_test(name: str) -> None:
    case = CASES[name]
    assert isinstance(case, Elsewhere)
    file, function = case.test.split("::")
    assert f"\ndef {function}(" in (TESTS / file).read_text()


@pytest.mark.parametrize("name", of(Read))
def test_declarations_that_are_read(shared_data: Path, name: str) -> None:
    agency = Agency.read(shared_data / "cases" / name / "agency.yaml")
    file, case = read_declared(agency, season=2024), CASES[name]
    assert isinstance(case, Read)
    assert (len(file.accepted), Counter(file.rejected["reason"])) == (case.accepted, case.rejected)
    assert len(file.accepted) + len(file.rejected) + file.merged == file.row_count
    assert len(file.notes) == len(case.notes), file.notes
    for note, expected in zip(file.notes, case.notes, strict=True):
        assert re.search(expected, note), note
    assert bool(against_doubles(file.doubles, "", agency.declarations)) == case.stops
    layout = agency.declarations
    path = Path(agency.resolve(layout.path, season=2024))
    inspect_file(path, legends=[], layer=layout.layer, crs=layout.crs, encoding=layout.encoding)


@pytest.mark.parametrize("name", of(Refused))
def test_declarations_that_are_refused(
    shared_data: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CROPMAP_HOME", str(tmp_path / "home"))
    (agency,) = (shared_data / "cases" / name).glob("*.yaml")
    assert run(["declarations", "quality", str(agency), "--season", "2024", "--out", str(tmp_path / "o")]) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    case = CASES[name]
    assert isinstance(case, Refused)
    assert re.search(case.says, line), line


@contextmanager
def served(case: Path, tools: Path, how: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The case's items at the address of its own server, files from its folder."""
    monkeypatch.syspath_prepend(str(tools))
    api = importlib.import_module("stac").Api([], files=str(case / "data"), **how)
    text = (case / "search_answer.json").read_text().replace("@@", f"http://127.0.0.1:{api.port}")
    api.items = json.loads(text.replace("@HERE@", str(case)))["features"]
    try:
        yield str(api.url)
    finally:
        api.close()


@pytest.mark.parametrize("name", of(Observed))
def test_catalogues(
    environment: None, shared_data: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, folder = CASES[name], shared_data / "cases" / name
    assert isinstance(case, Observed)
    if case.served is None:
        assert ledger_of(open_case(folder, tmp_path, **case.keys)) == case.ledger
        return
    tools = shared_data / "cases" / "input" / "_tools"
    with served(folder, tools, dict(case.served), monkeypatch) as url:
        port = url.split(":")[2].split("/")[0]
        if "s3" in case.served:
            keys = (
                {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}
                if case.s3
                else {"AWS_EC2_METADATA_DISABLED": "true", "CPL_AWS_AUTODETECT_EC2": "NO"}
            )
            pays = {"AWS_REQUEST_PAYER": "requester"} if "requester_pays" in case.served else {}
            for key, value in {
                "AWS_S3_ENDPOINT": f"127.0.0.1:{port}",
                "AWS_HTTPS": "NO",
                "AWS_VIRTUAL_HOSTING": "FALSE",
                "AWS_REGION": "default",
                **keys,
                **pays,
            }.items():
                monkeypatch.setenv(key, value)
        context = open_case(folder, tmp_path, catalog=url, **case.keys)
        if case.says:
            with pytest.raises(CatalogError, match=case.says):
                ledger_of(context)
        else:
            assert ledger_of(context) == case.ledger


@pytest.mark.parametrize("name", of(Listed))
def test_hostile_items(shared_data: Path, tmp_path: Path, name: str) -> None:
    case, folder = CASES[name], tmp_path / "catalogue"
    assert isinstance(case, Listed)
    shutil.copytree(shared_data / "cases" / name, folder, copy_function=shutil.copyfile)
    for file in folder.iterdir():
        file.chmod(0o644)
        file.write_text(file.read_text().replace("@SIMULATED@", str(folder)).replace("@SCRATCH@", "/elsewhere"))
    season = Season.from_window(2018, ("2018-01-01", "2018-12-31"))
    found = find_acquisitions(str(folder / "catalog.json"), collection="sentinel-2-l2a", bbox=BRITTANY, season=season)
    assert len(found.acquisitions) == case.usable
    assert Counter(str(item.reason) for item in found.unusable) == case.reasons
    assert all("\x00" not in item.item_id + item.detail for item in found.unusable)
