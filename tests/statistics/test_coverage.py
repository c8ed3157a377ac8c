"""A sum over a part of a region is no figure of the region."""

import pytest

from cropmap.statistics.coverage import partial_regions

BRITTANY = ("FR", "FRH", "FRH0", "FRH01", "FRH02", "FRH03", "FRH04")


@pytest.mark.parametrize(
    ("regions", "codes", "partial"),
    [
        (BRITTANY, ["FRH0"], ("FR",)),  # FRH has no other NUTS-2 region
        (BRITTANY, ["FRH01", "FRH02", "FRH03", "FRH04"], ("FR",)),
        (BRITTANY, ["FRH01", "FRH02", "FRH04"], ("FR", "FRH", "FRH0", "FRH03")),
        (BRITTANY, ["FR"], ()),
        (BRITTANY, ["FRH0", "FRH01", "FRH02", "FRH02"], ("FR",)),
        (("BE", "BE2", "BE25", "BE253"), ["BE2"], ("BE",)),
        (("BE", "BE1", "BE10", "BE100", "BE2", "BE3"), ["BE1", "BE2", "BE3"], ()),
        (("LU", "LU0", "LU00", "LU000"), ["LU000"], ()),
        (("XX", "XX1", "XX11", "XX111"), ["XX111"], ("XX", "XX1", "XX11")),  # in no list
    ],
)
def test_what_the_codes_do_not_cover_whole(
    regions: tuple[str, ...], codes: list[str], partial: tuple[str, ...]
) -> None:
    assert partial_regions(regions, codes=codes, nuts_version=2024) == partial


def test_the_agency_has_the_last_word() -> None:
    assert partial_regions(BRITTANY, codes=["FRH01"], complete=["FRH0"], nuts_version=2021) == ("FR", "FRH")
