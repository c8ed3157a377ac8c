"""The example agency files are valid, and their inputs are where they say."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from cropmap.agency import Agency

FOLDER = Path(__file__).parents[2] / "infra" / "agencies"
FILES = sorted(FOLDER.glob("*.yaml"))


def test_there_are_examples() -> None:
    assert {file.stem for file in FILES} >= {"bavaria", "flanders"}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_agency_file_is_valid(file: Path) -> None:
    agency = Agency.read(file)
    assert agency.agency == file.stem
    assert agency.read_legend().crops


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_worker_gets_the_agency_whole_and_without_its_file(file: Path, tmp_path: Path) -> None:
    agency = Agency.read(file, data=tmp_path)
    sent = agency.model_dump_json()
    assert str(tmp_path) not in sent
    received = Agency.received(sent)
    assert received.model_dump() == agency.model_dump()
    assert received.decisions_hash() == agency.decisions_hash()
    assert received.read_again() is received


def test_a_worker_gets_the_agency_s_own_catalogue_file(tmp_path: Path) -> None:
    text = (FOLDER / "flanders.yaml").read_text(encoding="utf-8")
    (tmp_path / "mirror.yaml").write_text("hosts: [mirror.example.org]\n", encoding="utf-8")
    (tmp_path / "flanders.yaml").write_text(
        text.replace("acquisitions:\n", "acquisitions:\n  provider: mirror.yaml\n", 1), encoding="utf-8"
    )
    agency = Agency.read(tmp_path / "flanders.yaml")
    sent = [provider.model_dump_json() for provider in agency.providers()]
    (tmp_path / "mirror.yaml").unlink()
    received = Agency.received(agency.model_dump_json(), providers=sent)
    assert [(known.name, known.hosts) for known in received.providers()] == [("mirror", ["mirror.example.org"])]


@pytest.mark.shared_data
@pytest.mark.parametrize("name", ["bavaria", "flanders"])
def test_inputs_of_the_real_seasons_exist(name: str, shared_data: Path) -> None:
    agency = Agency.read(FOLDER / f"{name}.yaml", data=shared_data)
    folds = agency.model.folds.file
    for reference in (agency.regions.boundaries, agency.acquisitions.catalog, agency.declarations.path, folds):
        assert reference is None or Path(agency.resolve(reference, season=2018)).is_file(), reference


def test_flemish_window_begins_in_the_autumn_before() -> None:
    season = Agency.read(FOLDER / "flanders.yaml").season(2018)
    assert (season.start, season.end) == (date(2017, 8, 1), date(2018, 11, 30))
