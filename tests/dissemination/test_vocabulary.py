"""Eurostat's codes: measures under two names, names of crops, and regions of one edition."""

from __future__ import annotations

import pytest

from cropmap.dissemination.vocabulary import GEO, check_regions, crop_name, current_strucpro, measures
from cropmap.errors import InputError


def test_a_measure_has_one_name_since_2025_and_an_older_one() -> None:
    assert current_strucpro("AR") == current_strucpro("AR_THS_HA") == "AR_THS_HA"
    assert measures()["MA"].code == "MAR_THS_HA"
    with pytest.raises(InputError, match="strucpro 'YI' is not known"):
        current_strucpro("YI")


@pytest.mark.parametrize(
    ("crop", "name"),
    [
        ("local:other_crops", "other crops"),
        ("local:C1110_unspecified", "C1110 unspecified"),
        ("C9999", "C9999"),  # an item that the list does not have keeps its code
        ("C9998+C9999", "C9998 + C9999"),
    ],
)
def test_the_name_of_a_crop_without_an_item(crop: str, name: str) -> None:
    assert crop_name(crop) == name


@pytest.mark.parametrize(
    ("code", "is_place"),
    [("FRH01", True), ("EU27_2020", True), ("EL41_42", True), ("fr", False), ("F1", False), ("", False)],
)
def test_a_place_is_a_region_or_one_of_eurostats_aggregates(code: str, is_place: bool) -> None:
    assert (GEO.fullmatch(code) is not None) is is_place


def test_regions_are_of_one_edition() -> None:
    """NL113 ended with 2021, NL115 came with 2024; FRH01 is one of all editions."""
    check_regions(["FRH01", "DE21B"], nuts_version=None)
    check_regions(["FRH01", "NL115"], nuts_version=None)
    with pytest.raises(InputError, match="NUTS versions are mixed"):
        check_regions(["NL115", "NL113"], nuts_version=None)


def test_regions_are_of_the_edition_that_is_named() -> None:
    with pytest.raises(InputError, match="NL115 is no region of NUTS 2016"):
        check_regions(["NL115"], nuts_version=2016)


@pytest.mark.parametrize("code", ["Bretagne", "GR30", "XX01"])
def test_what_is_no_code_is_no_region_of_any_edition(code: str) -> None:
    with pytest.raises(InputError, match="is no NUTS code"):
        check_regions([code, "FRH01"], nuts_version=None)
