"""A file that nobody prepared for: what is said of it, and that the proposed profile reads it."""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path
from typing import Any

import geopandas as gpd
import pytest
import shapely
import yaml

from cropmap.errors import DeclarationFileError
from cropmap.legends import Legend, LegendEntry
from cropmap.sources.declarations.inspection import Inspection, inspect_file
from cropmap.sources.declarations.profiles import Profile
from cropmap.sources.declarations.reading import own_codes, read_declarations
from tests.data.make_sources_declarations import bow_tie, make_frame, square, write_csv

CROPS = {
    "0110": "Talinisu",
    "0120": "Suvinisu",
    "0210": "Talirukis",
    "0330": "Põldhein",
    "0410": "Püsirohumaa",
    "0515": "Üheaastane",
    "0600": "Kartul",
    "0710": "Raps",
    "0805": "Uba",
}
LEGEND = Legend("ee", tuple(LegendEntry(c.lstrip("0"), name, None, None, "") for c, name in CROPS.items()), "0")


def estonia(*, rows: int = 45) -> gpd.GeoDataFrame:
    """Squares of 0.5 to 1.4 ha: code and name of the crop, a year, a municipality, a use without meaning."""
    codes = [list(CROPS)[i % 9] for i in range(rows)]
    shapes = [square(i % 9, i // 9, width_m=50 + 10 * (i % 10)) for i in range(rows)]
    return gpd.GeoDataFrame(
        {
            "põllu_id": [f"EE{i:04d}" for i in range(rows)],
            "aasta": "2024",
            "vald": [f"vald {i % 3}" for i in range(rows)],
            "taotletud_kultuuri_kood": codes,
            "taotletud_kultuur": [CROPS[code] for code in codes],
            "pindala_ha": [round(shape.area / 1e4, 2) for shape in shapes],
            "niidetud": [str(i % 2) for i in range(rows)],
        },
        geometry=shapes,
        crs=3035,
    )


def look(path: Path, **given: Any) -> Inspection:
    return inspect_file(path, **{"legends": [LEGEND], **given})


def best(found: Inspection) -> dict[str, str | None]:
    return {role: each[0].column if each else None for role, each in found.candidates.items()}


EXPECTED = {
    "parcel_id": "põllu_id",
    "crop_code": "taotletud_kultuuri_kood",
    "crop_name": "taotletud_kultuur",
    "area": "pindala_ha",
    "holding_id": None,
}


def write_geodatabase_zip(frame: gpd.GeoDataFrame, path: Path) -> None:
    folder = path.with_name("pollud.gdb")
    frame.to_file(folder, driver="OpenFileGDB")
    with zipfile.ZipFile(path, "w") as archive:
        for part in sorted(folder.iterdir()):
            archive.write(part, f"Põllud 2024/avaandmed/pollud.gdb/{part.name}")


def write_without_ending(frame: gpd.GeoDataFrame, path: Path) -> None:
    frame.to_file(path.with_suffix(".gpkg"))
    path.with_suffix(".gpkg").rename(path)


FORMATS = {
    "pollud.geojson": lambda frame, path: frame.to_file(path),
    "pollud_without_ending": write_without_ending,
    "pollud.parquet": lambda frame, path: frame.assign(tags=[["a"]] * len(frame)).to_parquet(path),
    "pollud.zip": write_geodatabase_zip,
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_country_never_seen_gets_a_profile_that_reads_its_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    FORMATS[name](estonia(), path)
    found = look(path)
    assert best(found) == EXPECTED
    assert (found.rows, found.crs, found.invalid, found.known_as, found.notes) == (45, "EPSG:3035", 0, None, ())
    profile = Profile.model_validate(yaml.safe_load(found.proposal))
    assert len(found.proposal.splitlines()) <= 12
    read = read_declarations(path, legend=LEGEND, profile=profile)
    assert len(read.accepted) == 45
    assert read.codes.rows == {"leading zeros": 45}


def test_csv_without_crs_and_in_another_encoding(tmp_path: Path) -> None:
    frame = estonia()
    lines = [
        "põllu_id;kultuur;wkt",
        *(f"{row[0]};{row[4]};{row.geometry.wkt}" for row in frame.itertuples(index=False)),
    ]
    found = look(write_csv(tmp_path / "d.csv", lines, encoding="cp1252"))
    assert best(found)["crop_name"] == "kultuur"
    assert found.crs is None
    header, no_crs = found.notes[0], found.notes[1]
    assert header == "the header is not UTF-8; read as CP1252"
    assert no_crs.startswith("no CRS: set crs, or --crs here; coordinates 3.34e+06 2.79e+06 to ")
    assert "encoding: CP1252" in found.proposal
    assert "# crs: EPSG:…" in found.proposal
    given = look(tmp_path / "d.csv", crs="EPSG:3035")
    assert (given.crs, given.notes) == ("EPSG:3035", ("the header is not UTF-8; read as CP1252",))
    assert yaml.safe_load(given.proposal)["crs"] == "EPSG:3035"


def test_degrees_without_a_crs_are_recognised(tmp_path: Path) -> None:
    frame = estonia().to_crs(4326)
    lines = [
        "põllu_id,kultuur,pindala,wkt",
        *(f'{r[0]},{r[4]},{r[5]},"{r.geometry.wkt}"' for r in frame.itertuples(index=False)),
    ]
    found = look(write_csv(tmp_path / "d.csv", lines))
    assert "they look like degrees (EPSG:4326)" in found.notes[0]
    assert best(found)["area"] == "pindala"


def test_square_metres_are_told_from_hectares(tmp_path: Path) -> None:
    frame = estonia()
    frame.assign(pindala_ha=frame.area.round(1)).to_file(tmp_path / "d.gpkg")
    found = look(tmp_path / "d.gpkg")
    assert [(c.column, c.unit) for c in found.candidates["area"]] == [("pindala_ha", "m2")]
    assert yaml.safe_load(found.proposal)["area_unit"] == "m2"


def test_two_columns_that_are_unique_together(tmp_path: Path) -> None:
    frame = estonia().drop(columns="põllu_id")
    frame["massiiv_id"], frame["parcel"] = [i // 5 for i in range(45)], [i % 5 for i in range(45)]
    frame.to_file(tmp_path / "d.gpkg")
    column = best(look(tmp_path / "d.gpkg"))["parcel_id"]
    assert column in ("massiiv_id+parcel", "parcel+massiiv_id")


def test_the_layer_with_crops_is_looked_into(tmp_path: Path) -> None:
    path = tmp_path / "d.gpkg"
    make_frame([(str(i), f"vald {i}", square(i)) for i in range(60)], "id", "nimi").to_file(
        path, layer="municipalities"
    )
    estonia().to_file(path, layer="fields_2024")
    found = look(path)
    assert [layer.name for layer in found.layers] == ["municipalities", "fields_2024"]
    assert found.layer.name == "fields_2024"
    assert yaml.safe_load(found.proposal)["layer"] == "fields_*"


def test_geometry_is_counted(tmp_path: Path) -> None:
    frame = estonia()
    frame.loc[0, "geometry"], frame.loc[1, "geometry"] = None, bow_tie(1)
    frame.loc[2, "geometry"] = shapely.Point(3_340_000, 2_790_000)
    frame.to_file(tmp_path / "d.gpkg")
    found = look(tmp_path / "d.gpkg")
    assert (found.without_geometry, found.invalid, found.not_polygons) == (1, 1, 1)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("d.bin", b"\x00\x01rubbish", "GDAL cannot read it"),
        ("d.txt", b"hello world\n", "no layer has rows and geometry"),
        ("d.csv", b"id,crop\n1,wheat\n", r"no layer has rows and geometry.*d \(1 rows, no geometry\)"),
        ("d.zip", b"PK\x03\x04 broken", "the archive cannot be unpacked"),
        ("d.7z", b"7z\xbc\xaf\x27\x1c broken", "the archive cannot be unpacked"),
        ("d.json", b'{"a": 1}', "GDAL cannot read it"),
        ("empty", b"", "GDAL cannot read it"),
    ],
)
def test_rubbish_is_one_line(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DeclarationFileError, match=said) as caught:
        look(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2
    assert str(caught.value).startswith(str(tmp_path / name))


@pytest.mark.shared_data
@pytest.mark.slow
def test_native_files_propose_what_their_profiles_say(shared_data: Path) -> None:
    """Without a code list: the columns of crop and area of every authority; and each file is recognised."""
    with (shared_data / "declarations/sources.csv").open(encoding="utf-8") as file:
        sources = list(csv.DictReader(file))
    wrong = set()
    for source in sources:
        found = look(shared_data / "declarations" / source["path"], legends=[Legend.read("fr_breizhcrops13")])
        assert found.known_as
        profile = Profile.read(found.known_as)
        proposed = Profile.model_validate(yaml.safe_load(found.proposal))
        for role in ("crop_code", "crop_name", "area"):
            if proposed.columns.get(role) != profile.columns.get(role):
                wrong.add((source["authority"], role))
        assert proposed.area_unit == profile.area_unit
        assert len(own_codes(shared_data / "declarations" / source["path"], profile).entries) > 1
    assert wrong == {("SE", "area")}, "ten rows in which applied and decided areas are the same"
