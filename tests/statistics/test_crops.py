"""Published crops: items, sums, concepts."""

import csv
from pathlib import Path

import pytest

from cropmap.errors import InputError
from cropmap.legends import Legend, LegendEntry
from cropmap.statistics.crops import columns, concept, strucpro
from tests.statistics.population import CROPS, legend


def test_class_with_two_items_is_published_as_both_and_their_sum() -> None:
    cols = columns(legend(), CROPS, {"MIE", "MIS", "BTH", "PPH", "DIV"})
    assert cols.crops == ("C1110", "C1500", "G3000", "J0000", "local:misc")
    assert cols.names[5:] == ("C1500+G3000",)
    assert cols.of_code["MIS"] == 1
    assert [list(row) for row in cols.links.astype(int)] == [
        [0, 1, 1, 0, 0],
        [0, 0, 0, 1, 0],
        [0, 0, 0, 0, 1],
        [1, 0, 0, 0, 0],
    ]


def test_undeclared_use_leaves_only_the_sum() -> None:
    assert columns(legend(), CROPS, set()).names == ("C1110", "C1500+G3000", "J0000", "local:misc")
    assert "G3000" not in columns(legend(), CROPS, {"MIS"}).names


def _legend(*rows: tuple[str, str | None, str | None]) -> Legend:
    return Legend("t", tuple(LegendEntry(code, code, crop, item, crop or "") for code, crop, item in rows), "hash")


def test_wider_item_is_the_sum_of_what_is_nested_in_it() -> None:
    """Winter and spring wheat apart, and spelt declared as wheat without more."""
    wheat = _legend(("BTH", "wheat", "C1111"), ("BTP", "wheat", "C1112"), ("EPE", "cereals", "C1110"))
    cols = columns(wheat, ("cereals", "wheat"), {"BTH", "BTP", "EPE"})
    assert cols.crops == ("C1111", "C1112", "local:C1110_unspecified")
    assert dict(zip(cols.sum_names, cols.sums, strict=True)) == {"C1111+C1112": (0, 1), "C1110": (0, 1, 2)}
    assert cols.of_code == {"BTH": 0, "BTP": 1, "EPE": 2}


def test_class_of_many_items_is_published_under_its_own_name() -> None:
    orchard = _legend(*((code, "orchards", f"F1{code}0") for code in ("11", "12", "13", "14")), ("X", "orchards", None))
    cols = columns(orchard, ("orchards",), {"11", "12", "13", "14", "X"})
    assert cols.crops == ("F1110", "F1120", "F1130", "F1140", "local:orchards_unspecified")
    assert cols.sum_names == ("local:orchards",)
    assert columns(orchard, ("orchards",), set()).names == ("local:orchards",)


def test_codes_that_are_not_mapped_still_have_a_column() -> None:
    cols = columns(legend(), CROPS, {"HBL", "BEE"})
    assert {"I4000", "local:other"} <= set(cols.crops)
    assert not cols.links[:, cols.of_code["HBL"]].any()


@pytest.mark.parametrize("name", ["fr_breizhcrops13", "fr_breizhcrops9"])
def test_every_code_of_a_built_in_legend_has_one_column(name: str) -> None:
    built_in = Legend.read(name)
    cols = columns(built_in, built_in.crops, set(built_in.by_code))
    assert set(cols.of_code) == set(built_in.by_code)
    assert len(set(cols.names)) == len(cols.names)
    assert cols.links.any(axis=1).all()
    assert {cols.crops[cols.of_code[code]] for code in built_in.by_code} == set(cols.crops)


def test_unknown_code_is_named() -> None:
    with pytest.raises(InputError, match="'XXX' is not in the legend"):
        columns(legend(), CROPS, {"XXX"})


def test_concepts() -> None:
    assert [concept(crop) for crop in ("C1500", "G3000", "G1000", "J0000", "V1000", "F1110", "local:misc")] == [
        "SA",
        "SA",
        "MA",
        "MA",
        "HA",
        "PA",
        "MA",
    ]
    assert concept("C1500+G3000") == "SA"
    assert concept("C1500+G1000") == "MA"


def test_measure_is_main_area_for_aggregates_and_local_classes() -> None:
    assert [strucpro(crop) for crop in ("C1500", "J0000", "local:misc")] == ["AR_THS_HA", "MAR_THS_HA", "MAR_THS_HA"]


@pytest.mark.shared_data
def test_concepts_agree_with_the_reference_table(domain: Path) -> None:
    with (domain / "eurostat_crop_codes.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["saio_area_concept"]]
    assert len(rows) > 100
    assert {row["crops"]: concept(row["crops"]) for row in rows} == {r["crops"]: r["saio_area_concept"] for r in rows}
