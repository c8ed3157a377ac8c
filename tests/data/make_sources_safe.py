"""A .SAFE product folder as ESA lays it out: its two metadata documents, and its band files, empty or JPEG 2000.

The documents have the elements, the order and the namespaces of real ones (baseline 04.00), without what no reader of
ours needs.
"""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.transform import Affine

from cropmap.schemas import BANDS, RESOLUTION_M
from tests.data.make_scenes import EPSG, NORTH, WEST

PHYSICAL = ("B1", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B10", "B11", "B12")
"""ESA's band ids 0 to 12"""
TILE = "30UVU"
GRANULE = f"GRANULE/L2A_T{TILE}_A015450_20180607T110835"
OFFSETS = dict.fromkeys(range(13), -1000)
GENERATED = "20230806T120000"
SCHEMA = "https://psd-14.sentinel2.eo.esa.int/PSD"


def make_safe(
    folder: Path,
    *,
    baseline: str = "05.00",
    offsets: Mapping[int, int] | None = None,
    without: Collection[str] = (),
    bands: Mapping[str, np.ndarray[Any, Any]] | None = None,
    generated: str = GENERATED,
    day: str = "20180607",
    footprint: Sequence[float] = (-3.2, 47.8, -3.0, 48.0),
) -> Path:
    """`offsets` by band id; files of the bands in `without` are listed and missing. `bands` are the digital numbers of
    each file, which is empty without them; `footprint` is west, south, east, north."""
    name = f"S2A_MSIL2A_{day}T110621_N{baseline.replace('.', '')}_R137_T{TILE}_{generated}.SAFE"
    images = {band: f"{GRANULE}/{image_path(band, day)}" for band in (*BANDS, "SCL")}
    for band, image in images.items():
        path = folder / name / f"{image}.jp2"
        path.parent.mkdir(parents=True, exist_ok=True)
        if band not in without and bands is None:
            path.touch()
        elif band not in without and bands is not None:
            write_jp2(path, bands[band], pixel_m=RESOLUTION_M[band])
    strip = f"S2A_OPER_MSI_L2A_DS_EPAE_{generated}_S{day}T110835_N{baseline}"
    granule = f"S2A_OPER_MSI_L2A_TL_EPAE_{generated}_A015450_T{TILE}_N{baseline}"
    (folder / name / "MTD_MSIL2A.xml").write_text(
        product_document(
            name, baseline, list(images.values()), offsets or {}, strip, granule, generated, day, footprint
        )
    )
    (folder / name / GRANULE / "MTD_TL.xml").write_text(tile_document(strip, granule, day))
    return folder / name


def image_path(band: str, day: str) -> str:
    metres = RESOLUTION_M[band]
    return f"IMG_DATA/R{metres}m/T{TILE}_{day}T110621_{band}_{metres}m"


def product_document(
    name: str,
    baseline: str,
    images: Sequence[str],
    offsets: Mapping[int, int],
    strip: str,
    granule: str,
    generated: str,
    day: str,
    footprint: Sequence[float],
) -> str:
    west, south, east, north = footprint
    corners = ((north, west), (north, east), (south, east), (south, west), (north, west))
    added = "".join(f'<BOA_ADD_OFFSET band_id="{i}">{value}</BOA_ADD_OFFSET>' for i, value in offsets.items())
    spectral = "".join(
        f'<Spectral_Information bandId="{i}" physicalBand="{band}"><RESOLUTION>10</RESOLUTION></Spectral_Information>'
        for i, band in enumerate(PHYSICAL)
    )
    return f"""<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:Level-2A_User_Product xmlns:n1="{SCHEMA}/User_Product_Level-2A.xsd">
  <n1:General_Info>
    <Product_Info>
      <PRODUCT_START_TIME>{iso(day)}T11:06:21.024Z</PRODUCT_START_TIME>
      <PRODUCT_URI>{name}</PRODUCT_URI>
      <PROCESSING_LEVEL>Level-2A</PROCESSING_LEVEL>
      <PROCESSING_BASELINE>{baseline}</PROCESSING_BASELINE>
      <GENERATION_TIME>{iso(generated)}T12:00:00.000000Z</GENERATION_TIME>
      <Datatake datatakeIdentifier="GS2A_{day}T110621_015450_N{baseline}">
        <SPACECRAFT_NAME>Sentinel-2A</SPACECRAFT_NAME>
        <SENSING_ORBIT_NUMBER>137</SENSING_ORBIT_NUMBER>
      </Datatake>
      <Product_Organisation><Granule_List>
        <Granule datastripIdentifier="{strip}" granuleIdentifier="{granule}" imageFormat="JPEG2000">
          {"".join(f"<IMAGE_FILE>{image}</IMAGE_FILE>" for image in images)}
        </Granule>
      </Granule_List></Product_Organisation>
    </Product_Info>
    <Product_Image_Characteristics>
      <QUANTIFICATION_VALUES_LIST>
        <BOA_QUANTIFICATION_VALUE unit="none">10000</BOA_QUANTIFICATION_VALUE>
        <AOT_QUANTIFICATION_VALUE unit="none">1000.0</AOT_QUANTIFICATION_VALUE>
      </QUANTIFICATION_VALUES_LIST>
      {f"<BOA_ADD_OFFSET_VALUES_LIST>{added}</BOA_ADD_OFFSET_VALUES_LIST>" if added else ""}
      <Spectral_Information_List>{spectral}</Spectral_Information_List>
    </Product_Image_Characteristics>
  </n1:General_Info>
  <n1:Geometric_Info><Product_Footprint><Product_Footprint><Global_Footprint>
    <EXT_POS_LIST>{" ".join(f"{y} {x}" for y, x in corners)} </EXT_POS_LIST>
  </Global_Footprint></Product_Footprint></Product_Footprint></n1:Geometric_Info>
  <n1:Quality_Indicators_Info>
    <Cloud_Coverage_Assessment>12.5</Cloud_Coverage_Assessment>
  </n1:Quality_Indicators_Info>
</n1:Level-2A_User_Product>
"""


def tile_document(strip: str, granule: str, day: str) -> str:
    return f"""<?xml version="1.0" encoding="UTF-8" standalone="no"?>
<n1:Level-2A_Tile_ID xmlns:n1="{SCHEMA}/S2_PDI_Level-2A_Tile_Metadata.xsd">
  <n1:General_Info>
    <TILE_ID metadataLevel="Brief">{granule}</TILE_ID>
    <DATASTRIP_ID metadataLevel="Standard">{strip}</DATASTRIP_ID>
    <SENSING_TIME metadataLevel="Standard">{iso(day)}T11:08:35.460Z</SENSING_TIME>
  </n1:General_Info>
  <n1:Geometric_Info><Tile_Geocoding metadataLevel="Brief">
    <HORIZONTAL_CS_NAME>WGS84 / UTM zone 30N</HORIZONTAL_CS_NAME>
    <HORIZONTAL_CS_CODE>EPSG:{EPSG}</HORIZONTAL_CS_CODE>
  </Tile_Geocoding></n1:Geometric_Info>
</n1:Level-2A_Tile_ID>
"""


def iso(day: str) -> str:
    return f"{day[:4]}-{day[4:6]}-{day[6:8]}"


def make_level_1c(folder: Path, day: str = "20180607") -> Path:
    product = folder / f"S2A_MSIL1C_{day}T110621_N0500_R137_T{TILE}_{GENERATED}.SAFE"
    product.mkdir(parents=True)
    (product / "MTD_MSIL1C.xml").write_text(f'<n1:Level-1C_User_Product xmlns:n1="{SCHEMA}"/>')
    return product


def write_jp2(path: Path, values: np.ndarray[Any, Any], *, pixel_m: int) -> None:
    """Without loss, so that the digital numbers are read back."""
    with rasterio.open(
        path,
        "w",
        driver="JP2OpenJPEG",
        dtype=values.dtype,
        count=1,
        height=values.shape[0],
        width=values.shape[1],
        crs=f"EPSG:{EPSG}",
        transform=Affine(pixel_m, 0, WEST, 0, -pixel_m, NORTH),
        QUALITY="100",
        REVERSIBLE="YES",
    ) as sink:
        sink.write(values, 1)


def zip_product(
    product: Path, archive: Path, *, compression: int = zipfile.ZIP_STORED, root: str | None = None
) -> Path:
    """The product in a zip file, in a folder of its own name, or in `root`: "" for none."""
    top = f"{product.name}/" if root is None else root
    with zipfile.ZipFile(archive, "w", compression) as sink:
        for file in sorted(product.rglob("*")):
            if file.is_file():
                sink.write(file, f"{top}{file.relative_to(product)}")
    return archive
