"""Mutated tables, profiles and boundary files: nothing but our own errors comes out, each of one line. Seeded."""

from __future__ import annotations

import json
import random
import warnings
from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import openpyxl
import pytest

from cropmap.agency import Agency
from cropmap.errors import CropmapError
from cropmap.legends import Legend
from cropmap.legends.code_lists import read_code_list
from cropmap.sources.findings import check_findings, read_findings_file
from cropmap.sources.profiles import Profile
from cropmap.sources.regions import assign_regions, read_regions
from cropmap.stages.pairs import read_pairs
from tests.data.make_sources_declarations import make_frame, make_legend, square
from tests.fuzzing import inputs
from tests.sources.test_regions import make_regions

TRICKS = [
    b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b'"', b"'", b",", b";", b"\t", b"\n", b"\r", b"\xe9", b"nan", b"1e999",
    b"0000-01-01", b"[" * 60, b"{" * 60, b"&a [*a]", b": ", b"- ", b"\x0b", b"\xc2\x85", b"9" * 400, b"#",
    b"!!python/none x",
]  # fmt: skip
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


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Cut, doubled, overwritten, spiked."""
    for _ in range(chance.randint(1, 4)):
        at, to = sorted(chance.randint(0, len(data)) for _ in range(2))
        data = chance.choice([
            lambda d, a, b: d[:a] + d[b:], lambda d, a, b: d[:b] + d[a:b] + d[b:], lambda d, a, _: d[:a],
            lambda d, a, _: d[:a] + bytes([chance.randrange(256)]) + d[a + 1 :],
            lambda d, a, _: d[:a] + chance.choice(TRICKS) + d[a:],
        ])(data, at, to)  # fmt: skip
    return data


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


def survives(read: Callable[[Path], object], path: Path, seed: object) -> None:
    """Whatever is not ours fails the test by itself."""
    said = ""
    try:
        read(path)
    except CropmapError as error:
        said = str(error)
    assert len(said.splitlines()) <= 1, (seed, said)


@pytest.mark.parametrize("reader", READERS)
def test_only_errors_of_ours_come_out_of_tables(tmp_path: Path, reader: str) -> None:
    name, seed_data, read = READERS[reader]
    for seed in range(inputs("tables", len(READERS))):
        chance = random.Random(f"{reader} {seed}")  # noqa: S311  not for secrets
        (tmp_path / name).write_bytes(mutated(seed_data, chance))
        survives(read, tmp_path / name, (reader, seed))


def test_only_errors_of_ours_come_out_of_workbooks(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in FINDINGS.decode().splitlines():
        book.active.append(row.split(","))
    book.save(tmp_path / "whole.xlsx")
    whole = (tmp_path / "whole.xlsx").read_bytes()
    for seed in range(inputs("workbooks")):
        chance = random.Random(f"workbook {seed}")  # noqa: S311
        (tmp_path / "t.xlsx").write_bytes(mutated(whole, chance))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of openpyxl, on parts it does not know
            survives(_findings, tmp_path / "t.xlsx", seed)


@pytest.mark.parametrize("name", ["t.geojson", "t.gpkg"])
def test_only_errors_of_ours_come_out_of_boundaries(tmp_path: Path, name: str) -> None:
    source = make_regions(tmp_path / "whole.gpkg")
    frame = gpd.read_file(source).to_crs(4326)
    whole = source.read_bytes() if name.endswith("gpkg") else json.dumps(json.loads(frame.to_json())).encode()
    for seed in range(inputs("boundaries", 2)):
        chance = random.Random(f"{name} {seed}")  # noqa: S311
        (tmp_path / name).write_bytes(mutated(whole, chance))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of GDAL, on files it half understands
            survives(_regions, tmp_path / name, (name, seed))
