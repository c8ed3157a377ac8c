"""The tables themselves: every code stands once, classes are the published ones, Eurostat codes exist."""

from __future__ import annotations

import csv
from pathlib import Path

import geopandas as gpd
import pytest

from cropmap.errors import ConfigurationError
from cropmap.legends import FOLDER, Legend

AGENCIES = Path(__file__).parents[2] / "infra" / "agencies"
TABLES = sorted([*FOLDER.glob("*.csv"), *(AGENCIES / "legends").glob("*.csv")])


@pytest.fixture(params=TABLES, ids=lambda path: path.stem)
def table(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


def test_every_eurostat_code_is_on_the_list(table: Path, shared_data: Path) -> None:
    with (shared_data.parent / "domain" / "eurostat_crop_codes.csv").open(encoding="utf-8") as file:
        known = {row["crops"] for row in csv.DictReader(file)}
    used = {entry.eurostat_code for entry in Legend.read(str(table)).entries if entry.eurostat_code}
    assert used
    assert used <= known


def test_names_are_clean(table: Path) -> None:
    for entry in Legend.read(str(table)).entries:
        assert entry.crop_name == " ".join(entry.crop_name.split())
        assert entry.crop_name
        assert entry.crop is None or entry.crop == entry.crop.lower()


def test_thirteen_classes_of_the_talk() -> None:
    legend = Legend.read("fr_breizhcrops13")
    assert legend.crops == (
        "barley",
        "common wheat",
        "corn",
        "fallow",
        "fodder",
        "miscellaneous",
        "orchards",
        "other cereals",
        "permanent meadows",
        "protein crops",
        "rapeseed",
        "temporary meadows",
        "vegetables",
    )
    assert {code: legend.crop_of(code) for code in ("BTH", "MIS", "MIE", "ORH", "TTH", "CZH", "J6S", "PTR", "PPH")} == {
        "BTH": "common wheat",
        "MIS": "corn",
        "MIE": "corn",
        "ORH": "barley",
        "TTH": "other cereals",
        "CZH": "rapeseed",
        "J6S": "fallow",
        "PTR": "temporary meadows",
        "PPH": "permanent meadows",
    }
    assert legend.crop_of("TRN") is None, "sunflower is known, and no class of the thirteen"
    assert {"C1500", "G3000"} <= set(legend.eurostat_codes_of("corn"))
    assert legend.group_of("permanent meadows") != legend.group_of("temporary meadows"), "payments tell them apart"


def test_nine_classes_of_the_benchmark() -> None:
    legend = Legend.read("fr_breizhcrops9")
    assert legend.crops == (
        "barley",
        "corn",
        "nuts",
        "orchards",
        "permanent meadows",
        "rapeseed",
        "sunflower",
        "temporary meadows",
        "wheat",
    )
    assert (legend.crop_of("NOX"), legend.crop_of("TRN"), legend.crop_of("TTH")) == ("nuts", "sunflower", None)


def test_the_french_legends_know_the_same_codes() -> None:
    thirteen, nine = (Legend.read(name) for name in ("fr_breizhcrops13", "fr_breizhcrops9"))
    assert thirteen.by_code.keys() == nine.by_code.keys()
    assert len(thirteen.entries) == 371


def test_maize_for_grain_and_for_silage_is_inseparable_in_bavaria() -> None:
    legend = Legend.read("legends/bavaria.csv", base=AGENCIES)
    assert legend.crop_of("171") == "grain maize"
    assert legend.crop_of("411") == "silage maize"
    assert legend.group_of("grain maize") == legend.group_of("silage maize") == "maize"


@pytest.mark.shared_data
@pytest.mark.parametrize(("agency", "codes"), [("bavaria", 35), ("flanders", 5)])
def test_agency_legends_know_every_declared_code(agency: str, codes: int, shared_data: Path) -> None:
    legend = Legend.read(f"legends/{agency}.csv", base=AGENCIES)
    declared = set(gpd.read_file(shared_data / agency / "declarations.gpkg")["crop_code"])
    assert declared == legend.by_code.keys()
    assert len(declared) == codes


def test_a_code_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("crop_code,crop_name,crop,eurostat_code,inseparable_group\n01,Wheat,wheat,C1110,\n01,Oats,oats,,\n")
    with pytest.raises(ConfigurationError, match="line 3: crop_code '01' is twice"):
        Legend.read(str(path))


def test_an_unknown_name_lists_the_built_in_ones() -> None:
    with pytest.raises(ConfigurationError, match="Built in are: fr_breizhcrops13, fr_breizhcrops9"):
        Legend.read("fr_breizhcrops99")
