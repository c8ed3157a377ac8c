"""The agency file: what it accepts, what it refuses, and that every key is documented and read."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml

from cropmap.agency import Agency, documented_keys
from cropmap.errors import ConfigurationError
from cropmap.schemas import Architecture

MINIMAL = """\
agency: bretagne
regions: {nuts_version: 2024, boundaries: nuts.geojson, codes: [FRH0]}
acquisitions: {catalog: scenes/catalog.json}
declarations: {path: "declarations_{season}.gpkg", columns: {parcel_id: id_parcel, crop_code: code_cultu}}
legend: fr_breizhcrops13
"""
ROOT = Path(__file__).parents[1]


@pytest.fixture
def agency_file(tmp_path: Path) -> Path:
    path = tmp_path / "bretagne.yaml"
    path.write_text(MINIMAL)
    return path


def test_what_the_file_leaves_open_has_a_default(agency_file: Path) -> None:
    agency = Agency.read(agency_file)
    assert agency.model.architecture is Architecture.TRANSFORMER
    assert agency.model.networks == [Architecture.LSTM, Architecture.TRANSFORMER]
    assert agency.season(2018).start.isoformat() == "2018-01-01"


def test_paths_start_from_the_file_or_from_the_data_folder(agency_file: Path, tmp_path: Path) -> None:
    path = "declarations_{season}.gpkg"
    assert Agency.read(agency_file).resolve(path, season=2018) == str(tmp_path / "declarations_2018.gpkg")
    data = tmp_path / "data"
    data.mkdir()
    assert Agency.read(agency_file, data=data).resolve(path, season=2018) == str(data / "declarations_2018.gpkg")
    url = "https://stac.example/v1"
    assert Agency.read(agency_file, data=data).resolve(url, season=2018) == url


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("legend:", "legnd: x\nlegend:", "legnd: unknown key"),
        ("agency: bretagne", "agency: Bretagne Ouest", "agency: 'Bretagne Ouest' is no short name"),
        ("[FRH0]", "[]", "regions.codes"),
        ("nuts_version: 2024", "nuts_version: 2023", "regions.nuts_version"),
        ("crop_code: code_cultu", "holding_id: h", "declarations.columns"),
        ("legend: fr_breizhcrops13", "", "legend"),
        ("legend:", "languages: [French]\nlegend:", "languages.0: 'French' is no language beside English"),
        ("legend:", "languages: [en]\nlegend:", "languages.0: 'en' is no language beside English"),
        ("legend:", "languages: [fr, fr]\nlegend:", "languages names one twice"),
        ("legend:", "names: names.csv\nlegend:", "set languages"),
        ("legend: fr_breizhcrops13", "legend: [", "is not YAML"),
        ("legend:", "model: {architecture: gru}\nlegend:", "model.architecture: Input should be 'lstm'"),
    ],
)
def test_a_mistake_is_one_line_that_names_key_and_file(agency_file: Path, old: str, new: str, said: str) -> None:
    agency_file.write_text(MINIMAL.replace(old, new))
    with pytest.raises(ConfigurationError) as caught:
        Agency.read(agency_file)
    line = str(caught.value)
    assert said in line
    assert agency_file.name in line
    assert "\n" not in line
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("added", "said"),
    [
        ("schedule: {timezone: Europe/Pariss}", "did you mean Europe/Paris"),
        ("schedule: {timezone: Mars/Phobos}", "is no time zone"),
        ("schedule: {timezone: Europe}", "is no time zone"),
        ("schedule: {timezone: ''}", "is no time zone"),
        ("schedule: {timezone: ../etc/passwd}", "is no time zone"),
        ("schedule: {observe: a b c d e}", "schedule.observe"),
        ("schedule: {observe: 30 2 31 2 *}", "that ever comes"),
        ("schedule: {retrain: 0 0 31 4,6 *}", "that ever comes"),
        ("schedule: {predict: '61 * * * *'}", "schedule.predict"),
        ("schedule: {predict: '* * * *'}", "schedule.predict"),
        ("schedule: {predict: '@daily'}", "schedule.predict"),
        ("agency: normandie", "key 'agency' stands in line 1 and again"),
        ("model: {epochs: 3, epochs: 5}", "key 'epochs' stands in line 6 and again"),
        ("assessment: {groups: {a: [x], a: [y]}}", "key 'a' stands in"),
        ("model: {folds: {by: file}}", "model.folds.file"),
        ("x: " + 2_000 * "[", "nested too deeply"),
    ],
)
def test_a_schedule_and_a_key_that_are_wrong_are_said_when_the_file_is_read(
    agency_file: Path, added: str, said: str
) -> None:
    agency_file.write_text(MINIMAL + added + "\n")
    with pytest.raises(ConfigurationError) as caught:
        Agency.read(agency_file)
    line = str(caught.value)
    assert said in line
    assert agency_file.name in line
    assert "\n" not in line


@pytest.mark.parametrize("line", ["0 6 * * *", "*/15 6-18 * * MON-FRI", "0 0 29 2 *", "0 3 L * *", "15 0 1 1 *"])
def test_a_cron_line_that_comes_is_taken(agency_file: Path, line: str) -> None:
    agency_file.write_text(MINIMAL + f"schedule: {{observe: '{line}', timezone: Europe/Paris}}\n")
    assert Agency.read(agency_file).schedule.observe == line


def test_a_window_of_another_shape_is_said_when_the_file_is_read(agency_file: Path) -> None:
    agency_file.write_text(
        MINIMAL.replace("catalog.json}", 'catalog.json, window: ["{year}-01-01", "{season}-12-31"]}')
    )
    with pytest.raises(ConfigurationError, match=r"acquisitions\.window"):
        Agency.read(agency_file)


def test_a_eurostat_code_that_does_not_exist_is_named(agency_file: Path, tmp_path: Path) -> None:
    legend = "crop_code,crop_name,crop,eurostat_code,inseparable_group\n1,x,wheat,C1110,\n2,y,maize,C1509,\n"
    (tmp_path / "mine.csv").write_text(legend)
    agency_file.write_text(MINIMAL.replace("fr_breizhcrops13", "mine.csv"))
    with pytest.raises(ConfigurationError, match=r"'C1509' is no crop item of Eurostat \(code 2\).*C1500"):
        Agency.read(agency_file).read_legend()
    (tmp_path / "mine.csv").write_text(legend.replace("C1509", "C1500"))
    assert Agency.read(agency_file).read_legend().crops == ("maize", "wheat")


def test_a_profile_is_overridden_by_the_keys_that_are_given(agency_file: Path, tmp_path: Path) -> None:
    agency_file.write_text(
        MINIMAL.replace(
            "columns: {parcel_id: id_parcel, crop_code: code_cultu}", "profile: nl, layer: mine, columns: {area: ha}"
        )
    )
    profile = Agency.read(agency_file).read_profile()
    assert (profile.layer, profile.columns) == ("mine", {"crop_code": "gewascode", "crop_name": "gewas", "area": "ha"})
    (tmp_path / "mine.yaml").write_text("area_unit: m2\ncolumns: {crop_name: crop}")
    agency_file.write_text(
        MINIMAL.replace("columns: {parcel_id: id_parcel, crop_code: code_cultu}", "profile: mine.yaml")
    )
    assert Agency.read(agency_file).read_profile().area_unit == "m2"


def test_a_legend_by_hcat_level_is_made_from_the_code_list(agency_file: Path, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("original_code,original_name,HCAT3_name,HCAT3_code\n1,x,barley,3301010401\n")
    with_codes = MINIMAL.replace("code_cultu}", "code_cultu}, codes: list.csv")
    agency_file.write_text(with_codes.replace("fr_breizhcrops13", "hcat3_level6"))
    assert Agency.read(agency_file).read_legend().crop_of("1") == "winter barley"
    for text, said in (
        (with_codes, "declarations.codes is read by the legends hcat3"),
        (MINIMAL.replace("fr_breizhcrops13", "hcat3"), "set declarations.codes"),
    ):
        agency_file.write_text(text)
        with pytest.raises(ConfigurationError, match=said):
            Agency.read(agency_file)


def test_a_missing_file_and_a_missing_data_folder_are_named(agency_file: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.yaml"):
        Agency.read(tmp_path / "nowhere.yaml")
    with pytest.raises(ConfigurationError, match="nodata"):
        Agency.read(agency_file, data=tmp_path / "nodata")


def test_a_window_that_is_no_window_is_refused(agency_file: Path) -> None:
    agency_file.write_text(
        MINIMAL.replace("catalog.json}", 'catalog.json, window: ["{season}-12-31", "{season}-01-01"]}')
    )
    with pytest.raises(ConfigurationError, match=r"acquisitions\.window"):
        Agency.read(agency_file)


def test_the_schedule_is_no_part_of_a_results_identity(agency_file: Path) -> None:
    before = Agency.read(agency_file).decisions_hash()
    agency_file.write_text(MINIMAL + 'schedule: {observe: "0 6 * * *"}\n')
    assert Agency.read(agency_file).decisions_hash() == before
    agency_file.write_text(MINIMAL + "assessment: {false_alarm_rate: 0.2}\n")
    assert Agency.read(agency_file).decisions_hash() != before


def test_what_codes_are_called_is_no_part_of_a_results_identity(agency_file: Path, tmp_path: Path) -> None:
    before = Agency.read(agency_file)
    agency_file.write_text(MINIMAL + "languages: [fr, br, sr-Latn]\nnames: names.csv\n")
    (tmp_path / "names.csv").write_text("list,code,language,name\ncrops,C1110,br,Gwinizh\n")
    agency = Agency.read(agency_file)
    assert agency.decisions_hash() == before.decisions_hash()
    assert (before.region_language, agency.region_language) == (None, "fr")
    assert before.read_names() == []
    assert agency.read_names() == [("crops", "C1110", "br", "Gwinizh")]


def test_every_key_has_a_meaning_and_stands_in_the_documentation() -> None:
    page = (ROOT / "docs" / "agency-file.md").read_text()
    for key, _, meaning in documented_keys():
        assert meaning, key
        assert f"`{key}`" in page, f"docs/agency-file.md lacks {key}; run `make docs`"


@pytest.mark.slow
def test_every_key_is_read_by_code() -> None:
    code = "\n".join(
        p.read_text() for room in ("cropmap", "flows") for p in (ROOT / room).rglob("*.py") if p.parent.name != "agency"
    ) + "\n".join(
        found
        for p in (ROOT / "cropmap" / "agency").glob("*.py")
        for found in re.findall(r"self\.[a-z_.]+", p.read_text())
    )
    for key, _, _ in documented_keys():
        name = key.rsplit(".", 1)[-1]
        assert re.search(rf"\b{name}\b", code), f"nothing reads {key}"


@pytest.mark.slow
def test_every_key_that_an_error_names_exists() -> None:
    keys = {key for key, _, _ in documented_keys()}
    known = {key.rsplit(".", n)[0] for key in keys for n in range(3)}
    sections = "|".join({key.partition(".")[0] for key in keys if "." in key})
    named = re.compile(rf"(?<![\w./])(?:{sections})(?:\.[a-z_]+)+")
    wrong = [
        f"{path.relative_to(ROOT)}:{call.lineno}: {key}"
        for room in ("cropmap", "flows", "serving")
        for path in (ROOT / room).rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and ast.unparse(call.func).endswith("Error")
        for text in ast.walk(call)
        if isinstance(text, ast.Constant) and isinstance(text.value, str)
        for key in named.findall(text.value)
        if key not in known and not key.startswith("declarations.columns.")
    ]
    assert wrong == []


def test_crops_of_one_payment_are_never_held_against_each_other(agency_file: Path) -> None:
    plain = Agency.read(agency_file).read_legend()
    agency_file.write_text(MINIMAL + "assessment: {groups: {arable: [barley, common wheat]}}\n")
    grouped = Agency.read(agency_file).read_legend()
    assert [plain.group_of(crop) for crop in ("barley", "common wheat")] == ["barley", "common wheat"]
    assert [grouped.group_of(crop) for crop in ("barley", "common wheat", "corn")] == ["arable", "arable", "corn"]
    assert grouped.crops == plain.crops
    assert grouped.hash != plain.hash


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ("{a: [barley], b: [barley]}", "group b: barley is also in a"),
        ("{a: [rye]}", "rye is no class of fr_breizhcrops13"),
    ],
)
def test_a_group_names_classes_of_the_legend_once(agency_file: Path, groups: str, said: str) -> None:
    agency_file.write_text(MINIMAL + f"assessment: {{groups: {groups}}}\n")
    with pytest.raises(ConfigurationError, match=said):
        Agency.read(agency_file).read_legend()


@pytest.mark.parametrize("place", ["https://example.org/", "*.", "s3://", "folder/below", "a b"])
def test_a_trusted_place_is_a_host_a_bucket_or_a_folder(agency_file: Path, place: str) -> None:
    document = yaml.safe_load(agency_file.read_text())
    good = ["example.org", "*.example.org", "s3://ours", "/mnt/archive", "127.0.0.1"]
    document["acquisitions"] = {**document.get("acquisitions", {}), "trusted": good}
    agency_file.write_text(yaml.safe_dump(document))
    assert Agency.read(agency_file).acquisitions.trusted == good
    document["acquisitions"]["trusted"] = [place]
    agency_file.write_text(yaml.safe_dump(document))
    with pytest.raises(ConfigurationError, match=r"acquisitions\.trusted"):
        Agency.read(agency_file)


def test_legend_code_list_and_profile_may_be_another_one_each_season(agency_file: Path, tmp_path: Path) -> None:
    header = "crop_code,crop_name,crop,eurostat_code,inseparable_group\n"
    for year, crop in ((2018, "wheat"), (2019, "spelt")):
        (tmp_path / f"legend_{year}.csv").write_text(f"{header}1,one,{crop},C1110,\n")
        (tmp_path / f"list_{year}.csv").write_text(
            f"original_code,original_name,HCAT3_name,HCAT3_code\n1,x,barley,33010104{year - 2017:02d}\n"
        )
        (tmp_path / f"profile_{year}.yaml").write_text(
            f"columns: {{parcel_id: id_{year}, crop_code: code}}\narea_unit: m2\n"
        )
    agency_file.write_text(MINIMAL.replace("fr_breizhcrops13", "legend_{season}.csv"))
    agency = Agency.read(agency_file)
    assert [agency.of_season(year).read_legend().crops for year in (2018, 2019)] == [("wheat",), ("spelt",)]
    with pytest.raises(ConfigurationError, match=r"legend: 'legend_\{season\}\.csv' is another one each season"):
        agency.read_legend()
    with pytest.raises(ConfigurationError, match=r"legend_2020\.csv"):
        agency.of_season(2020).read_legend()

    coded = MINIMAL.replace("code_cultu}", 'code_cultu}, codes: "list_{season}.csv"')
    agency_file.write_text(coded.replace("fr_breizhcrops13", "hcat3_level6"))
    found = [Agency.read(agency_file).of_season(year).read_legend().crop_of("1") for year in (2018, 2019)]
    assert found[0] != found[1]

    agency_file.write_text(
        MINIMAL.replace(
            "columns: {parcel_id: id_parcel, crop_code: code_cultu}",
            'profile: "profile_{season}.yaml", layer: "parcels_{season}"',
        )
    )
    profile = Agency.read(agency_file).of_season(2019).read_profile()
    assert (profile.columns["parcel_id"], profile.layer) == ("id_2019", "parcels_2019")
