"""Regions of a GISCO file, and the region of every parcel by largest overlap."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import pandas as pd
import pytest
import shapely

from cropmap.errors import RegionFileError
from cropmap.sources.regions import Regions, assign_regions, read_regions, split_at_borders

X, Y = 3_300_000, 2_700_000


def block(west: float, south: float, east: float, north: float) -> shapely.Polygon:
    """Kilometres from (X, Y)."""
    return shapely.box(X + 1000 * west, Y + 1000 * south, X + 1000 * east, Y + 1000 * north)


def make_regions(path: Path) -> Path:
    """FRH01 west of FRH02, a neighbour FRI11 in the north, and parents; rows in no order."""
    rows = [
        ("FRH02", 3, "Finistère", block(10, 0, 30, 10)),
        ("FRI11", 3, "Dordogne", block(0, 10, 30, 20)),
        ("FR", 0, "France", block(0, 0, 30, 20)),
        ("FRH01", 3, "Côtes-d'Armor", block(0, 0, 10, 10)),
        ("FRH0", 2, "Bretagne", block(0, 0, 30, 10)),
        ("FRH", 1, "Bretagne", block(0, 0, 30, 10)),
    ]
    codes, levels, names, shapes = zip(*rows, strict=True)
    frame = gpd.GeoDataFrame(
        {"NUTS_ID": codes, "LEVL_CODE": levels, "NAME_LATN": names}, geometry=list(shapes), crs=3035
    )
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        (frame.to_crs(4326) if path.suffix == ".geojson" else frame).to_file(path)
    return path


def regions(folder: Path, *codes: str) -> Regions:
    return read_regions(make_regions(folder / "nuts_2024.gpkg"), nuts_version=2024, codes=codes)


@pytest.mark.parametrize("name", ["nuts.gpkg", "nuts.geojson", "nuts.parquet", "nuts.shp"])
def test_level_3_below_the_codes_and_their_parents(tmp_path: Path, name: str) -> None:
    found = read_regions(make_regions(tmp_path / name), nuts_version=2024, codes=["FRH0"])
    assert list(found.table["nuts_id"]) == ["FR", "FRH", "FRH0", "FRH01", "FRH02"]
    assert list(found.table["level"]) == [0, 1, 2, 3, 3]
    assert found.table["name"][3] == "Côtes-d'Armor"
    assert found.table.crs.to_epsg() == 3035
    assert list(found.assignable["nuts_id"]) == ["FRH01", "FRH02"]
    assert found.assignable.geometry.area.to_numpy() / 1e6 == pytest.approx([100, 200], rel=1e-6)


def test_the_largest_overlap_decides(tmp_path: Path) -> None:
    parcels = gpd.GeoDataFrame(
        {"parcel_id": ["in 1", "most in 2", "most in 1", "abroad", "on the border", "half outside"]},
        geometry=[
            block(1, 1, 2, 2),
            block(9.6, 1, 10.6, 2),
            block(9.3, 1, 10.3, 2),
            block(40, 1, 41, 2),
            block(9.5, 4, 10.5, 5),
            block(29.9, 1, 30.9, 2),
        ],
        index=[7, 3, 5, 1, 2, 9],
        crs=3035,
    )
    for crs in (3035, 4326):
        assigned = assign_regions(parcels.to_crs(crs), regions(tmp_path, "FRH0"))
        assert list(assigned.index) == [7, 3, 5, 1, 2, 9]
        assert assigned.drop(2).to_list() == ["FRH01", "FRH02", "FRH01", None, "FRH02"]
    assert assign_regions(parcels, regions(tmp_path, "FRH0"))[2] == "FRH01", "a tie goes to the first code"


def test_only_regions_asked_for_are_assigned(tmp_path: Path) -> None:
    parcels = gpd.GeoDataFrame(geometry=[block(1, 1, 2, 2), block(11, 1, 12, 2)], crs=3035)
    assert assign_regions(parcels, regions(tmp_path, "FRH02")).to_list() == [None, "FRH02"]


def test_a_missing_code_names_near_ones(tmp_path: Path) -> None:
    with pytest.raises(RegionFileError, match=r"no level 3 region in 'FRHO'.*Near codes: FRH0?"):
        regions(tmp_path, "FRH0", "FRHO")


def test_a_file_of_another_version_is_refused(tmp_path: Path) -> None:
    path = make_regions(tmp_path / "NUTS_RG_20M_2016_3035.gpkg")
    with pytest.raises(RegionFileError, match="named after NUTS 2016, not 2024"):
        read_regions(path, nuts_version=2024, codes=["FRH0"])
    assert len(read_regions(path, nuts_version=2016, codes=["FRH01"]).assignable) == 1


def test_a_file_that_is_no_nuts_file(tmp_path: Path) -> None:
    with pytest.raises(RegionFileError, match="no such file"):
        read_regions(tmp_path / "absent.gpkg", nuts_version=2024, codes=["FRH0"])
    (tmp_path / "text.gpkg").write_text("no geopackage")
    with pytest.raises(RegionFileError, match="cannot be read"):
        read_regions(tmp_path / "text.gpkg", nuts_version=2024, codes=["FRH0"])
    gpd.GeoDataFrame({"id": ["FRH01"]}, geometry=[block(0, 0, 1, 1)], crs=3035).to_file(tmp_path / "other.gpkg")
    with pytest.raises(RegionFileError, match="no column NUTS_ID, LEVL_CODE"):
        read_regions(tmp_path / "other.gpkg", nuts_version=2024, codes=["FRH0"])


@pytest.mark.shared_data
@pytest.mark.parametrize(("version", "file"), [(2016, "NUTS_RG_20M_2016_4326"), (2024, "NUTS_RG_20M_2024_4326")])
@pytest.mark.parametrize(
    ("agency", "code", "region", "count"), [("bavaria", "DE21", "DE21B", 301), ("flanders", "BE25", "BE253", 19)]
)
def test_real_parcels(
    shared_data: Path, version: int, file: str, agency: str, code: str, region: str, count: int
) -> None:
    found = read_regions(shared_data / f"nuts/{file}.gpkg", nuts_version=version, codes=[code])
    parcels = gpd.read_file(shared_data / agency / "declarations.gpkg")
    assert assign_regions(parcels, found).value_counts().to_dict() == {region: count}
    parents = {region[:length] for length in (2, 3, 4)}
    assert parents == set(found.table["nuts_id"]) - set(found.assignable["nuts_id"])


def test_a_parcel_across_a_border_is_divided_by_area(tmp_path: Path) -> None:
    parcels = gpd.GeoDataFrame(
        {
            "parcel_id": ["c across", "a inside", "b sliver", "d corner, half abroad", "e coast"],
            "nuts_id": ["FRH02", "FRH01", "FRH01", "FRH02", "FRH01"],
            "area_ha": [40.0, 1.0, 100.0, 12.0, 5.0],  # the register's, not the outline's
        },
        geometry=[
            block(9.9, 5, 10.3, 5.1),  # 1/4 in FRH01, 3/4 in FRH02
            block(1, 1, 1.1, 1.1),
            block(9, 3, 10.00001, 4),  # a centimetre over the border: 0.001 ha
            block(9.8, 9.8, 10.4, 10.2),  # 1/3 and 2/3 of the half in Brittany; FRI11 is not the agency's
            block(-0.1, 2, 0.1, 2.1),  # half in the sea
        ],
        crs=3035,
    )
    found = split_at_borders(parcels.to_crs(4326), regions(tmp_path, "FRH0"))
    rows = [(row.parcel_id, row.nuts_id, round(row.area_ha, 3)) for row in found.itertuples()]
    assert rows == [
        ("a inside", "FRH01", 1.0),
        ("b sliver", "FRH01", 100.0),
        ("c across", "FRH01", 10.0),
        ("c across", "FRH02", 30.0),
        ("d corner, half abroad", "FRH01", 4.0),
        ("d corner, half abroad", "FRH02", 8.0),
        ("e coast", "FRH01", 5.0),
    ]
    nothing = parcels[parcels["parcel_id"] == "a inside"]
    assert split_at_borders(nothing, regions(tmp_path, "FRH0")).equals(nothing)


def _broken(path: Path, change: Callable[[gpd.GeoDataFrame], gpd.GeoDataFrame]) -> Path:
    change(gpd.read_file(make_regions(path))).to_file(path)
    return path


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: pd.concat([f, f[f["NUTS_ID"] == "FRH01"]]), "FRH01 is there more than once"),
        (lambda f: f.assign(LEVL_CODE=f["LEVL_CODE"].replace(3, 2).where(f["NUTS_ID"] != "FRH02", 3)), "FRH01 is 2"),
        (lambda f: f.assign(LEVL_CODE="three"), "LEVL_CODE 'three' is no NUTS level"),
        (lambda f: f.set_geometry(f.geometry.where(f["NUTS_ID"] != "FRH02", None)), "FRH02 has no outline"),
    ],
)
def test_a_broken_file_of_regions_is_refused_by_name(
    tmp_path: Path, change: Callable[[gpd.GeoDataFrame], gpd.GeoDataFrame], said: str
) -> None:
    path = _broken(tmp_path / "nuts.gpkg", change)
    with pytest.raises(RegionFileError, match=said):
        read_regions(path, nuts_version=2024, codes=["FRH0"])


def test_an_invalid_ring_is_repaired_and_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ear = [(0, 0), (10, 0), (10, 10), (10.5, 10.5), (10, 10.5), (10.5, 10), (0, 10)]  # crosses itself in the corner
    ring = shapely.Polygon([(X + 1000 * x, Y + 1000 * y) for x, y in ear])
    assert not ring.is_valid
    path = _broken(tmp_path / "nuts.gpkg", lambda f: f.set_geometry(f.geometry.where(f["NUTS_ID"] != "FRH01", ring)))
    found = read_regions(path, nuts_version=2024, codes=["FRH0"])
    assert found.assignable.geometry.is_valid.all()
    assert found.assignable.geometry.iloc[0].area / 1e6 == pytest.approx(100, rel=0.01)
    assert "outlines repaired: FRH01" in caplog.text
