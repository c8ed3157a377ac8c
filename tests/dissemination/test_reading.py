"""What others wrote: the example files, Eurostat's bulk file, broken lines, and any table there and back again."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cropmap.contracts.tables import STATISTIC_COLUMNS
from cropmap.dissemination import eurostat_tsv, formats, json_stat, sdmx_csv
from cropmap.dissemination.long_form import COLUMNS, DIMENSIONS, LongForm, ordered
from cropmap.dissemination.vocabulary import crop_items, split_flags
from cropmap.errors import InputError
from cropmap.schemas import CsvDialect, LeftOut
from tests.dissemination.published import published

EXAMPLES = {
    "example_eurostat.tsv": 2,
    "example_sdmx_csv_eurostat21.csv": 2,
    "example_sdmx_csv_2.csv": 1,
    "example_jsonstat.json": 2,
}
WHEAT = {"freq": "A", "crops": "C1110", "strucpro": "AR_THS_HA", "geo": "FRF2", "OBS_FLAG": "", "CONF_STATUS": ""}
PUBLISHED = ",".join(["season", *STATISTIC_COLUMNS]).encode() + b"\n"
HEAD = "freq,crops,strucpro,geo\\TIME_PERIOD\t2008 \t2009 "


def tsv(*lines: str) -> bytes:
    return "\n".join([HEAD, *lines, ""]).encode()


@pytest.mark.shared_data
@pytest.mark.parametrize("name", EXAMPLES)
def test_the_example_files_hold_the_same_two_numbers(name: str, shared_data: Path) -> None:
    found = formats.read((shared_data / "eurostat" / name).read_bytes(), name=name)
    expected = [
        WHEAT | {"TIME_PERIOD": "2008", "OBS_VALUE": 398.52},
        WHEAT | {"TIME_PERIOD": "2009", "OBS_VALUE": 381.0},
    ]
    assert (
        found.table.to_dict("records") == [{name: one[name] for name in COLUMNS} for one in expected][-EXAMPLES[name] :]
    )
    assert found.left_out == {}


@pytest.mark.shared_data
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_file_is_written_again_as_it_was(name: str, shared_data: Path) -> None:
    data = (shared_data / "eurostat" / name).read_bytes()
    table = formats.read(data, name=name).table
    flow = "ESTAT:APRO_CPSHR(1.0)"
    updated = pd.Timestamp("2026-05-28T23:00:00+0200").to_pydatetime()
    if name.endswith(".tsv"):
        assert eurostat_tsv.write(table, decimals=2) == data
    elif name.endswith(".json"):
        again = json_stat.write(table, label="any", source="ESTAT", updated=updated, decimals=2)
        assert json_stat.read(again, where="again").table.equals(table)
        assert b'"updated": "2026-05-28T23:00:00+0200"' in again
    else:
        version: sdmx_csv.Version = "2.0" if "_2." in name else "1.0"
        assert sdmx_csv.write(table, version=version, dataflow=flow, updated=updated, decimals=2) == data


@pytest.mark.shared_data
@pytest.mark.slow
def test_eurostats_bulk_file_comes_out_of_our_writer_as_it_went_in(shared_data: Path) -> None:
    """Some thousand series of the real file with every flag it knows: value by value, blank by blank."""
    data = (shared_data / "eurostat" / "estat_apro_cpshr.tsv.gz").read_bytes()
    crops = {"C1500", "G3000", "R1000"}
    found = formats.read(data, name="bulk", crops=crops)
    assert found.left_out == {}
    assert set(found.table["OBS_FLAG"]) == {"", "b", "d", "e", "n", "p", "u"}
    assert set(found.table["CONF_STATUS"]) == {"", "C"}
    renamed = {
        "AR": "AR_THS_HA",
        "MA": "MAR_THS_HA",
        "PR_HU_EU": "HPRD_HUMD_EU_THS_T",
        "HU_EU": "HUMD_EU_PC",
        "YI_HU_EU": "YLD_HUMD_EU_T_HA",
    }
    lines = set()
    for line in gzip.decompress(data).decode().splitlines()[1:]:
        key, *cells = line.split("\t")
        freq, crop, measure, geo = key.split(",")
        if crop in crops and set(cells) != {": "}:
            lines.add("\t".join([f"{freq},{crop},{renamed[measure]},{geo}", *cells]))
    assert set(eurostat_tsv.write(found.table, decimals=2).decode().splitlines()[1:]) == lines
    assert len(lines) > 3_000


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("geo", "areas"),
    [("BE25", [24.01, 9.97, 34.04, 26.90]), ("BE24", [17.96, 9.36, 9.00, 6.62]), ("FRK2", [106.93, 93.53, 58.29, 2.0])],
)
@pytest.mark.slow
def test_areas_of_2019_are_those_that_eurostat_shows(geo: str, areas: list[float], shared_data: Path) -> None:
    data = (shared_data / "eurostat" / "estat_apro_cpshr.tsv.gz").read_bytes()
    table = formats.read(data, name="bulk", geo={geo}, crops={"C1110", "C1500", "G3000", "R1000"}).table
    of_2019 = table[(table["TIME_PERIOD"] == "2019") & (table["strucpro"] == "AR_THS_HA")]
    assert of_2019.set_index("crops")["OBS_VALUE"].to_dict() == dict(
        zip(["C1110", "C1500", "G3000", "R1000"], areas, strict=True)
    )


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("", ("", "")),
        ("b", ("b", "")),
        ("c", ("", "C")),
        ("cd", ("d", "C")),
        ("dc", ("d", "C")),
        ("@C", ("", "C")),
        ("ep", ("ep", "")),
        ("s", ("i", "")),
        ("z", ("m", "")),
        ("N", ("", "N")),
        ("bb", ("b", "")),
        ("q", None),
        ("CN", None),
    ],
)
def test_old_and_new_flags_mean_the_same(text: str, meant: tuple[str, str] | None) -> None:
    assert split_flags(text) == meant


def test_broken_lines_are_left_out_by_number_and_the_rest_is_read() -> None:
    found = eurostat_tsv.read(
        tsv(
            "A,C1110,AR,FRF2\t398.52 \t381.00 ",
            "A,C1110,AR,FRF3\t398.52 ",  # a cell short
            "A,C1110,FRF3\t1 \t2 ",  # a code short
            "A,C1110,XX,FRF3\t1 \t2 ",  # no such measure
            "A,C1110,MA,FRF3\tmuch \t2.50 e",
            "A,C1110,MA,FRK2\t7 q\t: c",  # no such flag
            "A,C1110,AR,FRF2\t1 \t2 ",  # again
        ),
        where="file.tsv",
    )
    assert found.left_out == {
        LeftOut.BROKEN_LINE: {"line 3": 1, "line 4": 1},
        LeftOut.SERIES_TWICE: {"line 8": 1},
        LeftOut.NO_NUMBER: {"line 6": 1},
        LeftOut.UNKNOWN_STRUCPRO: {"XX": 2},
        LeftOut.UNKNOWN_FLAG: {"line 7: q": 1},
    }
    shown = found.table[["strucpro", "geo", "TIME_PERIOD", "OBS_VALUE", "OBS_FLAG", "CONF_STATUS"]].astype(object)
    assert shown.where(shown.notna(), None).to_numpy().tolist() == [
        ["AR_THS_HA", "FRF2", "2008", 398.52, "", ""],
        ["AR_THS_HA", "FRF2", "2009", 381.0, "", ""],
        ["MAR_THS_HA", "FRF3", "2009", 2.5, "e", ""],
        ["MAR_THS_HA", "FRK2", "2009", None, "", "C"],
    ]


def test_a_value_that_should_be_hidden_is_not_taken() -> None:
    found = eurostat_tsv.read(tsv("A,C1110,AR,FRF2\t398.52 c\t381.00 "), where="file.tsv")
    assert found.table["OBS_VALUE"].isna().tolist() == [True, False]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is no file of crop statistics"),
        (b"\x1f\x8bnothing", "cannot be read"),
        (b"freq,unit,geo\\TIME_PERIOD\t2008 \nA,X,FR\t1 \n", "the first line begins"),
        (HEAD.encode() + b"\nnonsense\n", "no line can be read"),
        (HEAD.replace("2009", "2008").encode() + b"\n", "a year is there twice"),
        (b"{", "is no JSON"),
        (b'{"version": "2.0", "class": "dataset"}', "is no JSON-stat 2.0 dataset"),
        (b'{"version": "2.0", "class": "dataset", "value": [Infinity]}', "is no JSON"),
        (b'{"version": "1.0"}', "is no JSON-stat 2.0 dataset"),
        (b"DATAFLOW,freq\nx,A\n", "lacks the columns crops, strucpro"),
        (
            b"STRUCTURE,STRUCTURE_ID,ACTION,freq,crops,strucpro,geo,TIME_PERIOD,OBS_VALUE,OBS_FLAG,CONF_STATUS\n"
            b"dataflow,x,D,A,C1110,AR,FRF2,2009,1,,\n",
            "ACTION 'D' is no figure",
        ),
        (b"DATAFLOW,freq,crops,strucpro,geo,TIME_PERIOD,OBS_VALUE,OBS_FLAG,CONF_STATUS\nx,A\n", "no line can be read"),
        (b"PAR1broken", "is no file of crop statistics"),
        (b"nuts_id,crop\nFRH0,C1110\n", "lacks the columns season"),
        (PUBLISHED + b"2018,FRH0,2,C1110,AR,SA,x,a,b\n", "declared_ha is no number"),
        (PUBLISHED + b"2018,,2,C1110,AR,SA,x\n", "'' is no NUTS code"),
        (b"\xff\xfe\x00", "is no file of crop statistics"),
    ],
)
def test_a_file_that_is_none_says_so_in_one_line(data: bytes, said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        formats.read(data, name="file")
    assert str(caught.value).startswith("file")
    assert "\n" not in str(caught.value)


FIGURE = st.fixed_dictionaries(
    {
        "freq": st.just("A"),
        "crops": st.sampled_from(sorted(crop_items())),
        "strucpro": st.sampled_from(["AR_THS_HA", "MAR_THS_HA"]),
        "geo": st.sampled_from(["FR", "FRH0", "FRH01", "BE25", "EL30"]),
        "TIME_PERIOD": st.sampled_from(["2016", "2018", "2024"]),
        "OBS_VALUE": st.integers(0, 10**10).map(lambda n: n / 10**5),
        "OBS_FLAG": st.sampled_from(["", "e", "b", "be", "n", "fu", "p"]),
        "CONF_STATUS": st.just(""),
    }
)
HIDDEN = FIGURE.map(lambda one: one | {"OBS_VALUE": float("nan"), "OBS_FLAG": "", "CONF_STATUS": "C"})


def _key(one: dict[str, object]) -> tuple[object, ...]:
    return tuple(one[name] for name in COLUMNS[:5])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.one_of(FIGURE, HIDDEN), min_size=1, max_size=12, unique_by=_key))
@pytest.mark.slow
def test_any_table_comes_back_from_every_format(records: list[dict[str, object]]) -> None:
    table = ordered(pd.DataFrame(records)[list(COLUMNS)])
    files = [
        eurostat_tsv.write(table, decimals=5),
        sdmx_csv.write(table, version="1.0", dataflow="A:B(1.0)", decimals=5),
        sdmx_csv.write(table, version="2.0", dataflow="A:B(1.0)", decimals=5),
        json_stat.write(table, label="any", source="any", updated=None, decimals=5),
    ]
    for data in files:
        found: LongForm = formats.read(data, name="file")
        assert found.left_out == {}
        pd.testing.assert_frame_equal(found.table, table, check_exact=True, check_dtype=False)


def test_sdmx_csv_is_read_without_flags_with_labels_and_packed() -> None:
    bare = (
        b"DATAFLOW,LAST UPDATE,freq,crops,strucpro,geo,TIME_PERIOD,OBS_VALUE\n"
        b"E:F(1.0),,A,C1110,AR_THS_HA,FRH0,2018,1.5\n"
    )
    labelled = (
        b"DATAFLOW: Dataflow,LAST UPDATE: Last change,freq: Frequency,crops: Crops,strucpro: Structure,geo: Region,"
        b"TIME_PERIOD: Time,OBS_VALUE: Value,OBS_FLAG: Status,CONF_STATUS: Confidentiality\n"
        b'E:F(1.0): Crop production,,A: Annual,"C1110: Common wheat, spelt",AR_THS_HA: Area,FRH0: Bretagne,'
        b"2018: 2018,1.5,e: estimated,\n"
    )
    expected = ("A", "C1110", "AR_THS_HA", "FRH0", "2018", 1.5)
    for data, flag in ((bare, ""), (labelled, "e"), (gzip.compress(labelled), "e")):
        (line,) = formats.read(data, name="file").table[[*DIMENSIONS, "OBS_VALUE", "OBS_FLAG"]].to_records(index=False)
        assert tuple(line) == (*expected, flag)


SDMX = "DATAFLOW,freq,crops,strucpro,geo,TIME_PERIOD,OBS_VALUE,OBS_FLAG,CONF_STATUS"


@pytest.mark.parametrize(
    ("columns", "value", "cells", "thousands"),
    [
        ("UNIT_MEASURE", "2588100", "HA", 2588.1),
        ("UNIT_MEASURE,UNIT_MULT", "2588100", "HA,0", 2588.1),
        ("UNIT_MEASURE,UNIT_MULT", "2588.1", "HA,3", 2588.1),
        ("UNIT_MEASURE,UNIT_MULT", "2.5881", "HA: Hectares,6: Millions", 2588.1),
        ("unit", "2588100", "HA", 2588.1),
        ("UNIT_MEASURE,UNIT_MULT", "2588.1", "THS_HA,3", 2588.1),
        ("UNIT_MEASURE", "2588.1", "", 2588.1),
    ],
)
def test_sdmx_csv_that_states_its_unit(columns: str, value: str, cells: str, thousands: float) -> None:
    data = f"{SDMX},{columns}\nE:F(1.0),A,C1110,AR_THS_HA,DE,2024,{value},,,{cells}\n".encode()
    assert formats.read(data, name="file").table["OBS_VALUE"].tolist() == pytest.approx([thousands])


def test_sdmx_csv_in_a_unit_that_is_none_of_areas() -> None:
    rows = "E:F(1.0),A,C1110,HPRD_THS_T,DE,2024,7,,,T\nE:F(1.0),A,C1110,AR_THS_HA,DE,2024,7,,,KM2\n"
    with pytest.raises(InputError, match=r"file, line 3: the area is in 'KM2'\. Ask for THS_HA or HA"):
        formats.read(f"{SDMX},UNIT_MEASURE\n{rows}".encode(), name="file")
    yields = rows.splitlines()[0]
    assert formats.read(f"{SDMX},UNIT_MEASURE\n{yields}\n".encode(), name="file").table["OBS_VALUE"].tolist() == [7.0]


def test_sdmx_csv_in_quotes_and_free_for_publication() -> None:
    """RFC 4180 allows quotes around any field; F of SDMX's CL_CONF_STATUS is free for publication."""
    line = "E:F(1.0),A,C1110,AR_THS_HA,DE,2024,2588.1,p,F"
    data = "\n".join(",".join(f'"{cell}"' for cell in row.split(",")) for row in (SDMX, line))
    for way in (data, "\ufeff" + data, f"{SDMX}\n{line}"):
        (found,) = formats.read(way.encode(), name="file").table.to_dict("records")
        assert (found["OBS_VALUE"], found["OBS_FLAG"], found["CONF_STATUS"]) == (2588.1, "p", "")


def test_our_own_csv_is_read_back_in_every_dialect() -> None:
    rows = published()
    plain = formats.read(formats.write(rows, "csv", nuts_version=2024).data, name="plain").table
    for dialect in (CsvDialect.BOM, CsvDialect.SEMICOLON):
        data = formats.write(rows, "csv", nuts_version=2024, dialect=dialect).data
        pd.testing.assert_frame_equal(formats.read(data, name="file").table, plain)


def test_quarters_and_figures_beyond_all_numbers_are_counted_not_compared() -> None:
    head = "DATAFLOW,freq,crops,strucpro,geo,TIME_PERIOD,OBS_VALUE"
    lines = [
        "A,C1110,AR_THS_HA,FRH0,2018,300.0",
        "Q,C1110,AR_THS_HA,FRH0,2018-Q1,70.0",
        "A,C1110,AR_THS_HA,FRH0,201,1.0",
    ]
    found = formats.read("\n".join([head, *(f"ESTAT:X(1.0),{line}" for line in lines), "x"]).encode(), name="q.csv")
    assert found.table["OBS_VALUE"].to_list() == [300.0]
    assert found.left_out == {LeftOut.BROKEN_LINE: {"line 5": 1, "line 3": 1, "line 4": 1}}
    most = tsv(f"A,C1110,AR_THS_HA,FRH0\t{'9' * 400} \t: ", "A,C1500,AR_THS_HA,FRH0\t20.5 \t: ")
    found = formats.read(most, name="m.tsv")
    assert found.table["OBS_VALUE"].to_list() == [20.5]
    assert found.left_out == {LeftOut.NO_NUMBER: {"line 2": 1}}


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("crop", b"\xff", "crop is no text in some rows"),
        ("crop", 1110, "crop is no text in some rows"),
        ("season", 2018.5, "season is no year in some rows"),
        ("season", None, "season is empty in some rows"),
        ("estimate_ha", [1.0], "estimate_ha is no number in some rows"),
        ("estimate_ha", float("inf"), "estimate_ha is no number in some rows"),
        ("se_ha", pd.Timestamp("2018-06-07"), "se_ha is no number in some rows"),
        ("nuts_version", True, "nuts_version is no number in some rows"),
    ],
)
def test_a_parquet_file_of_other_things_names_the_column(tmp_path: Path, column: str, value: Any, said: str) -> None:
    rows = published()
    rows[column] = pd.Series([value] * len(rows), dtype=object)
    rows.to_parquet(tmp_path / "o.parquet")
    with pytest.raises(InputError, match=f"^o.parquet: {said}"):
        formats.read((tmp_path / "o.parquet").read_bytes(), name="o.parquet")


def test_an_export_of_no_rows_has_none() -> None:
    data = formats.write(published().iloc[:0], "csv", nuts_version=2024, dialect=CsvDialect.SEMICOLON).data
    assert formats.read(data, name="empty.csv").table.empty


def test_a_column_less_is_named_in_every_dialect() -> None:
    data = formats.write(published(), "csv", nuts_version=2024, dialect=CsvDialect.SEMICOLON).data
    with pytest.raises(InputError, match=r"^cut\.csv: lacks the columns estimate_ha"):
        formats.read(data.replace(b"estimate_ha", b"estimate"), name="cut.csv")


def test_files_of_more_than_any_table_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "MOST_BYTES", 5_000)
    monkeypatch.setattr(formats, "MOST_JSON", 4_000)
    monkeypatch.setattr(formats, "MOST_ROWS_BYTES", 3_000)
    for data in (gzip.compress(tsv("x" * 9_000)), b"{" + b" " * 5_000, PUBLISHED + b"x" * 4_000):
        with pytest.raises(InputError, match=r"^big: has more than 0 MB"):
            formats.read(data, name="big")


def test_a_parquet_file_of_more_rows_than_bytes_is_refused() -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table({"crop": pa.array(["C1500"] * 300_000).dictionary_encode()}), sink)
    with pytest.raises(InputError, match=r"bulk: has [0-9,]+ bytes and announces 300,000 rows\. Export"):
        formats.read(sink.getvalue(), name="bulk")
