"""What other rooms derive from a contract, on a small table written out by hand."""

from __future__ import annotations

from enum import StrEnum

import pyarrow as pa
import pytest

from cropmap.contracts.columns import (
    Column,
    Kind,
    Table,
    copy_types,
    figures,
    file_schema,
    masked,
    pandas_types,
    public,
    stored_schema,
)


class Word(StrEnum):
    OPEN = "open"


FIELD = Column("field_id", Kind.TEXT, "identifier")
ROW = Column("row", Kind.INTEGER, "row of the file", null="drawn by hand")
AREA = Column("area_ha", Kind.REAL, "area", null="a confidential cell", figure=True)
BASIS = Column("basis", Kind.TEXT, "how it came about", words=Word, masked=True)
SEEN = Column("seen", Kind.DATE, "last day", null="never", public=False)
TABLE = Table("field", "Fields.", (FIELD, ROW, AREA, BASIS, SEEN))


def test_columns_are_chosen_by_name_and_unknown_names_are_errors() -> None:
    assert TABLE.names == ("field_id", "row", "area_ha", "basis", "seen")
    assert TABLE.only("seen", "row") == (SEEN, ROW)
    assert TABLE.without("row", "seen") == (FIELD, AREA, BASIS)
    for choose in (TABLE.only, TABLE.without):
        with pytest.raises(KeyError, match="colour"):
            choose("colour")


def test_what_is_not_public_is_left_out() -> None:
    assert public(TABLE) == (FIELD, ROW, AREA, BASIS)


def test_types_of_copy_and_of_frames() -> None:
    assert copy_types(TABLE) == {
        "field_id": "text",
        "row": "int4",
        "area_ha": "float8",
        "basis": "text",
        "seen": "date",
    }
    assert pandas_types(TABLE) == {
        "field_id": "object",
        "row": "Int64",
        "area_ha": "float64",
        "basis": "object",
        "seen": "object",
    }
    assert pandas_types([ROW.replaced(null="")]) == {"row": "int64"}


def test_a_file_may_lack_any_value_and_an_object_only_what_the_contract_lets_it() -> None:
    fields = [
        ("field_id", pa.string()),
        ("row", pa.int32()),
        ("area_ha", pa.float64()),
        ("basis", pa.string()),
        ("seen", pa.date32()),
    ]
    assert file_schema(TABLE).equals(pa.schema(fields))
    assert [field.nullable for field in file_schema(TABLE)] == [True] * 5
    assert stored_schema(TABLE).names == file_schema(TABLE).names
    assert [field.nullable for field in stored_schema(TABLE)] == [False, True, True, False, True]


def test_a_confidential_cell_loses_figures_and_what_would_tell_of_them() -> None:
    assert figures(TABLE) == ("area_ha",)
    assert masked(TABLE) == ("area_ha", "basis")
    assert (BASIS.is_nullable, BASIS.shown_nullable) == (False, True)


def test_a_description_says_what_an_empty_value_means() -> None:
    assert FIELD.description == "identifier"
    assert ROW.description == "row of the file; null: drawn by hand"
    assert BASIS.description == "how it came about; null: a confidential cell"
    assert SEEN.replaced(personal=True).description == (
        "last day; personal data: hand it on to those only who may see it; null: never"
    )
    assert BASIS.replaced(null="unknown").description == "how it came about; null: unknown; a confidential cell"
