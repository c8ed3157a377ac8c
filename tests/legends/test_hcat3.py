"""National code -> harmonised crop -> model class -> Eurostat crop, from an agency's own code list."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from cropmap.errors import ConfigurationError
from cropmap.legends import Legend
from cropmap.legends.code_lists import CodeList, read_code_list
from cropmap.legends.hcat3 import crops, cut, depth, eurostat_code, hcat3_legend

LIST = """\
original_code,original_name,translated_name,HCAT3_name,HCAT3_code
01,Winterweizen,winter wheat,winter_common_soft_wheat,3301010101
02,Wintergerste,winter barley,winter_barley,3301010401
03,Sommergerste,spring barley,spring_barley,3301010402
04,Körnermais,grain maize,grain_maize_corn_popcorn,3301010600
05,Silomais,silage maize,green_silo_maize,3301090400
06,Getreide,cereals,cereal,3301010000
07,Dauergrünland,grassland,pasture_meadow_grassland_grass,3302000000
08,Sonstiges,other,not_known_and_other,3399000000
09,Noch offen,not mapped yet,,
10,Winterhanf,winter hempling,winter_hempling,3301069001
11,Sommerhanf,spring hempling,spring_hempling,3301069002
,Ohne Code,no code,sunflower,3301060500
12,Erbsen,peas,peas,3301020600
12,Bohnen,beans,beans,3301020100
"""


@pytest.fixture
def codes(tmp_path: Path) -> CodeList:
    (tmp_path / "xx_2024.csv").write_text(LIST, encoding="utf-8")
    return read_code_list(tmp_path / "xx_2024.csv")


def classes(legend: Legend) -> dict[str, str | None]:
    return {entry.crop_code: entry.crop for entry in legend.entries}


def test_codes_that_the_list_lacks_can_be_added_and_none_is_changed(codes: CodeList) -> None:
    more = codes.with_more({"99": "3301110000", "01": "3302000000", "Raps": "3301060401"})
    added = {entry.code: entry.hcat3_code for entry in more.entries}
    assert (added["99"], added["Raps"], added["01"]) == ("3301110000", "3301060401", "3301010101")
    assert classes(hcat3_legend(more, level=5))["99"] == "fallow"
    assert more.hash != codes.hash
    assert codes.with_more({"01": "3302000000"}) == codes
    with pytest.raises(ConfigurationError, match="'330111' is no HCAT3 code"):
        codes.with_more({"99": "330111"})


def test_depth_and_cut() -> None:
    """33 01 01 04 02: the crop (2), arable (3), cereal (4), barley (5), spring (6)."""
    assert [depth(code) for code in ("3300000000", "3301000000", "3301010000", "3301010400", "3301010402")] == [
        2,
        3,
        4,
        5,
        6,
    ]
    assert cut("3301010402", 5) == "3301010400"
    assert cut("3301010402", 3) == "3301000000"
    assert cut("3302000000", 5) == "3302000000"


def test_classes_at_the_level_of_crops(codes: CodeList) -> None:
    legend = hcat3_legend(codes, level=5)
    assert classes(legend) == {
        "01": "common wheat",
        "02": "barley",
        "03": "barley",
        "04": "maize",
        "05": "maize",
        "06": None,  # cereals, where the list tells wheat from barley
        "07": "permanent grassland",
        "08": None,  # not known and other
        "09": None,
        "10": "hempling",
        "11": "hempling",  # what both names end in
        "Ohne Code": "sunflower",
    }
    assert legend.by_code["03"].hcat3_code == "3301010402"
    assert legend.by_code["03"].hcat3_name == "spring_barley"


def test_classes_by_season_and_by_group(codes: CodeList) -> None:
    by_season, by_group = (classes(hcat3_legend(codes, level=level)) for level in (6, 4))
    assert (by_season["02"], by_season["03"]) == ("winter barley", "spring barley")
    assert by_season["05"] == by_season["04"] == "maize"
    assert by_group["01"] == by_group["02"] == by_group["05"] == by_group["06"] == "cereal"
    assert by_group["07"] == "permanent grassland"


def test_grain_and_silage_maize_share_a_class_and_differ_in_their_eurostat_crop(codes: CodeList) -> None:
    legend = hcat3_legend(codes, level=5)
    assert legend.eurostat_codes_of("maize") == ("C1500", "G3000")
    assert {code: legend.by_code[code].eurostat_code for code in ("01", "02", "03", "07", "08", "09")} == {
        "01": "C1111",
        "02": "C1310",
        "03": "C1320",
        "07": "J0000",
        "08": None,
        "09": None,
    }


def test_a_code_without_an_own_eurostat_crop_has_that_of_the_coarser_one() -> None:
    assert eurostat_code("3301010499") == "C1300", "barley of unspecified season"
    assert eurostat_code("3303010100") == "F0000", "an orchard fruit"
    assert eurostat_code("3399000000") is None


def test_a_code_with_two_crops_in_the_list_is_not_used(codes: CodeList) -> None:
    assert codes.contradicting == ("12",)
    assert "12" not in hcat3_legend(codes, level=5).by_code


def test_the_legend_is_another_when_the_list_or_the_level_is(codes: CodeList, tmp_path: Path) -> None:
    (tmp_path / "yy.csv").write_text(LIST.replace("01,Winterweizen", "01,Weizen"), encoding="utf-8")
    other = read_code_list(tmp_path / "yy.csv")
    hashes = {hcat3_legend(each, level=level).hash for each in (codes, other) for level in (4, 5)}
    assert len(hashes) == 4
    assert hcat3_legend(codes, level=5).hash == hcat3_legend(codes, level=5).hash


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("code,name\n1,Wheat\n", "is no code list"),
        ("original_code,HCAT3_code\n1,33010\n", "line 2: '33010' is no HCAT3 code"),
        ("", "is no code list"),
    ],
)
def test_a_file_that_is_no_code_list_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(ConfigurationError, match=said):
        read_code_list(tmp_path / "x.csv")
    with pytest.raises(ConfigurationError, match=r"absent\.csv: cannot be read"):
        read_code_list(tmp_path / "absent.csv")


@pytest.mark.shared_data
def test_the_table_speaks_of_crops_that_exist(shared_data: Path) -> None:
    def column(table: str, name: str) -> set[str]:
        with (shared_data.parent / "domain" / table).open(encoding="utf-8") as file:
            return {row[name] for row in csv.DictReader(file)}

    assert set(crops()) <= column("hcat3.csv", "hcat3_code")
    assert {crop.eurostat_code for crop in crops().values()} <= column("eurostat_crop_codes.csv", "crops")


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("path", "maize", "wheat"),
    [
        ("AT/at_2021.csv", "109", "138"),
        ("BE-VLG/be_vlg_2021.csv", "201", "311"),
        ("code_lists/nl_2020.csv", "259", "233"),
    ],
)
def test_every_published_list_makes_a_legend(shared_data: Path, path: str, maize: str, wheat: str) -> None:
    legend = hcat3_legend(read_code_list(shared_data / "declarations" / path), level=5)
    assert legend.crop_of(maize) == "maize"
    assert legend.crop_of(wheat) == "common wheat"
    assert {"barley", "permanent grassland", "potatoes"} <= set(legend.crops)
