"""What is written is what is published: numbers, flags, missing and hidden cells, read by readers of other houses."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pyarrow.parquet as pq
import pytest
import sdmx
from pyjstat import pyjstat
from sdmx.message import DataMessage, StructureMessage

from cropmap import legends
from cropmap.dissemination import formats, sdmx_structure, vocabulary
from cropmap.dissemination.long_form import ATTRIBUTES, COLUMNS, DIMENSIONS, long_form
from cropmap.dissemination.names import LABEL
from cropmap.dissemination.registry import DATAFLOW, FORMATS, Described
from cropmap.errors import InputError
from cropmap.schemas import LeftOut
from tests.dissemination.published import EXPECTED, SECRET, published, row

PUBLISHED_AT = datetime(2018, 11, 7, 9, 30, tzinfo=UTC)
ABOUT = Described(updated=PUBLISHED_AT, notes=(("run", "run-1"),))
Figures = dict[tuple[str, str, str], tuple[float | None, str, str]]


def written(format_: str, rows: pd.DataFrame | None = None, **options: Any) -> bytes:
    table = published() if rows is None else rows
    return formats.write(table, format_, nuts_version=2024, described=ABOUT, **options).data


def figures(records: Iterable[Mapping[str, Any]]) -> Figures:
    """Records of any reader in one shape: numbers as floats, missing as None."""
    found: Figures = {}
    for record in records:
        value = record["OBS_VALUE"]
        missing = value in ("", None) or math.isnan(float(value))
        key = str(record["crops"]), str(record["strucpro"]), str(record["geo"])
        found[key] = (None if missing else float(value), record["OBS_FLAG"] or "", record["CONF_STATUS"] or "")
    return found


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def structures(described: bytes) -> StructureMessage:
    message = sdmx.read_sdmx(io.BytesIO(described))
    assert isinstance(message, StructureMessage)
    return message


def test_sdmx_csv_1_has_eurostats_columns_and_our_figures() -> None:
    rows = list(csv.DictReader(io.StringIO(written("sdmx-csv").decode())))
    assert list(rows[0])[:10] == ["DATAFLOW", "LAST UPDATE", *COLUMNS]
    assert {(row["DATAFLOW"], row["LAST UPDATE"]) for row in rows} == {("CROPMAP:CROP_AREA(1.0)", "07/11/18 09:30:00")}
    assert figures(rows) == EXPECTED
    by_key = {(one["crops"], one["geo"]): one for one in rows}
    wheat = by_key["C1110", "FRH0"]
    assert (wheat["UNIT_MEASURE"], wheat["CONCEPT"], wheat["STD_ERR"], wheat["CV"]) == (
        "THS_HA",
        "SA",
        "0.02000",
        "0.1250",
    )


def _read_by_sdmx1(data: bytes) -> Figures:
    """With the data structure that `stats structure` writes."""
    columns = next(csv.reader(io.StringIO(data.decode())))[3:]
    described = sdmx_structure.write(dataflow=DATAFLOW, label=LABEL, prepared_at=PUBLISHED_AT)
    structure = structures(described).structure["CROP_AREA"]
    message = sdmx.read_sdmx(io.BytesIO(data), format="CSV", structure=structure)
    assert isinstance(message, DataMessage)
    (data_set,) = message.data
    found = [
        {name: str(one.key[name].value) for name in columns[:5]}
        | {"OBS_VALUE": one.value}
        | {name: one.attached_attribute[name].value for name in columns[6:]}
        for one in data_set.obs
    ]
    return figures(found)


def test_the_data_structure_describes_every_column_and_code() -> None:
    described = sdmx_structure.write(dataflow="AGENCY:AREAS(2.1)", label="Areas", prepared_at=PUBLISHED_AT)
    message = structures(described)
    structure = message.structure["AREAS"]
    assert (structure.maintainer.id, str(structure.version)) == ("AGENCY", "2.1")
    assert [one.id for one in structure.dimensions.components] == list(DIMENSIONS)
    assert [one.id for one in structure.attributes.components] == ["OBS_FLAG", "CONF_STATUS", *ATTRIBUTES]
    assert message.dataflow["AREAS"].structure.id == "AREAS"
    assert set(message.codelist["CL_CROPS"].items) == set(vocabulary.crop_items())
    assert {one.local_representation.enumerated.id for one in structure.dimensions.components[:3]} == {
        "CL_FREQ",
        "CL_CROPS",
        "CL_STRUCPRO",
    }


def test_a_dataflow_of_another_form_is_refused() -> None:
    with pytest.raises(InputError, match="is no dataflow"):
        sdmx_structure.write(dataflow="AREAS", label="Areas", prepared_at=PUBLISHED_AT)


def test_sdmx1_reads_sdmx_csv_2_with_the_same_figures() -> None:
    assert _read_by_sdmx1(written("sdmx-csv-2")) == EXPECTED


@pytest.mark.parametrize("format_", ["sdmx-ml", "sdmx-ml-structured"])
def test_sdmx1_reads_sdmx_ml_with_the_same_figures(format_: str) -> None:
    described = sdmx_structure.write(dataflow=DATAFLOW, label=LABEL, prepared_at=PUBLISHED_AT)
    data = written(format_)
    message = sdmx.read_sdmx(io.BytesIO(data), structure=structures(described).structure["CROP_AREA"])
    assert isinstance(message, DataMessage)
    assert _figures_of(message) == EXPECTED
    assert b"register" in data, "how an area came about, of a cell that is shown"


def _figures_of(message: DataMessage) -> Figures:
    """What sdmx1 has read of SDMX-ML or SDMX-JSON."""
    (data_set,) = message.data
    texts = [
        {name: str(getattr(one.value, "id", one.value)) for name, one in found.attached_attribute.items()}
        for found in data_set.obs
    ]
    return figures(
        {name: str(one.key[name].value) for name in DIMENSIONS}
        | {"OBS_FLAG": "", "CONF_STATUS": "", "OBS_VALUE": one.value}
        | attributes
        for one, attributes in zip(data_set.obs, texts, strict=True)
    )


@pytest.mark.filterwarnings("ignore:Shouldn't use this function:DeprecationWarning")  # pyjstat's word to itself
def test_pyjstat_reads_json_stat_with_the_same_figures() -> None:
    data = written("json-stat")
    frame = pyjstat.Dataset.read(data.decode()).write("dataframe", naming="id")
    kept = frame[frame["value"].notna()]
    assert set(kept["time"]) == {"2018"}
    found = {(one["crops"], one["strucpro"], one["geo"]): one["value"] for one in kept.to_dict("records")}
    assert found == {key: value for key, (value, _, _) in EXPECTED.items() if value is not None}
    # flags lie at the places of the cube that pyjstat unfolds
    status = json.loads(data)["status"]
    flags = {
        (one["crops"], one["strucpro"], one["geo"]): status[str(place)]
        for place, one in enumerate(frame.to_dict("records"))
        if str(place) in status
    }
    assert flags == {key: flag + secret for key, (_, flag, secret) in EXPECTED.items() if flag or secret}


@pytest.mark.parametrize(("format_", "version"), [("sdmx-json", "1.0"), ("sdmx-json-2", "2.0.0")])
def test_sdmx_json_has_the_same_figures_and_attributes(format_: str, version: str) -> None:
    message = json.loads(written(format_))
    assert message["meta"]["schema"].endswith(f"/{version}/sdmx-json-data-schema.json")
    data = message["data"]
    structure = data["structure"] if version == "1.0" else data["structures"][data["dataSets"][0]["structure"]]
    dimensions, attributes = structure["dimensions"], structure["attributes"]["observation"]
    assert [one["keyPosition"] for one in dimensions["series"] + dimensions["observation"]] == [0, 1, 2, 3, 4]
    names = {one["id"]: one["name"] for one in dimensions["series"][1]["values"]}
    assert names["C1110"] == "Common wheat and spelt"
    found: dict[tuple[str, ...], tuple[float | None, str, str]] = {}
    errors = {}
    for series, part in data["dataSets"][0]["series"].items():
        places = zip(dimensions["series"], series.split(":"), strict=True)
        _, *key = [one["values"][int(place)]["id"] for one, place in places]
        ((period, (value, *places_of_attributes)),) = part["observations"].items()
        assert dimensions["observation"][0]["values"][int(period)]["id"] == "2018"
        texts = {
            one["id"]: one["values"][place].get("id", one["values"][place].get("name" if version == "1.0" else "value"))
            for one, place in zip(attributes, places_of_attributes, strict=True)
            if place is not None
        }
        found[tuple(key)] = (value, texts.get("OBS_FLAG", ""), texts.get("CONF_STATUS", ""))
        errors[tuple(key)] = texts.get("STD_ERR")
    assert found == EXPECTED
    lines = csv.DictReader(io.StringIO(written("sdmx-csv-2").decode()))
    assert errors == {(line["crops"], line["strucpro"], line["geo"]): line["STD_ERR"] or None for line in lines}


def test_sdmx1_reads_sdmx_json_with_the_same_figures() -> None:
    """It reads the draft of version 1.0, which has the same parts in another place."""
    message = json.loads(written("sdmx-json"))
    draft = {"header": message["meta"], **message["data"]}
    message = sdmx.read_sdmx(io.BytesIO(json.dumps(draft).encode()))
    assert isinstance(message, DataMessage)
    assert _figures_of(message) == EXPECTED


def test_pandas_reads_the_tsv_with_the_same_figures() -> None:
    frame = pd.read_csv(io.BytesIO(written("tsv")), sep="\t", dtype=str, index_col=0)
    assert (frame.index.name, list(frame.columns)) == ("freq,crops,strucpro,geo\\TIME_PERIOD", ["2018 "])
    cells = {tuple(str(key).split(",")[1:]): str(cell).split(" ") for key, cell in frame["2018 "].items()}
    found = {key: (None if value == ":" else float(value), flags) for key, (value, flags) in cells.items()}
    assert found == {key: (value, "c" if secret else flag) for key, (value, flag, secret) in EXPECTED.items()}
    assert "A,C1110,AR_THS_HA,FRH02\t: c\n" in written("tsv").decode()


def test_openpyxl_reads_the_workbook_with_the_same_figures() -> None:
    rows = published()
    rows.loc[0, "agency"] = "=1+1"
    data = written("xlsx", rows)
    book = openpyxl.load_workbook(io.BytesIO(data))
    header, *lines = book["statistics"].iter_rows(values_only=True)
    records = [dict(zip(header, line, strict=True)) for line in lines]
    assert records[0]["agency"] == "=1+1"
    assert book["statistics"]["A2"].data_type == "s"  # a text, not a formula
    shown = rows[rows["conf_status"].isna()]
    assert [one["estimate_ha"] for one in records] == [*shown["estimate_ha"], None]
    assert [one["strucpro"] for one in records][:2] == ["AR_THS_HA", "MAR_THS_HA"]
    assert ("run", "run-1") in list(book["notes"].iter_rows(values_only=True))
    assert written("xlsx", rows) == data


def test_csv_parquet_and_json_hold_every_row_with_the_same_figures() -> None:
    table = pq.read_table(io.BytesIO(written("parquet"))).to_pylist()
    lines = list(csv.DictReader(io.StringIO(written("csv").decode())))
    records = json.loads(written("json"))
    assert len(table) == len(lines) == len(records) == len(published())
    for form in (table, lines, records):
        values = [one["obs_value"] for one in form]
        shown = [None if value in ("", None) else float(value) for value in values]
        assert shown == [301.59, 40.0, 440.71, 0.0125, 1.23456, 0.0, 0.0, 0.02025, None]
        assert {one["unit"] for one in form} == {"THS_HA"}
        assert [one["concept"] for one in form][:3] == ["SA", "MA", "MA"]


@pytest.mark.parametrize("format_", list(FORMATS))
def test_nothing_of_a_hidden_cell_leaves_the_house(format_: str) -> None:
    if format_ == "parquet":
        seen = str(pq.read_table(io.BytesIO(written(format_))).to_pylist())
    elif format_ == "xlsx":
        book = openpyxl.load_workbook(io.BytesIO(written(format_)))
        seen = str([line for sheet in book for line in sheet.iter_rows(values_only=True)])
    else:
        seen = written(format_).decode()
    assert str(SECRET) not in seen
    assert str(SECRET / 1000)[:5] not in seen
    others = published()[published()["conf_status"].isna()]
    assert "register" in set(others["basis"])  # shown there
    if format_ in ("csv", "json", "parquet"):
        rows = pd.DataFrame(formats.table_of(published(), decimals=5))
        (secret,) = rows[rows["conf_status"] == "C"].to_dict("records")
        kept = {name for name, value in secret.items() if not pd.isna(value)}
        assert kept == {
            "agency",
            "season",
            "nuts_version",
            "nuts_id",
            "level",
            "crop",
            "strucpro",
            "concept",
            "conf_status",
            "run_id",
            "unit",
            "crop_name",
        }


@pytest.mark.parametrize("format_", ["sdmx-csv", "sdmx-csv-2", "json-stat", "tsv"])
def test_our_own_readers_get_back_what_was_written(format_: str) -> None:
    found = formats.read(written(format_), name="file")
    assert found.left_out == {}
    assert figures(records(found.table)) == EXPECTED


@pytest.mark.parametrize("format_", ["csv", "parquet"])
def test_exported_tables_can_be_compared_again(format_: str) -> None:
    found = formats.read(written(format_), name="file")
    assert figures(records(found.table)) == EXPECTED
    assert found.left_out == {LeftOut.NO_ITEM_OF_ITS_OWN: {"C1500+G3000": 1, "local:other": 1}}


def test_a_format_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(InputError) as caught:
        written("docx")
    assert str(caught.value) == f"docx: is no format of statistics. Known: {', '.join(FORMATS)}"


def test_two_decimals_say_that_a_small_area_is_not_nothing() -> None:
    lines = written("sdmx-csv", decimals=2).decode().splitlines()
    (maize,) = (line for line in lines if ",C1500,AR_THS_HA,FRH02," in line)
    assert ",2018,0.02,f,," in maize
    (potatoes,) = (line for line in lines if ",R1000,AR_THS_HA,FRH01," in line)
    assert ",2018,0.00,en,," in potatoes
    (nothing,) = (line for line in lines if ",C1500,AR_THS_HA,FRH01," in line)
    assert ",2018,0.00,,," in nothing


def test_what_has_no_code_is_left_out_by_name() -> None:
    rows = pd.DataFrame([*published().to_dict("records"), row("FRH0", "C9999", 3.0)])
    left_out = formats.write(rows, "tsv", nuts_version=2024).table
    assert left_out is not None
    assert left_out.left_out == {
        LeftOut.NO_ITEM_OF_ITS_OWN: {"C1500+G3000": 1, "local:other": 1},
        LeftOut.UNKNOWN_CROP: {"C9999": 1},
    }
    assert left_out.rows_left_out == 3


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"nuts_id": "fr h0"}, "no NUTS code"),
        ({"nuts_id": "GR30"}, "Eurostat writes EL30"),
        ({"nuts_id": "NL31"}, "NL31 is no region of NUTS 2024"),
        ({"strucpro": "YIELD"}, "strucpro 'YIELD' is not known"),
        ({"conf_status": "X"}, "CONF_STATUS 'X' is not known"),
        ({"obs_flag": "x"}, "OBS_FLAG 'x' is not known"),
        ({"nuts_id": "FRH01", "crop": "C1110"}, "twice, the first is A, C1110, AR_THS_HA, FRH01, 2018"),
    ],
)
def test_rows_that_cannot_leave_are_named(changes: dict[str, Any], said: str) -> None:
    rows = pd.DataFrame([*published().to_dict("records"), row("FRH0", "C1300", 3.0) | changes])
    with pytest.raises(InputError, match=said):
        long_form(rows, nuts_version=2024)


def test_regions_of_two_nuts_versions_are_refused() -> None:
    rows = pd.DataFrame([row("HR04", "C1110", 3.0), row("NL35", "C1110", 3.0)])
    with pytest.raises(InputError, match=r"mixed: HR04 \(2016\), NL35 \(2024\)"):
        long_form(rows, nuts_version=None)


@pytest.mark.parametrize("format_", ["sdmx-csv", "sdmx-csv-2", "json-stat", "tsv"])
def test_a_table_for_internal_use_keeps_its_figures_and_is_marked(format_: str) -> None:
    rows = pd.DataFrame([row("FRH01", "C1110", 1_000.0, conf_status="N"), row("FRH02", "C1110", 500.0)])
    written = formats.write(rows, format_, nuts_version=2024)
    table = formats.read(written.data, name="file").table.set_index("geo")
    assert table["OBS_VALUE"].to_dict() == {"FRH01": 1.0, "FRH02": 0.5}
    assert table["CONF_STATUS"].to_dict() == {"FRH01": "N", "FRH02": ""}
    assert table["OBS_FLAG"].to_dict() == {"FRH01": "e", "FRH02": "e"}


def test_every_item_that_our_legends_name_has_a_label() -> None:
    tables = [path for path in Path(legends.__file__).parent.rglob("*.csv") if "eurostat_code" in path.read_text()]
    named = {code for path in tables for code in pd.read_csv(path)["eurostat_code"].dropna()}
    assert len(tables) >= 3
    assert len(named) > 50
    assert [code for code in sorted(named) if vocabulary.crop_items()[code] == code] == []


def test_counts_stay_whole_numbers_beside_hidden_cells() -> None:
    assert published()["conf_status"].eq("C").any()
    lines = list(csv.DictReader(io.StringIO(written("csv").decode())))
    assert {line["n_parcels"] for line in lines} <= {"", "12"}
    assert {line["n_holdings"] for line in lines} <= {"", "7"}
    assert all(type(line["n_parcels"]) in (int, type(None)) for line in json.loads(written("json")))
    assert pq.read_table(io.BytesIO(written("parquet"))).schema.field("n_parcels").type == "int64"


@pytest.mark.parametrize("format_", ["csv", "json", "xlsx"])
def test_crops_and_regions_carry_their_names(format_: str) -> None:
    about = Described(region_names={"FRH0": "Bretagne"})
    data = formats.write(published(), format_, nuts_version=2024, described=about).data
    if format_ == "xlsx":
        header, *lines = openpyxl.load_workbook(io.BytesIO(data))["statistics"].values
        rows = [dict(zip(header, line, strict=True)) for line in lines]
    else:
        rows = json.loads(data) if format_ == "json" else list(csv.DictReader(io.StringIO(data.decode())))
    found = {(one["crop"], one["nuts_id"]): (one["crop_name"], one["nuts_name"]) for one in rows}
    assert found["C1110", "FRH0"] == (vocabulary.crop_items()["C1110"], "Bretagne")


@pytest.mark.parametrize("status", ["C", "P"])
@pytest.mark.parametrize("format_", ["csv", "json", "xlsx", "parquet"])
def test_confidential_rows_stand_last_and_the_others_keep_their_order(format_: str, status: str) -> None:
    rows = pd.concat([published().assign(season=2017), published()], ignore_index=True)
    rows.loc[rows["conf_status"] == "C", "conf_status"] = status
    data = formats.write(rows, format_, nuts_version=2024).data
    if format_ == "xlsx":
        header, *lines = openpyxl.load_workbook(io.BytesIO(data))["statistics"].values
        found = [dict(zip(header, line, strict=True)) for line in lines]
    elif format_ == "parquet":
        found = pq.read_table(io.BytesIO(data)).to_pylist()
    else:
        found = json.loads(data) if format_ == "json" else list(csv.DictReader(io.StringIO(data.decode())))
    assert [one["conf_status"] or "" for one in found] == [""] * (len(rows) - 2) + [status] * 2
    shown = rows[rows["conf_status"].isna()]
    assert [(one["nuts_id"], one["crop"]) for one in found[:-2]] == list(
        zip(shown["nuts_id"], shown["crop"], strict=True)
    )


def test_the_notes_explain_every_column() -> None:
    rows = published().assign(simulated=False, partial_region=False)
    data = formats.write(rows, "xlsx", nuts_version=2024, described=Described(region_names={"FRH0": "Bretagne"})).data
    book = openpyxl.load_workbook(io.BytesIO(data))
    header = next(book["statistics"].iter_rows(values_only=True))
    explained = {word for line in book["notes"].iter_rows(values_only=True) for word in str(line[0]).split(", ")}
    assert set(header) <= explained
    assert {"AR_THS_HA", "MAR_THS_HA", "SA"} <= explained


@pytest.mark.parametrize(
    ("crop", "name"), [("local:sugar_beet", "sugar beet"), ("C1110+G3000", "{C1110} + {G3000}"), ("X9", "X9")]
)
def test_names_of_crops_without_an_item_of_their_own(crop: str, name: str) -> None:
    assert vocabulary.crop_name(crop) == name.format_map(vocabulary.crop_items())


@pytest.mark.parametrize("format_", ["sdmx-csv", "sdmx-csv-2"])
@pytest.mark.parametrize("dataflow", ["x", "ESTAT:A", "=A:B(1.0)", "ESTAT:A(1.0) "])
def test_a_dataflow_of_another_form_is_refused_in_the_data_as_in_their_structure(format_: str, dataflow: str) -> None:
    rows = published().assign(simulated=False, partial_region=False)
    with pytest.raises(InputError, match=r"is no dataflow\. Write AGENCY:ID\(1\.0\)"):
        formats.write(rows, format_, nuts_version=2024, described=Described(dataflow=dataflow))
