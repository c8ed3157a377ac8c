"""A static catalogue of linked documents on disk: which items are those of a collection."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cropmap.errors import CatalogError
from cropmap.sources.catalogs import stac_static
from cropmap.sources.catalogs.places import CatalogAccess, Places
from cropmap.sources.catalogs.stac_documents import UnreadableItem
from cropmap.sources.catalogs.stac_io import BoundedIO
from tests.data.make_sources_catalog import make_item


def write(path: Path, document: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")


def node(name: str, *links: tuple[str, str], kind: str = "Catalog", **fields: Any) -> dict[str, Any]:
    named = [{"rel": relation, "href": href} for relation, href in links]
    return {"type": kind, "id": name, "stac_version": "1.0.0", "links": named} | fields


def found(folder: Path, root: dict[str, Any], *, collection: str = "wanted") -> list[str]:
    """Ids of the items in their order, `!` before the address of what cannot be read."""
    write(folder / "catalog.json", root)
    io = BoundedIO(Places(str(folder / "catalog.json"), CatalogAccess()))
    return [
        f"!{Path(one.href).relative_to(folder)}" if isinstance(one, UnreadableItem) else str(one["id"])
        for one in stac_static.items(io, root, collection=collection)
    ]


def items(folder: Path, *names: str) -> None:
    for name in names:
        write(folder / f"{name}.json", make_item(name))


def test_items_of_the_collection_and_of_catalogues_below_it(tmp_path: Path) -> None:
    """Those that hang in the root, or in another collection, are not of it."""
    items(tmp_path, "root", "a", "b", "c", "other")
    write(tmp_path / "wanted.json", node("wanted", ("item", "a.json"), ("child", "deep/2018.json"), kind="Collection"))
    write(tmp_path / "deep" / "2018.json", node("2018", ("item", "../b.json"), ("item", "../c.json")))
    write(tmp_path / "other.json", node("other", ("item", "other.json"), kind="Collection"))
    root = node("root", ("item", "root.json"), ("child", "wanted.json"), ("child", "other.json"))
    assert found(tmp_path, root) == ["a", "b", "c"]


def test_a_catalogue_that_leads_back_to_itself_has_an_end(tmp_path: Path) -> None:
    items(tmp_path, "a")
    back = (("child", "catalog.json"), ("child", "wanted.json"))
    write(tmp_path / "wanted.json", node("wanted", ("item", "a.json"), *back, kind="Collection"))
    assert found(tmp_path, node("root", ("child", "wanted.json"), *back)) == ["a"]


def test_a_collection_before_stac_1_0_is_known_by_its_extent(tmp_path: Path) -> None:
    items(tmp_path, "a")
    old = node("wanted", ("item", "a.json"), extent={})
    del old["type"]
    write(tmp_path / "wanted.json", old)
    assert found(tmp_path, node("root", ("child", "wanted.json"))) == ["a"]


def test_what_cannot_be_read_is_counted_where_it_belongs_to_the_collection(tmp_path: Path) -> None:
    items(tmp_path, "a")
    links = (("item", "gone.json"), ("item", "text.json"), ("item", "a.json"), ("child", "list.json"))
    write(tmp_path / "text.json", "no JSON")
    write(tmp_path / "list.json", [])
    write(tmp_path / "wanted.json", node("wanted", *links, kind="Collection"))
    root = node("root", ("child", "elsewhere.json"), ("child", "wanted.json"))
    assert found(tmp_path, root) == ["!gone.json", "!text.json", "a", "!list.json"]


def test_a_collection_that_is_not_there_is_told_with_what_is(tmp_path: Path) -> None:
    write(tmp_path / "other.json", node("other", kind="Collection"))
    root = node("root", ("child", "other.json"), ("child", "gone.json"))
    with pytest.raises(CatalogError, match=r"no collection 'wanted'; 1 linked documents .*gone\.json.*It has: other"):
        found(tmp_path, root)


def test_a_catalogue_without_an_end_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two levels are allowed here: root, its child, and the child's child."""
    monkeypatch.setattr(stac_static, "MAX_DEPTH", 2)
    items(tmp_path, "a")
    write(tmp_path / "1.json", node("1", ("child", "wanted.json")))
    write(tmp_path / "wanted.json", node("wanted", ("item", "a.json"), kind="Collection"))
    root = node("root", ("child", "1.json"))
    assert found(tmp_path, root) == ["a"]
    write(tmp_path / "wanted.json", node("wanted", ("item", "a.json"), ("child", "3.json"), kind="Collection"))
    write(tmp_path / "3.json", node("3"))
    with pytest.raises(CatalogError, match="deeper than 2 levels"):
        found(tmp_path, root)


def test_a_catalogue_of_too_many_items_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    items(tmp_path, "a", "b", "c")
    monkeypatch.setattr(stac_static, "MAX_ITEMS", 2)
    for names in (("a", "b"), ("a", "b", "c")):
        links = [("item", f"{name}.json") for name in names]
        write(tmp_path / "wanted.json", node("wanted", *links, kind="Collection"))
        root = node("root", ("child", "wanted.json"))
        if len(names) == 2:
            assert found(tmp_path, root) == ["a", "b"]
        else:
            with pytest.raises(CatalogError, match="more than"):
                found(tmp_path, root)
