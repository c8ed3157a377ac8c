"""Mutated tables, profiles and boundary files: nothing but our own errors comes out, each of one line. Seeded."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import openpyxl
import pytest

from cropmap.agency import Agency
from cropmap.legends import Legend
from cropmap.legends.code_lists import read_code_list
from cropmap.sources.declarations.profiles import Profile
from cropmap.sources.findings import check_findings, read_findings_file
from cropmap.sources.pairs import read_pairs
from cropmap.sources.regions import assign_regions, read_regions
from tests.data.make_sources_declarations import make_frame, make_legend, square
from tests.fuzzing import chances, inputs, mutated_bytes, mutated_text, survives
from tests.sources.test_regions import make_regions

LEGEND = b"crop_code,crop_name,crop,eurostat_code,inseparable_group\n056,Maize,maize,C1500,\nBTH,Wheat,wheat,C1110,x\n"
CODES = b"original_code,original_name,HCAT3_name,HCAT3_code\n1,Barley,barley,3301010400\n2,Maize,maize,3301010600\n"
FOLDS = b"parcel_id;fold\n007;a\n008;b\n"
FINDINGS = (
    b"campaign,parcel_id,finding,found_crop_code,reviewed_at\nc1,007,wrong,BTH,2018-07-31\nc1,7,right,,31.07.2018\n"
)
PROFILE = (
    b"title: t\nfiles: [a*]\nlayer: x*\ncolumns: {crop_code: c, parcel_id: a+b}\n"
    b"exclude: {kind: [1, x]}\ncode_pattern: '(\\d+)'\n"
)
AGENCY = (
    b"agency: a\nregions: {nuts_version: 2024, boundaries: b.gpkg, codes: [FRH0]}\nlegend: l.csv\n"
    b"declarations: {path: d.gpkg, columns: {parcel_id: a, crop_code: b}}\n"
    b"acquisitions: {window: ['{season}-01-01', '{season}-12-31']}\n"
)


def _findings(path: Path) -> object:
    drawn = {"c1": {"007": "056", "7": "BTH"}}
    return check_findings(read_findings_file(path), drawn=drawn, parcels=frozenset({"007"}), legend=make_legend("056"))


def _regions(path: Path) -> object:
    found = read_regions(path, nuts_version=2024, codes=["FRH0"])
    return assign_regions(make_frame([("a", square(0))], "id"), found)


READERS: dict[str, tuple[str, bytes, Callable[[Path], object]]] = {
    "legend": ("t.csv", LEGEND, lambda path: Legend.read(path.name, base=path.parent)),
    "code list": ("t.csv", CODES, read_code_list),
    "folds": ("t.csv", FOLDS, lambda path: read_pairs(path, value="fold", where="x")),
    "findings": ("t.csv", FINDINGS, _findings),
    "profile": ("t.yaml", PROFILE, lambda path: Profile.read(path.name, base=path.parent)),
    "agency file": ("t.yaml", AGENCY, Agency.read),
}


@pytest.mark.parametrize("reader", READERS)
def test_only_errors_of_ours_come_out_of_tables(tmp_path: Path, reader: str) -> None:
    name, whole, read = READERS[reader]
    path = tmp_path / name
    for seed, chance in chances(reader, inputs("tables", len(READERS))):
        path.write_bytes(mutated_text(whole, chance))
        survives(lambda: read(path), (reader, seed), names=name, heeding_warnings=True)


def test_only_errors_of_ours_come_out_of_workbooks(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in FINDINGS.decode().splitlines():
        book.active.append(row.split(","))
    book.save(tmp_path / "whole.xlsx")
    whole, path = (tmp_path / "whole.xlsx").read_bytes(), tmp_path / "t.xlsx"
    for seed, chance in chances("workbook", inputs("workbooks")):
        path.write_bytes(mutated_text(whole, chance))
        survives(lambda: _findings(path), seed, names=path)


BOUNDARIES = ("t.geojson", "t.gpkg", "t.shp", "t.parquet", "t.topojson", "t.zip", "nested.zip")


def boundary_files(folder: Path) -> dict[str, bytes]:
    """Name -> content of the same regions in every container that they come in."""
    source = make_regions(folder / "whole.gpkg")
    frame = gpd.read_file(source).to_crs(4326)
    frame.to_file(folder / "NUTS_RG.shp")
    frame.to_parquet(folder / "whole.parquet")
    parts = [each for each in sorted(folder.iterdir()) if each.stem == "NUTS_RG"]
    inner, outer = folder / "inner.zip", folder / "outer.zip"
    for target, members in ((inner, parts), (outer, [inner])):
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for member in members:
                archive.write(member, member.name)
    topology = {
        "type": "Topology",
        "arcs": [[[-3.0, 48.0], [-2.0, 48.0], [-2.0, 48.5], [-3.0, 48.5], [-3.0, 48.0]]],
        "objects": {
            "nuts": {
                "type": "GeometryCollection",
                "geometries": [
                    {
                        "type": "Polygon",
                        "arcs": [[0]],
                        "properties": {"NUTS_ID": "FRH01", "LEVL_CODE": 3, "NAME_LATN": "x"},
                    }
                ],
            }
        },
    }
    return {
        "t.geojson": json.dumps(json.loads(frame.to_json())).encode(),
        "t.gpkg": source.read_bytes(),
        "t.parquet": (folder / "whole.parquet").read_bytes(),
        "t.zip": inner.read_bytes(),
        "nested.zip": outer.read_bytes(),
        "t.topojson": json.dumps(topology).encode(),
        **{f"t{part.suffix}": part.read_bytes() for part in parts},
    }


@pytest.mark.parametrize("name", BOUNDARIES)
@pytest.mark.slow
def test_only_errors_of_ours_come_out_of_boundaries(tmp_path: Path, name: str) -> None:
    files, path = boundary_files(tmp_path), tmp_path / "in" / name
    path.parent.mkdir()
    shapefile = {each for each in files if each.rpartition(".")[2] in ("shp", "shx", "dbf", "prj", "cpg")}
    whole = {each: files[each] for each in (sorted(shapefile) if name == "t.shp" else [name])}
    mutated = mutated_text if name.endswith("json") else mutated_bytes
    for each, data in whole.items():
        path.with_name(each).write_bytes(data)
    assert _regions(path) is not None
    for seed, chance in chances(name, inputs("boundaries", len(BOUNDARIES))):
        damaged = chance.choice([*whole])
        for each, data in whole.items():
            path.with_name(each).write_bytes(mutated(data, chance) if each == damaged else data)
        survives(lambda: _regions(path), (name, seed, damaged), names=path)
