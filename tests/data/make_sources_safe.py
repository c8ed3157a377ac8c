"""A .SAFE product folder with the metadata a reader needs and empty band files (the reader opens none)."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from cropmap.schemas import BANDS, RESOLUTION_M

PHYSICAL = ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B10", "B11", "B12")
"""ESA's band ids 0 to 12"""
GRANULE = "GRANULE/L2A_T30UVU_A015450_20180607T110835"


def make_safe(
    folder: Path, *, baseline: str = "05.00", offsets: dict[int, int] | None = None, without: Collection[str] = ()
) -> Path:
    """`offsets` by band id; files of the bands in `without` are listed and missing."""
    name = f"S2A_MSIL2A_20180607T110621_N{baseline.replace('.', '')}_R137_T30UVU_20230806T120000.SAFE"
    images = [
        f"{GRANULE}/IMG_DATA/R{RESOLUTION_M[band]}m/T30UVU_20180607T110621_{band}_{RESOLUTION_M[band]}m"
        for band in (*BANDS, "SCL")
    ]
    for image, band in zip(images, (*BANDS, "SCL"), strict=True):
        path = folder / name / f"{image}.jp2"
        path.parent.mkdir(parents=True, exist_ok=True)
        if band not in without:
            path.touch()
    spectral = "".join(f'<I bandId="{i}" physicalBand="{band}"/>' for i, band in enumerate(PHYSICAL))
    added = "".join(f'<BOA_ADD_OFFSET band_id="{i}">{value}</BOA_ADD_OFFSET>' for i, value in (offsets or {}).items())
    (folder / name / "MTD_MSIL2A.xml").write_text(
        f"<Product><PRODUCT_URI>{name}</PRODUCT_URI><PROCESSING_BASELINE>{baseline}</PROCESSING_BASELINE>"
        "<SPACECRAFT_NAME>Sentinel-2A</SPACECRAFT_NAME><SENSING_ORBIT_NUMBER>137</SENSING_ORBIT_NUMBER>"
        f"{''.join(f'<IMAGE_FILE>{image}</IMAGE_FILE>' for image in images)}"
        f"<BOA_QUANTIFICATION_VALUE>10000</BOA_QUANTIFICATION_VALUE>{added}"
        f"{spectral.replace('<I ', '<Spectral_Information ')}"
        "<EXT_POS_LIST>48.0 -3.2 48.0 -3.0 47.8 -3.0 47.8 -3.2 48.0 -3.2 </EXT_POS_LIST>"
        "<Cloud_Coverage_Assessment>12.5</Cloud_Coverage_Assessment></Product>"
    )
    (folder / name / GRANULE / "MTD_TL.xml").write_text(
        "<Tile><SENSING_TIME>2018-06-07T11:08:35.460Z</SENSING_TIME>"
        "<HORIZONTAL_CS_CODE>EPSG:32630</HORIZONTAL_CS_CODE></Tile>"
    )
    return folder / name
