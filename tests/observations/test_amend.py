"""An amended table is the table that observing everything anew would give."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyarrow as pa
import pytest

from cropmap.bench.tile import JPEG2000, make_acquisitions, make_parcels
from cropmap.observations import amend, scratch
from cropmap.observations.amend import amended
from cropmap.observations.corrections import correction_of, with_correction
from cropmap.observations.coverage import TileCoverage, outline_hashes, read_outlines, tile_coverage
from cropmap.observations.extract import observe
from cropmap.observations.files import amendable, write_observation
from cropmap.observations.raster_access import fetch
from cropmap.observations.tiles import tile_grids
from cropmap.schemas import BANDS, REFLECTANCE_NODATA
from cropmap.sources.catalogs.acquisition import Acquisition
from cropmap.store import Store
from tests.data.make_scenes import flat_bands, make_acquisition, parcels_at
from tests.data.sign_in_services import Answer, service

ROWS, COLS = 12, 18
Box = tuple[float, float, float, float]
BEFORE: dict[str, Box] = {
    "A": (0, 0, 60, 60),
    "B": (100, 40, 140, 120),
    "C": (200, 100, 300, 200),
    "D": (160, 0, 165, 20),
}


@pytest.fixture
def acquisition(tmp_path: Path) -> Acquisition:
    """Every pixel another value, so that a shifted window shows."""
    bands = flat_bands(rows=ROWS, cols=COLS)
    for number, band in enumerate(BANDS):
        bands[band][:] = 1100 + 7 * number + np.arange(bands[band].size, dtype=np.uint16).reshape(bands[band].shape)
    bands["SCL"][3, :] = 9
    return make_acquisition(tmp_path, bands, offset=-0.1)


def cover(store: Store, acquisition: Acquisition, parcels: gpd.GeoDataFrame) -> TileCoverage:
    return tile_coverage(
        store, parcels, tile="30UVU", grids=tile_grids([acquisition]), inner_buffer_10m_m=5, inner_buffer_20m_m=10
    )


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"A": (0, 0, 80, 60)},
        {"C": None},
        {"E": (0, 200, 60, 240)},
        {"A": (20, 20, 100, 60), "B": None, "0": (300, 0, 360, 60)},
        {"D": (160, 0, 166, 20)},  # vanishes under the buffer, as before
        {"C": (200, 100, 201, 200)},  # has pixels no longer
        {"A": None, "B": None, "C": None, "D": None, "Z": (300, 0, 360, 60)},
    ],
)
@pytest.mark.parametrize("square_px", [1_024, 4])
@pytest.mark.slow
def test_an_amended_table_is_one_observed_anew(
    store: Store,
    acquisition: Acquisition,
    changes: dict[str, Box | None],
    square_px: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(amend, "GROUP_PIXELS", square_px)
    before = parcels_at(BEFORE)
    after = parcels_at({parcel: bounds for parcel, bounds in {**BEFORE, **changes}.items() if bounds})
    kept = observe(acquisition, cover(store, acquisition, before))
    coverage = cover(store, acquisition, after)
    table = amended(
        acquisition, coverage, kept=kept, kept_outlines=outline_hashes(before), outlines=outline_hashes(after)
    )
    fresh = observe(acquisition, coverage)
    assert table.to_pylist() == fresh.to_pylist()
    assert table.schema.equals(fresh.schema, check_metadata=True)


def test_kept_rows_are_not_read_again(store: Store, acquisition: Acquisition) -> None:
    before, after = parcels_at(BEFORE), parcels_at({**BEFORE, "A": (0, 0, 80, 60)})
    kept = observe(acquisition, cover(store, acquisition, before))
    told = kept.set_column(3, kept.field(3), pa.array([-7] * len(kept), pa.int16()))
    table = amended(
        acquisition,
        cover(store, acquisition, after),
        kept=told,
        kept_outlines=outline_hashes(before),
        outlines=outline_hashes(after),
    )
    assert [value == -7 for value in table["B02"].to_pylist()] == [False, True, True, True]


def test_a_parcel_without_a_kept_row_is_read_even_if_its_outline_is_known(
    store: Store, acquisition: Acquisition
) -> None:
    parcels = parcels_at(BEFORE)
    coverage = cover(store, acquisition, parcels)
    whole = observe(acquisition, coverage)
    outlines = outline_hashes(parcels)
    table = amended(acquisition, coverage, kept=whole.slice(1), kept_outlines=outlines, outlines=outlines)
    assert table.to_pylist() == whole.to_pylist()


def test_a_corrected_offset_is_taken_back(store: Store, acquisition: Acquisition) -> None:
    parcels = parcels_at(BEFORE)
    coverage, outlines = cover(store, acquisition, parcels), outline_hashes(parcels)
    whole = observe(acquisition, coverage)
    kept = with_correction(whole.slice(1).replace_schema_metadata(whole.schema.metadata), -0.1)
    table = amended(acquisition, coverage, kept=kept, kept_outlines=outlines, outlines=outlines)
    assert table.to_pylist() == whole.to_pylist()
    assert correction_of(table.schema) == 0.0


def test_a_part_of_a_coverage_needs_a_part_of_the_scene(store: Store, acquisition: Acquisition) -> None:
    coverage = cover(store, acquisition, parcels_at(BEFORE))
    part = coverage.part(np.isin(coverage.parcel_ids, ["C", "D"]))
    assert part.parcel_ids.tolist() == ["C", "D"]
    assert (part.fine.window.row_off, part.fine.window.col_off) == (10, 20)
    assert (part.fine.window.height, part.fine.window.width) == (10, 10)  # 5 m are cut off: half of the outer pixels
    assert part.fine.total_pixels.tolist() == [pytest.approx(81), 0]
    nothing = coverage.part(coverage.parcel_ids == "D")
    assert (nothing.fine.window.size, nothing.coarse.window.size) == (0, 0)
    assert set(observe(acquisition, nothing)["B02"].to_pylist()) == {REFLECTANCE_NODATA}


def test_outlines_of_a_parcel_set_are_kept(store: Store, acquisition: Acquisition) -> None:
    parcels = parcels_at(BEFORE)
    coverage = cover(store, acquisition, parcels)
    assert read_outlines(store, coverage.parcel_set) == outline_hashes(parcels)
    assert read_outlines(store, "another") is None


def test_which_files_can_be_amended(store: Store, acquisition: Acquisition, tmp_path: Path) -> None:
    coverage = cover(store, acquisition, parcels_at(BEFORE))
    other = cover(store, acquisition, parcels_at({"A": (0, 0, 80, 60)}))
    assert amendable(store, "a.parquet", acquisition, coverage) is None
    write_observation(store, "a.parquet", observe(acquisition, coverage))
    assert amendable(store, "a.parquet", acquisition, other) == coverage.parcel_set
    (tmp_path / "other").mkdir()
    corrected = make_acquisition(tmp_path / "other", flat_bands(rows=ROWS, cols=COLS), offset=0.0)
    assert amendable(store, "a.parquet", corrected, coverage) is None


def test_a_file_that_is_fetched_whole_is_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However far apart the changed parcels lie."""
    fetched: list[str] = []

    def noted(href: str, path: Path, size: int | None) -> None:
        fetched.append(href)
        fetch(href, path, size)

    monkeypatch.setattr(scratch, "fetch", noted)
    monkeypatch.setattr(scratch, "_in_use", scratch.Scratch(tmp_path / "scratch"))
    monkeypatch.setattr(amend, "GROUP_PIXELS", 64)
    size = 1098
    (made,) = make_acquisitions(tmp_path / "tile", size_px=size, dates=1, compress=JPEG2000)
    files = {f"/{band}.jp2": Path(asset.href).read_bytes() for band, asset in made.assets.items()}
    with service(lambda request: Answer(200, files[request.path])) as (url, _):
        assets = {band: replace(asset, href=f"{url}/{band}.jp2") for band, asset in made.assets.items()}
        remote = replace(made, assets=assets)
        coverage = cover(Store(tmp_path / "store"), remote, make_parcels(size_px=size, count=40))
        whole = observe(remote, coverage)
        fetched.clear()
        outlines = dict.fromkeys(map(str, coverage.parcel_ids), "changed")
        again = amended(remote, coverage, kept=whole, kept_outlines={}, outlines=outlines)
    assert sorted(fetched) == sorted(asset.href for asset in assets.values())
    assert again.equals(whole)
