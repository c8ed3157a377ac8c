"""Which form an answer has, which columns, and what of a confidential cell leaves."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import anyio
import pytest
from pydantic import BaseModel

from serving.errors import NotAcceptableError
from serving.tables import Form, json_answer, masked, shown, table, to_csv, wanted_form


class Row(BaseModel):
    crop: str
    area_ha: float | None


def form_of(accept: str, form: Form | None = None) -> str:
    async def asked() -> str:
        return await wanted_form(form, accept)

    return anyio.run(asked)


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("*/*", "json"),
        ("text/csv", "csv"),
        ("TEXT/CSV; charset=utf-8", "csv"),
        ("text/*", "csv"),
        ("application/*;q=0.1", "json"),
        ("text/html, text/csv", "csv"),  # the first that is offered
        ("application/json;q=0.5, text/csv;q=0.9", "csv"),  # the most wanted, wherever it stands
        ("text/csv;q=0.9, application/json", "json"),  # without a weight it is 1
        ("text/csv, application/json", "csv"),  # of equal weight the first
        ("text/csv;q=0, application/json;q=0.1", "json"),  # 0 is "not this one"
        ("text/csv;q=high, application/json;q=0.1", "json"),  # no weight: as if it were not there
    ],
)
def test_the_form_that_is_wanted_most(accept: str, form: str) -> None:
    assert form_of(accept) == form


@pytest.mark.parametrize("accept", ["text/html", "image/*", "text/csv;q=0", ""])
def test_what_is_not_offered_is_refused(accept: str) -> None:
    with pytest.raises(NotAcceptableError, match="application/json and text/csv are offered"):
        form_of(accept)


def test_a_parameter_wins_over_the_header() -> None:
    assert form_of("text/html", "csv") == "csv"
    assert form_of("text/csv", "json") == "json"


def test_only_the_columns_of_the_model_leave() -> None:
    rows = [{"area_ha": 1.5, "secret": "x", "crop": "wheat"}]
    assert shown(Row, rows) == [{"crop": "wheat", "area_ha": 1.5}]
    assert list(shown(Row, rows)[0]) == ["crop", "area_ha"], "in its order"
    assert to_csv(Row, rows) == "crop,area_ha\nwheat,1.5\n"


def test_a_cell_of_a_table_is_no_formula_and_no_word_for_none() -> None:
    rows: list[dict[str, Any]] = [{"crop": "=1+1", "area_ha": None}, {"crop": "-5", "area_ha": -5.0}]
    assert to_csv(Row, rows) == "crop,area_ha\n'=1+1,\n-5,-5.0\n"


def test_a_table_is_saved_under_its_name_and_json_under_none() -> None:
    answer = table(Row, [], "csv", file_name="areas.csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="areas.csv"'
    assert answer.headers["content-type"].startswith("text/csv")
    assert "content-disposition" not in table(Row, []).headers


def test_what_is_no_number_is_null() -> None:
    answer = json_answer({"a": float("nan"), "b": float("inf"), "c": date(2018, 3, 1)})
    assert json.loads(bytes(answer.body)) == {"a": None, "b": None, "c": "2018-03-01"}


@pytest.mark.parametrize(("status", "hidden"), [("C", True), ("P", True), ("N", False), (None, False)])
def test_a_confidential_cell_keeps_its_names_and_loses_its_figures(status: str | None, hidden: bool) -> None:
    figures = ("declared_ha", "mapped_ha", "estimate_ha", "se_ha", "cv", "n_parcels", "n_holdings", "basis", "obs_flag")
    row = {"nuts_id": "FRH01", "crop": "C1110", "conf_status": status} | dict.fromkeys(figures, 7.5)
    (found,) = masked([row])
    assert (found["nuts_id"], found["crop"], found["conf_status"]) == ("FRH01", "C1110", status)
    assert {found[name] for name in figures} == ({None} if hidden else {7.5})
