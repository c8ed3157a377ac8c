"""What an operator is told where a document of a catalogue cannot be read."""

from __future__ import annotations

from typing import Any

import pytest
from pystac_client.exceptions import APIError

from cropmap.errors import CatalogError
from cropmap.sources.catalogs.places import ForbiddenAddressError
from cropmap.sources.catalogs.stac_documents import (
    UnreadableItem,
    item_of,
    links_of,
    no_collection,
    reason_of,
    translated,
)


def answered(status: int) -> APIError:
    error = APIError("refused")
    error.status_code = status
    return error


@pytest.mark.parametrize(
    ("error", "said", "mend"),
    [
        (answered(401), "cannot be reached or refuses (refused)", "CROPMAP_CATALOG_HEADERS"),
        (answered(403), "cannot be reached or refuses (refused)", "CROPMAP_CATALOG_HEADERS"),
        (answered(429), "cannot be reached or refuses", "asked too often: wait"),
        (answered(500), "cannot be reached or refuses", "Check the address and the connection"),
        (ForbiddenAddressError("10.0.0.1"), "leads elsewhere: 10.0.0.1", ""),
        (FileNotFoundError("gone"), "is no STAC catalogue (gone)", "acquisitions.catalog"),
        (KeyError("type"), "is no STAC catalogue ('type')", ""),
        (ValueError(""), "is no STAC catalogue (ValueError)", ""),  # an error without a word says its kind
        (RecursionError(), "nested without end", ""),
    ],
)
def test_every_foreign_error_becomes_one_line(error: Exception, said: str, mend: str) -> None:
    with pytest.raises(CatalogError) as caught, translated("a catalogue"):
        raise error
    assert said in str(caught.value)
    assert mend in str(caught.value)


def test_an_error_of_ours_stays_as_it_is() -> None:
    ours = CatalogError("ours", where="there")
    with pytest.raises(CatalogError) as caught, translated("elsewhere"):
        raise ours
    assert caught.value is ours


def test_a_long_reason_is_cut() -> None:
    assert len(reason_of(ValueError("x" * 1_000))) == 200
    assert reason_of(ValueError("two\nlines")) == "two lines"


@pytest.mark.parametrize(
    ("links", "hrefs"),
    [
        ([{"rel": "item", "href": "a"}, {"rel": "child", "href": "b"}, {"rel": "item", "href": "c"}], ["a", "c"]),
        ([{"rel": "item"}, {"rel": "item", "href": 5}, "item", None, {"href": "d"}], []),
        (None, []),
        ({"rel": "item", "href": "a"}, []),  # no list
    ],
)
def test_links_that_have_an_address(links: Any, hrefs: list[str]) -> None:
    assert [link["href"] for link in links_of({"links": links}, "item")] == hrefs


def test_a_document_that_is_no_item_is_named_by_its_address_else_by_its_id() -> None:
    for address, name in (("http://x/a.json", "http://x/a.json"), (None, "S2A")):
        found = item_of({"id": "S2A"}, address)
        assert isinstance(found, UnreadableItem)
        assert found.href == name


def test_a_missing_collection_is_told_with_those_that_are_there() -> None:
    error = str(no_collection("s2", ["b", "a", "b"], "here", ["x.json (gone)"]))
    assert "no collection 's2'; 1 linked documents could not be read, the first: x.json (gone)" in error
    assert "It has: a, b; set" in error
    assert "It has: none;" in str(no_collection("s2", [], "here"))
