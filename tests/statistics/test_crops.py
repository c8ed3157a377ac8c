"""Published crops: items, sums, concepts."""

import csv
from pathlib import Path

import pytest

from cropmap.errors import InputError
from cropmap.statistics.crops import columns, concept, strucpro
from tests.statistics.population import CROPS, legend


def test_class_with_two_items_is_published_as_both_and_their_sum() -> None:
    cols = columns(legend(), CROPS, {"MIE", "MIS", "BTH", "PPH", "DIV"})
    assert cols.crops == ("C1110", "C1500", "G3000", "J0000", "local:misc")
    assert cols.names[5:] == ("C1500+G3000",)
    assert cols.of_code["MIS"] == 1
    assert [list(row) for row in cols.links.astype(int)] == [
        [0, 1, 1, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 0, 1], [1, 0, 0, 0, 0],
    ]  # fmt: skip


def test_undeclared_use_leaves_only_the_sum() -> None:
    assert columns(legend(), CROPS, set()).names == ("C1110", "C1500+G3000", "J0000", "local:misc")
    assert "G3000" not in columns(legend(), CROPS, {"MIS"}).names


def test_codes_that_are_not_mapped_still_have_a_column() -> None:
    cols = columns(legend(), CROPS, {"HBL", "BEE"})
    assert {"I4000", "local:other"} <= set(cols.crops)
    assert not cols.links[:, cols.of_code["HBL"]].any()


def test_unknown_code_is_named() -> None:
    with pytest.raises(InputError, match="'XXX' is not in the legend"):
        columns(legend(), CROPS, {"XXX"})


def test_concepts() -> None:
    assert [concept(crop) for crop in ("C1500", "G3000", "G1000", "J0000", "V1000", "F1110", "local:misc")] == [
        "SA", "SA", "MA", "MA", "HA", "PA", "MA",
    ]  # fmt: skip
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
