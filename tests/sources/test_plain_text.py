"""Identifiers of other people's documents, as ids of a ledger and parts of an object's name."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import pytest

from cropmap.observations.files import observation_name
from cropmap.sources.catalogs.plain_text import id_problem, kept_id, object_part, one_line

ORDINARY = ["S2A_30UVU_20180607_0_L2A", "S2B_MSIL2A_20250312T014549_R074_T53NKG_20250312T041213", "20180607", "a.b-c_d"]
HARMLESS = ["other tile", "emoji🌾", "S2A:30UVU", "é" * 200, "x" * 200, "-x", ".x", "CON", "a%2Fb"]
NO_IDS: list[Any] = [
    "",
    "  ",
    None,
    5,
    [1],
    {},
    True,
    "../x",
    "a/b",
    "a\\b",
    "..",
    "x" * 201,
    "nul\x00",
    "a\nb",
    "\u202eabc",
    "\ud800",
]


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_ids_keep_their_names(name: str) -> None:
    assert id_problem(name) is None
    assert kept_id(name) == object_part(name) == name
    assert observation_name("a", 2018, "30UVU", name) == f"observations/a/2018/30UVU/{name}.parquet"


@pytest.mark.parametrize("name", [*HARMLESS, *(str(one) for one in NO_IDS)], ids=repr)
def test_any_id_is_one_part_of_a_name(name: str) -> None:
    path = PurePosixPath(observation_name("a", 2018, "30UVU", name))
    assert path.parts[:4] == ("observations", "a", "2018", "30UVU")
    assert len(path.parts) == 5
    assert ".." not in path.name
    assert path.name.isascii()
    assert len(path.name) <= 160


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless_ids_are_ids(name: str) -> None:
    assert id_problem(name) is None
    assert len({object_part(one) for one in HARMLESS}) == len(HARMLESS), "two ids never share an object"


@pytest.mark.parametrize("name", NO_IDS, ids=lambda name: repr(name)[:20])
def test_what_is_no_id_is_counted_under_one(name: Any) -> None:
    assert id_problem(name)
    kept = kept_id(name)
    assert id_problem(kept) is None
    kept.encode()


def test_a_line_is_one_line_of_bounded_length() -> None:
    assert one_line("a\n b\t\x00c") == "a b \N{REPLACEMENT CHARACTER}c"
    assert len(one_line("x" * 10_000)) == 300
