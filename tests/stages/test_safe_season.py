"""A season whose catalogue is a folder of products: the observations are those of a STAC catalogue."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
import rasterio

from cropmap.database import acquisitions as ledger
from cropmap.errors import CatalogError
from cropmap.schemas import RESOLUTION_M, AcquisitionStatus, QuarantineReason
from cropmap.simulation.scenes import ASSET_KEYS
from cropmap.stages.context import SeasonContext
from cropmap.stages.first_check import check_inputs
from tests.data.make_sources_safe import PHYSICAL, make_level_1c, product_document, tile_document, zip_product
from tests.stages.conftest import observe_everything, open_context

WINDOW = ["2018-01-01", "2018-12-31"]


def as_product(item_file: Path, folder: Path) -> Path:
    """An item of the simulation as a product of the same pixels."""
    item: dict[str, Any] = json.loads(item_file.read_text())
    properties, name = item["properties"], str(item["properties"]["s2:product_uri"])
    tile, day, generated = properties["s2:mgrs_tile"], name[11:19], name.removesuffix(".SAFE")[-15:]
    granule = f"GRANULE/L2A_T{tile}_A015450_{day}T110835"
    images = {}
    for band, key in ASSET_KEYS.items():
        asset, metres = item["assets"][key], RESOLUTION_M[band]
        images[band] = f"{granule}/IMG_DATA/R{metres}m/T{tile}_{day}T110621_{band}_{metres}m"
        target = folder / name / f"{images[band]}.jp2"
        target.parent.mkdir(parents=True, exist_ok=True)
        with rasterio.open(item_file.parent / asset["href"]) as source:
            profile = {key: source.profile[key] for key in ("dtype", "count", "height", "width", "crs", "transform")}
            with rasterio.open(target, "w", driver="JP2OpenJPEG", QUALITY="100", REVERSIBLE="YES", **profile) as sink:
                sink.write(source.read())
    dn = round(item["assets"]["blue"]["raster:bands"][0]["offset"] * 10_000)
    west, south, east, north = item["bbox"]
    baseline, strip = properties["s2:processing_baseline"], f"S2A_OPER_MSI_L2A_DS_EPAE_X_S{day}T110835"
    offsets = dict.fromkeys(range(len(PHYSICAL)), dn) if dn else {}
    document = product_document(
        name, baseline, [*images.values()], offsets, strip, f"X_T{tile}", generated, day, (west, south, east, north)
    )
    (folder / name / "MTD_MSIL2A.xml").write_text(document)
    (folder / name / granule / "MTD_TL.xml").write_text(tile_document(strip, f"X_T{tile}", day))
    return folder / name


def entries(context: SeasonContext) -> list[ledger.LedgerEntry]:
    with context.connect() as connection:
        return ledger.read_acquisitions(connection, **context.key)


def observed(context: SeasonContext) -> dict[tuple[str | None, str], Any]:
    """The rows of each observation file, by tile and day."""
    return {
        (entry.tile, str(entry.acquisition.day)): context.store.read_table(entry.object_name or "").to_pylist()
        for entry in entries(context)
        if entry.status == AcquisitionStatus.OBSERVED
    }


def test_a_season_from_a_folder_of_products(environment: None, tiny_inputs: Path, tmp_path: Path) -> None:
    stac = open_context(tiny_inputs, tmp_path, agency="stac")
    observe_everything(stac)
    folder = tmp_path / "products"
    products = [as_product(path, folder) for path in sorted((tiny_inputs / "scenes").rglob("S2*_L2A.json"))]
    zip_product(products[0], folder / f"{products[0].stem}.zip", compression=zipfile.ZIP_DEFLATED)
    (products[0] / "MTD_MSIL2A.xml").unlink()  # the zip file stands in for it
    cut_off = zip_product(products[1], folder / f"{products[1].stem}.SAFE.zip")
    shutil.rmtree(products[1])
    whole = cut_off.read_bytes()
    cut_off.write_bytes(whole[: len(whole) // 2])
    make_level_1c(folder)
    (folder / "broken.zip").write_bytes(b"PK\x03\x04 cut off")
    section = {"catalog": str(folder), "window": WINDOW}
    context = open_context(tiny_inputs, tmp_path, agency="safe", acquisitions=section)
    check_inputs(context.agency, season=2018, observing=True)
    observe_everything(context)
    assert {e.item_id: e.reason for e in entries(context)}[products[1].stem] == QuarantineReason.UNREADABLE_FILE
    assert len(observed(context)) == len(observed(stac)) - 1
    cut_off.write_bytes(whole)
    observe_everything(context)
    assert len(observed(stac)) >= 4
    assert observed(context) == observed(stac)
    aside = {entry.item_id: entry.reason for entry in entries(context) if entry.reason}
    assert aside.pop("broken") == QuarantineReason.UNREADABLE_FILE
    assert aside.pop("S2A_MSIL1C_20180607T110621_N0500_R137_T30UVU_20230806T120000") == "UNSUPPORTED_FORMAT"
    assert set(aside.values()) <= {"SUPERSEDED"}
    assert sorted(aside.values()) == sorted(str(entry.reason) for entry in entries(stac) if entry.reason)
    assert {e.status for e in entries(context)} == {AcquisitionStatus.OBSERVED, AcquisitionStatus.QUARANTINED}


def test_a_folder_of_level_1c_alone_says_so(environment: None, tiny_inputs: Path, tmp_path: Path) -> None:
    make_level_1c(tmp_path / "products")
    section = {"catalog": str(tmp_path / "products"), "window": WINDOW}
    context = open_context(tiny_inputs, tmp_path, agency="level1c", acquisitions=section)
    with pytest.raises(CatalogError, match=r"UNSUPPORTED_FORMAT 1; .*Level-1C"):
        observe_everything(context)
