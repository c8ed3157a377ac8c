"""Files beside a delivery that spoil it, and what a shapefile's .prj says."""

from __future__ import annotations

from pathlib import Path

import pytest

from cropmap.sources.files.sidecars import apart, projection_beside

UTM = "EPSG:32630"


def folder(tmp_path: Path, **files: str | bytes) -> Path:
    """Files named x with these endings."""
    for ending, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        (tmp_path / f"x.{ending}").write_bytes(data)
    return tmp_path


def beside(source: str) -> set[str]:
    return {path.name for path in Path(source).parent.iterdir()}


def test_a_file_that_nothing_spoils_is_opened_where_it_lies(tmp_path: Path) -> None:
    folder(tmp_path, shp="", dbf="", prj=UTM, csv="a")
    for name in ("x.shp", "x.csv", "absent.gml"):
        with apart(str(tmp_path / name)) as source:
            assert source == str(tmp_path / name)


def test_a_projection_that_is_none_is_left_behind(tmp_path: Path) -> None:
    folder(tmp_path, shp="s", dbf="d", shx="i", prj="PROJCS[broken")
    (tmp_path / "y.dbf").write_text("another")
    with apart(str(tmp_path / "x.shp")) as source:
        assert source != str(tmp_path / "x.shp")
        assert Path(source).read_text() == "s"
        assert beside(source) == {"x.shp", "x.dbf", "x.shx"}
    assert not Path(source).parent.exists(), "the links are gone, the files are not"
    assert (tmp_path / "x.prj").exists()


def test_a_gml_lies_apart_with_its_schema_alone(tmp_path: Path) -> None:
    folder(tmp_path, gml="<a/>", xsd="<schema/>", gfs="<GMLFeatureClassList/>")
    with apart(str(tmp_path / "x.gml")) as source:
        assert beside(source) == {"x.gml", "x.xsd"}


@pytest.mark.parametrize(
    ("encoding", "declared", "copied"),
    [
        ("utf-8", "utf-8", False),
        ("iso-8859-1", "ISO-8859-1", False),
        ("windows-1252", "windows-1252", True),  # GDAL does not know it
        ("utf-16", "utf-16", True),
        ("utf-8", "no-such-encoding", False),  # nor does Python: whoever opens it says so
    ],
)
def test_an_encoding_that_gdal_does_not_know_is_translated(
    tmp_path: Path, encoding: str, declared: str, copied: bool
) -> None:
    text = f'<?xml version="1.0" encoding="{declared}"?><a>Épeautre</a>'
    folder(tmp_path, gml=text.encode(encoding))
    with apart(str(tmp_path / "x.gml")) as source:
        data = Path(source).read_bytes()
        if copied:
            assert data.decode() == '<?xml version="1.0" encoding="UTF-8"?><a>Épeautre</a>'
        else:
            assert data == text.encode(encoding)
    assert (tmp_path / "x.gml").read_bytes() == text.encode(encoding)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (UTM, UTM),
        (b"\xef\xbb\xbf" + UTM.encode() + b"\n", UTM),  # a mark in front, a line end behind
        ("PROJCS[broken", None),
        ("", None),
    ],
)
def test_what_the_projection_beside_a_shapefile_says(tmp_path: Path, content: str | bytes, said: str | None) -> None:
    folder(tmp_path, shp="", PRJ=content)
    assert projection_beside(str(tmp_path / "x.shp")) == said
    assert projection_beside(str(tmp_path / "x.gpkg")) is None, "other formats have none beside them"
