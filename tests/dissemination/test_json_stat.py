"""JSON-stat 2.0: the place of a figure in the cube, and the forms in which other people's files hold it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cropmap.dissemination.json_stat import read, write
from cropmap.errors import InputError


def document(**changes: Any) -> dict[str, Any]:
    """One crop in two regions over two years: places 0 to 3, the year running fastest."""

    def dimension(*codes: str) -> dict[str, Any]:
        return {"category": {"index": {code: place for place, code in enumerate(codes)}}}

    plain = {
        "version": "2.0",
        "class": "dataset",
        "id": ["freq", "crops", "strucpro", "geo", "time"],
        "size": [1, 1, 1, 2, 2],
        "dimension": {
            "freq": dimension("A"),
            "crops": dimension("C1110"),
            "strucpro": dimension("AR_THS_HA"),
            "geo": dimension("FRH01", "FRH02"),
            "time": dimension("2017", "2018"),
        },
        "value": {"0": 1.5, "3": 4.0},
        "status": {"1": "C", "3": "e"},
    }
    return plain | changes


def rows(found: dict[str, Any] | bytes) -> list[list[Any]]:
    data = found if isinstance(found, bytes) else json.dumps(found).encode()
    table = read(data, where="a test").table[["geo", "TIME_PERIOD", "OBS_VALUE", "OBS_FLAG", "CONF_STATUS"]]
    return table.astype(object).where(table.notna(), None).to_numpy().tolist()


EXPECTED = [["FRH01", "2017", 1.5, "", ""], ["FRH01", "2018", None, "", "C"], ["FRH02", "2018", 4.0, "e", ""]]


def test_a_figure_is_found_by_its_place() -> None:
    assert rows(document()) == EXPECTED


def test_values_and_statuses_may_be_lists_over_the_whole_cube() -> None:
    assert rows(document(value=[1.5, None, None, 4.0], status=[None, "C", None, "e"])) == EXPECTED


def test_one_status_may_hold_for_all() -> None:
    found = rows(document(status="p"))
    assert [one[3] for one in found] == ["p"] * 4
    assert [one[2] for one in found] == [1.5, None, None, 4.0]


def test_the_order_of_codes_is_that_of_their_places_and_not_of_the_document() -> None:
    turned = document()
    turned["dimension"]["geo"]["category"]["index"] = {"FRH02": 1, "FRH01": 0}
    assert rows(turned) == EXPECTED
    turned["dimension"]["geo"]["category"]["index"] = ["FRH01", "FRH02"]
    assert rows(turned) == EXPECTED
    turned["dimension"]["geo"]["category"]["index"] = ["FRH02", "FRH01"]
    assert [one[0] for one in rows(turned)] == ["FRH01", "FRH02", "FRH02"], "places 0 and 1 are FRH02 now"


def test_a_dimension_of_one_code_needs_no_index() -> None:
    single = document()
    single["dimension"]["crops"] = {"category": {"label": {"C1110": "Wheat"}}}
    assert rows(single) == EXPECTED


def test_dimensions_may_stand_in_another_order() -> None:
    """The region fastest: place 1 is FRH02 in 2017, place 2 FRH01 in 2018."""
    other = document(id=["freq", "crops", "strucpro", "time", "geo"], value={"1": 2.0, "2": 3.0}, status={})
    assert rows(other) == [["FRH01", "2018", 3.0, "", ""], ["FRH02", "2017", 2.0, "", ""]]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"version": "1.0"}, "is no JSON-stat 2.0 dataset"),
        ({"class": "collection"}, "is no JSON-stat 2.0 dataset"),
        ({"id": ["freq", "crops", "strucpro", "geo", "unit"]}, "has the dimensions freq"),
        ({"size": [1, 1, 1, 2, 3]}, "2 codes where the size says 3"),
        ({"value": {"4": 1.0}}, "a place outside the cube"),
        ({"value": {"-1": 1.0}}, "a place outside the cube"),
        ({"value": {"0": "1.5"}}, "a value is no number"),
        ({"size": [1, 1, 1, 20_000, 20_000]}, "the cube has 400,000,000 cells"),
        ({"dimension": {}}, "is no JSON-stat 2.0 dataset"),
    ],
)
def test_what_is_no_such_dataset_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        read(json.dumps(document(**changes)).encode(), where="a test")


def test_not_a_number_is_no_number_of_json() -> None:
    with pytest.raises(InputError, match="NaN is no JSON number"):
        read(json.dumps(document(value={"0": np.nan})).encode(), where="a test")


def test_what_is_hidden_has_a_status_and_no_key() -> None:
    table = pd.DataFrame(
        {
            "freq": "A",
            "crops": "C1110",
            "strucpro": "AR_THS_HA",
            "geo": ["FRH01", "FRH01", "FRH02"],
            "TIME_PERIOD": ["2017", "2018", "2018"],
            "OBS_VALUE": [1.25, np.nan, 4.0],
            "OBS_FLAG": ["", "", "e"],
            "CONF_STATUS": ["", "C", ""],
        }
    )
    data = write(table, label="Areas", source="a test", updated=None, decimals=1)
    made = json.loads(data)
    assert made["size"] == [1, 1, 1, 2, 2]
    assert made["value"] == {"0": 1.2, "3": 4.0}, "halves go to the even digit"
    assert made["status"] == {"1": "C", "3": "e"}
    assert made["extension"]["status"]["label"].keys() == {"C", "e"}
    assert "updated" not in made
    assert rows(data) == [["FRH01", "2017", 1.2, "", ""], *EXPECTED[1:]]
