"""A file that points elsewhere is refused, or read without what it points at: no other file, no host."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from cropmap.cli import run
from cropmap.errors import CropmapError
from cropmap.sources.declarations.inspection import inspect_file
from cropmap.sources.declarations.profiles import Profile
from cropmap.sources.declarations.reading import read_declarations
from cropmap.sources.files.drivers import VECTOR_DRIVERS, pyogrio
from cropmap.sources.findings import read_findings_file
from cropmap.sources.regions import read_regions
from tests.data.make_hostile import SECRET, Host, canary, gml, listening, make_hostile
from tests.data.make_sources_declarations import make_frame, make_legend, square

LEGEND = make_legend("056")
SOURCES = Path(__file__).parents[2] / "cropmap"


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """No proxy setting keeps anybody from it."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with listening() as found:
        yield found


def test_only_drivers_that_hold_their_own_data_are_left() -> None:
    assert set(pyogrio.list_drivers()) - {"MEM", "Memory"} <= VECTOR_DRIVERS
    assert {"GPKG", "ESRI Shapefile", "GeoJSON", "TopoJSON", "GML", "FlatGeobuf", "OpenFileGDB"} <= set(
        pyogrio.list_drivers()
    )


def test_whoever_reads_vector_files_goes_through_the_confined_drivers() -> None:
    """Writers may import pyogrio; what reads takes it from `drivers`, which confines it first."""
    reading = re.compile(r"pyogrio\.(raw\.)?(read|list_layers|open_arrow|vsi)|(gpd|geopandas)\.(read_file|list_layers)")
    bare = re.compile(r"^(import pyogrio|from pyogrio import)", re.MULTILINE)
    wrong = [
        path.name
        for path in SOURCES.rglob("*.py")
        if path.name != "drivers.py" and reading.search(text := path.read_text()) and bare.search(text)
    ]
    assert not wrong


@pytest.mark.slow
def test_no_file_reads_another_or_calls_a_host(tmp_path: Path, host: Host) -> None:
    folder = tmp_path / "delivered"
    folder.mkdir()
    file = canary(tmp_path)
    for path in make_hostile(folder, file, host.url):
        said = []
        for crs in (None, "EPSG:4326"):
            with contextlib.suppress(CropmapError):
                profile = Profile(columns={"parcel_id": "id", "crop_code": "code"}, crs=crs)
                found = read_declarations(path, legend=LEGEND, profile=profile)
                said.append(found.accepted.to_csv() + found.rejected.to_csv())
        with contextlib.suppress(CropmapError):
            said.append(str(inspect_file(path, legends=[LEGEND])))
        with contextlib.suppress(CropmapError):
            said.append(str(read_regions(path, nuts_version=2024, codes=["FR"]).table))
        with contextlib.suppress(CropmapError):
            said.append(read_findings_file(path).to_csv())
        assert not any(SECRET in text for text in said), f"{path.name} read another file"
        assert not host.calls, f"{path.name} called a host"
    outside = [path.name for path in tmp_path.iterdir()]
    assert sorted(outside) == ["canary.geojson", "delivered"], "nothing was written outside"


def test_the_host_would_have_been_called(host: Host) -> None:
    """The canary works: it notes a caller."""
    with socket.create_connection(("127.0.0.1", int(host.url.rsplit(":", 1)[1]))) as caller:
        caller.sendall(b"GET /x HTTP/1.1\r\n\r\n")
        caller.recv(100)
    assert host.calls == [b"GET /x HTTP/1.1"]


@pytest.mark.parametrize(
    "path",
    ["/vsicurl/{}/a.geojson", "/vsicurl_streaming/{}/a.geojson", "{}/a.geojson", "/vsizip//vsicurl/{}/a.zip", "WFS:{}"],
)
def test_gdal_itself_calls_nobody(host: Host, path: str) -> None:
    with pytest.raises(RuntimeError):
        pyogrio.read_info(path.format(host.url))
    assert not host.calls


@pytest.mark.shared_data
@pytest.mark.parametrize("case", ["02-vrt-in-gpkg-reads-files", "03-declarations-ssrf"])
@pytest.mark.slow
def test_hostile_cases_through_every_command(
    tmp_path: Path,
    shared_data: Path,
    host: Host,
    case: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Refused in one line by inspect, survey and quality; the canaries stay unread."""
    monkeypatch.setenv("CROPMAP_HOME", str(tmp_path / "home"))
    secret = tmp_path / "home" / "postgres.pgpass"
    secret.parent.mkdir()
    secret.write_text(f"{SECRET}\n")
    for path in (shared_data / "cases" / "security" / case).iterdir():
        if path.suffix in (".py", ".yaml") or not path.is_file():
            continue
        copy = tmp_path / path.name
        shutil.copy(path, copy)
        if path.suffix != ".zip":
            text = path.read_text().replace("@SCRATCH@/home/postgres.pgpass", str(secret))
            copy.write_text(text.replace("http://127.0.0.1:9977", host.url))
        agency = tmp_path / "agency.yaml"
        agency.write_text(
            f"agency: hostile\nlegend: fr_breizhcrops13\n"
            f"regions: {{nuts_version: 2024, boundaries: {tmp_path}/nuts.geojson, codes: [FRH0]}}\n"
            f"declarations: {{path: {copy}, columns: {{parcel_id: parcel_id, crop_code: crop_code}}}}\n"
        )
        (tmp_path / "sources.csv").write_text(f"authority,path\nA,{copy.name}\n")
        assert run(["declarations", "inspect", str(copy)]) == 2
        assert run(["declarations", "quality", str(agency), "--season", "2024", "--out", str(tmp_path / "o")]) == 2
        assert run(["declarations", "survey", str(tmp_path / "sources.csv"), "--json"]) == 0
        out, err = capsys.readouterr()
        assert "rows" not in json.loads(out)["sources"][0]
        assert SECRET not in out + err
        assert len([line for line in err.splitlines() if line.startswith("error: ")]) == 2
        assert not host.calls, f"{path.name} called a host"


@pytest.mark.slow
def test_a_table_that_refers_to_others_is_refused_in_one_line(tmp_path: Path) -> None:
    make_frame([("P1", "056", square(0))], "id", "code").to_file(tmp_path / "d.tab", driver="MapInfo File")
    profile = Profile(columns={"parcel_id": "id", "crop_code": "code"}, crs="EPSG:3035")
    (tmp_path / "v.tab").write_text('!table\nOpen Table "d"\nCreate View v As Select * From d\n')
    with pytest.raises(CropmapError, match=r"v\.tab: refers to other tables.*Save the parcels themselves"):
        read_declarations(tmp_path / "v.tab", legend=LEGEND, profile=profile)
    plain = profile.model_copy(update={"crs": None})
    assert len(read_declarations(tmp_path / "d.tab", legend=LEGEND, profile=plain).accepted) == 1


@pytest.mark.slow
def test_a_database_with_a_table_from_elsewhere_is_refused_and_its_own_indexes_are_not(tmp_path: Path) -> None:
    """Even the names of columns would be another file's first line."""
    folder = tmp_path / "delivered"
    folder.mkdir()
    (tmp_path / "passwords.csv").write_text(f"{SECRET},x\n")
    profile = Profile(columns={"parcel_id": "id", "crop_code": "code"})
    for path in make_hostile(folder, tmp_path / "passwords.csv", "http://127.0.0.1:9"):
        if path.name.startswith("virtual-"):
            for read in (
                lambda p=path: read_declarations(p, legend=LEGEND, profile=profile),
                lambda p=path: inspect_file(p, legends=[LEGEND]),
            ):
                with pytest.raises(CropmapError, match="a table that is read from elsewhere") as caught:
                    read()
                assert SECRET not in str(caught.value)
    frame = make_frame([("P1", "056", square(0))], "id", "code")
    for name, options in (("indexed.gpkg", {}), ("spatialite.sqlite", {"SPATIALITE": "YES"})):
        frame.to_file(tmp_path / name, driver="GPKG" if name.endswith("gpkg") else "SQLite", **options)
        assert len(read_declarations(tmp_path / name, legend=LEGEND, profile=profile).accepted) == 1


def test_a_part_that_is_a_link_elsewhere_is_refused_and_one_beside_it_is_not(tmp_path: Path) -> None:
    profile = Profile(columns={"parcel_id": "id", "crop_code": "code"})
    frame = make_frame([("P1", "056", square(0))], "id", "code")
    (tmp_path / "true").mkdir()
    frame.to_file(tmp_path / "true" / "d.shp")
    for each in (tmp_path / "true").iterdir():
        (tmp_path / each.name).symlink_to(each)
    assert len(read_declarations(tmp_path / "d.shp", legend=LEGEND, profile=profile).accepted) == 1, "all of one folder"
    (tmp_path / "d.shp").unlink()
    shutil.copy(tmp_path / "true" / "d.shp", tmp_path / "d.shp")
    with pytest.raises(
        CropmapError, match=r"d\.shp: its part 'd\.\w+' is a link to another folder. Put the file itself"
    ):
        read_declarations(tmp_path / "d.shp", legend=LEGEND, profile=profile)


@pytest.mark.parametrize("name", ["d.gml", "d.gpkg", "NUTS_RG_01M_2024_4326.gml"])
def test_nothing_is_left_beside_a_file(tmp_path: Path, name: str) -> None:
    """GDAL would write a .gfs beside GML, whatever its ending is, and believe one that lies there."""
    (tmp_path / name).write_text(gml())
    for read in (
        lambda: read_declarations(
            tmp_path / name, legend=LEGEND, profile=Profile(columns={"parcel_id": "id", "crop_code": "code"})
        ),
        lambda: read_regions(tmp_path / name, nuts_version=2024, codes=["FR"]),
        lambda: read_findings_file(tmp_path / name),
    ):
        with contextlib.suppress(CropmapError):
            read()
    assert [each.name for each in tmp_path.iterdir()] == [name]
