"""APIs as they are: with tokens, without POST, busy, beside invalid collections, without an end, leading elsewhere."""

from __future__ import annotations

import json
import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from requests.adapters import HTTPAdapter

from cropmap.errors import CatalogError, ConfigurationError
from cropmap.schemas import QuarantineReason
from cropmap.seasons import Season
from cropmap.sources.catalogs import stac_api, stac_io
from cropmap.sources.catalogs.acquisition import Bbox
from cropmap.sources.catalogs.catalog import CatalogSearch, find_acquisitions, nothing_usable
from cropmap.sources.catalogs.places import CatalogAccess, Places
from cropmap.sources.catalogs.providers import in_use
from cropmap.sources.catalogs.redirects import check_redirects
from cropmap.sources.catalogs.sign_in import renewed
from cropmap.sources.catalogs.sign_in.opening import opening_of
from cropmap.sources.catalogs.sign_in.secrets import read_headers
from cropmap.sources.catalogs.stac_io import BoundedIO
from tests.data.hostile_api import Awkward, awkward_api
from tests.data.make_sources_catalog import COLLECTION, collection, file_server, make_item, write_catalog
from tests.data.sign_in_services import Answer, Request, TokenService, of, provider, service

SEASON = Season(2018, date(2018, 1, 1), date(2018, 12, 31))
BRITTANY = (-5.2, 47.2, -1.0, 48.9)
FOLDER = "https://sentinel-cogs.s3.us-west-2.amazonaws.com/x"
ITEMS = [make_item(f"day {day}", moment=f"2018-06-{day:02d}T11:06:21Z", folder=FOLDER) for day in (1, 11, 21)]
ANOTHER = {**collection([]), "id": "unrelated"}
SECRET = "Bearer zyxw-9876"


def find(
    url: str,
    *,
    collection: str = COLLECTION,
    bbox: Bbox | Sequence[Bbox] = BRITTANY,
    season: Season = SEASON,
    access: CatalogAccess | None = None,
) -> CatalogSearch:
    return find_acquisitions(url, collection=collection, bbox=bbox, season=season, access=access)


def days(found: CatalogSearch) -> list[int]:
    return [acquisition.day.day for acquisition in found.acquisitions]


@pytest.mark.parametrize(
    "foreign",
    [
        pytest.param({**ANOTHER, "extent": {"temporal": {"interval": [[None, None]]}}}, id="no spatial extent"),
        pytest.param({**ANOTHER, "links": None}, id="links null"),
        pytest.param(
            {**ANOTHER, "extent": {"spatial": {"bbox": [[0, 0, 1, 1]]}, "temporal": {"interval": [["2015", ".."]]}}},
            id="open interval",
        ),
        pytest.param({**ANOTHER, "extent": None, "description": 5}, id="nothing"),
        pytest.param(None, id="no object"),
        pytest.param({"id": ["a"]}, id="id is a list"),
    ],
)
@pytest.mark.parametrize("has_route", [True, False])
def test_an_invalid_collection_of_no_concern_stops_nothing(foreign: Any, has_route: bool) -> None:
    api = Awkward(ITEMS, collections=[foreign, collection([]), foreign], has_collection_route=has_route)
    with awkward_api(api) as url:
        assert days(find(url)) == [1, 11, 21]
        with pytest.raises(CatalogError, match=r"no collection 'landsat'.*It has: .*sentinel-2-l2a"):
            find(url, collection="landsat")


def test_an_api_without_post_is_asked_by_get() -> None:
    api = Awkward(ITEMS, methods=["GET"])
    with awkward_api(api) as url:
        assert days(find(url)) == [1, 11, 21]
    assert [search["method"] for search in api.searches] == ["POST", "GET"]
    assert api.searches[1]["bbox"] == "-5.2,47.2,-1.0,48.9"


def test_an_api_that_takes_neither_is_one_line() -> None:
    with awkward_api(Awkward(ITEMS, methods=[])) as url, pytest.raises(CatalogError, match="405") as caught:
        find(url)
    assert "\n" not in str(caught.value)


def test_a_header_goes_to_the_catalogue_and_nowhere_else(caplog: pytest.LogCaptureFixture) -> None:
    other = Awkward(ITEMS)
    with awkward_api(other) as elsewhere:
        api = Awkward(
            ITEMS,
            page_size=2,
            header=("Authorization", SECRET),
            next_link=lambda _, n: {"rel": "next", "href": f"{elsewhere}search"} if n == 1 else None,
        )
        trusted = [elsewhere.split("/")[2].split(":")[0]]
        headers = read_headers(f"Authorization: {SECRET}\nX-Key: zyxw-9876\n")
        with awkward_api(api) as url, caplog.at_level(logging.DEBUG):
            access = CatalogAccess(headers=headers, trusted=trusted)
            assert days(find(url, access=access)) == [1, 11, 21]
            with pytest.raises(CatalogError, match="CROPMAP_CATALOG_HEADERS") as caught:
                find(url)
    assert other.searches, "the second page came from the other host"
    assert all("zyxw" not in str(headers) for _, _, headers in other.seen)
    assert all(seen.get("X-Key") == "zyxw-9876" for _, _, seen in api.seen if "Authorization" in seen)
    assert "zyxw" not in caplog.text + str(caught.value) + repr(access)


@pytest.mark.slow
def test_a_token_is_renewed_between_two_pages(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CROPMAP_CATALOG_PAGED_CLIENT_ID", "client-1")
    monkeypatch.setenv("CROPMAP_CATALOG_PAGED_CLIENT_SECRET", "the-secret-of-the-client")
    tokens = TokenService(lasts_s=600)
    with service(tokens) as (service_url, _):
        api = Awkward(ITEMS, page_size=1)
        api.admits = lambda headers: tokens.given.get(headers.get("Authorization", "")[7:], 0) > time.time()
        with awkward_api(api) as url, caplog.at_level(logging.DEBUG):
            token = {"address": f"{service_url}/token", "hosts": [of(url)]}
            access = CatalogAccess(provider=provider("paged", catalogs=[of(url)], token=token))

            def revoke(root: str, number: int) -> dict[str, Any] | None:
                tokens.given.clear()  # before each page
                start = {"token": number}
                return (
                    {"rel": "next", "href": f"{root}/search", "method": "POST", "body": start} if number < 3 else None
                )

            api.next_link = revoke
            assert days(find(url, access=access)) == [1, 11, 21]
            tokens.fail = [Answer(500)] * 20
            tokens.given.clear()
            monkeypatch.setattr(renewed, "PATIENCE_S", 0.0)
            with pytest.raises(CatalogError, match=r"service of paged gives none.*CROPMAP_CATALOG_PAGED_") as told:
                find(url, access=access)
    assert "the-access-token" not in caplog.text + str(told.value)
    assert "the-secret" not in caplog.text + str(told.value)


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_goes_past_the_machines_netrc_and_is_renewed(
    status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`requests` prefers what ~/.netrc says of a host, or of any, to a header that is stated."""
    (tmp_path / "netrc").write_text("default login somebody password of-another-service\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    name = f"beside_netrc_{status}"
    monkeypatch.setenv(f"CROPMAP_CATALOG_{name.upper()}_CLIENT_ID", "client-1")
    monkeypatch.setenv(f"CROPMAP_CATALOG_{name.upper()}_CLIENT_SECRET", "the-secret-of-the-client")
    tokens = TokenService()

    def answer(request: Request) -> Answer:
        if request.path == "/token":
            return tokens(request)
        if request.path == "/moved":
            return Answer(301, b"", {"Location": "/search"})
        return Answer(200, {"features": []}) if tokens.admits(request) else Answer(status, {"error": "ended"})

    with service(answer) as (url, seen):
        token = {"address": f"{url}/token", "hosts": [of(url)]}
        own = provider(name, catalogs=[of(url)], hosts=[of(url)], token=token)
        io = BoundedIO(Places(url, CatalogAccess(provider=own)))
        for _ in range(2):
            assert json.loads(io.request(f"{url}/search")) == {"features": []}
            assert json.loads(io.request(f"{url}/moved")) == {"features": []}
            tokens.given = dict.fromkeys(tokens.given, 0.0)  # before its end
        monkeypatch.setattr(in_use, "_own", {name: own})
        in_use.provider_of.cache_clear()
        check_redirects(f"{url}/a.tif", opening_of(f"{url}/a.tif").headers)
        in_use.provider_of.cache_clear()
    assert len(tokens.given) >= 2
    assert not [request for request in seen if (request.headers.get("Authorization") or "").startswith("Basic")]


def test_a_providers_header_goes_to_its_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROPMAP_CATALOG_HEADED_API_HEADERS", f"Authorization: {SECRET}")
    with awkward_api(Awkward(ITEMS, header=("Authorization", SECRET))) as url:
        named = CatalogAccess(provider=provider("headed_api", catalogs=[of(url)]))
        assert days(find(url, access=named)) == [1, 11, 21]
        with pytest.raises(CatalogError, match="401"):
            find(url, access=CatalogAccess(provider=provider("another_api", catalogs=[of(url)])))


@pytest.mark.parametrize("body", [b"<!DOCTYPE html><html>maintenance</html>", b"", b"[]", b"\xff\xfe", b"null"])
def test_a_search_that_answers_no_items_is_one_line(body: bytes) -> None:
    with awkward_api(Awkward(first=[(200, body)] * 2)) as url, pytest.raises(CatalogError) as caught:
        find(url)
    assert "\n" not in str(caught.value)


def test_a_redirect_takes_no_header_along() -> None:
    other = Awkward(ITEMS)
    with awkward_api(other) as elsewhere:
        api = Awkward(ITEMS, endless=f"redirect:{elsewhere}search")
        access = CatalogAccess(headers={"X-Key": "zyxw-9876"}, trusted=["127.0.0.1"])
        with awkward_api(api) as url:
            assert days(find(url, access=access)) == [1, 11, 21]
    assert other.searches
    assert all("X-Key" not in headers for _, _, headers in other.seen)


def test_a_redirect_takes_no_header_to_a_host_with_another_of_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROPMAP_CATALOG_MOVED_HEADERS", "X-Key: of-the-provider")
    other = Awkward(ITEMS)
    with awkward_api(other) as elsewhere:
        api = Awkward(ITEMS, endless=f"redirect:{elsewhere}search", header=("X-Key", "zyxw-9876"))
        moved = provider("moved", header_hosts=[of(elsewhere)])
        access = CatalogAccess(headers={"X-Key": "zyxw-9876"}, trusted=["127.0.0.1"], provider=moved)
        with awkward_api(api) as url:
            assert days(find(url, access=access)) == [1, 11, 21]
    assert other.searches
    assert all(headers.get("X-Key") != "zyxw-9876" for _, _, headers in other.seen)


@pytest.mark.parametrize(
    "target", ["http://169.254.169.254/latest/meta-data", "http://localhost:9/", "file:///etc/passwd"]
)
def test_a_catalogue_does_not_lead_elsewhere(target: str) -> None:
    for api in (
        Awkward(ITEMS, endless=f"redirect:{target}"),
        Awkward(ITEMS, next_link=lambda *_: {"rel": "next", "href": target}),
    ):
        with awkward_api(api) as url, pytest.raises(CatalogError) as caught:
            find(url)
        assert "\n" not in str(caught.value)
    assert "leads elsewhere" in str(caught.value)


@pytest.mark.parametrize("text", ["no colon", "a b: c", "Empty:", "Name: a\x07b"])
def test_a_setting_that_is_no_header_is_not_shown(text: str) -> None:
    with pytest.raises(ConfigurationError, match="line 1 is no header") as caught:
        read_headers(text)
    assert text not in str(caught.value)


@pytest.mark.slow
def test_throttling_is_waited_for() -> None:
    api = Awkward(ITEMS, first=[(403, {"message": "Forbidden"}), (429, {}), (503, {})])
    with awkward_api(api) as url:
        assert days(find(url)) == [1, 11, 21]
    assert len(api.searches) == 4


def test_a_lasting_403_is_named() -> None:
    api = Awkward(ITEMS, first=[(403, {"description": "key expired"})] * 2)
    with awkward_api(api) as url, pytest.raises(CatalogError, match=r"403.*key expired.*CROPMAP_CATALOG_HEADERS"):
        find(url)


def endless_next(root: str, page: int) -> dict[str, Any]:
    return {"rel": "next", "href": f"{root}/search?page={page}"}


def test_pages_that_repeat_end(monkeypatch: pytest.MonkeyPatch) -> None:
    with awkward_api(Awkward(ITEMS, next_link=endless_next)) as url, pytest.raises(CatalogError, match="no end"):
        find(url)


class Fresh(list[Mapping[str, Any]]):
    """Items that are new on every page."""

    n = 0

    def __getitem__(self, _: Any) -> Any:
        self.n += 1
        return [{**ITEMS[0], "id": f"{self.n} {k}"} for k in range(100)]


@pytest.mark.slow
def test_pages_without_an_end_are_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stac_api, "LEAST_MAX_ITEMS", 500)
    monkeypatch.setattr(stac_api, "ITEMS_PER_CELL_AND_DAY", 0)
    with awkward_api(Awkward(Fresh(), next_link=endless_next)) as url, pytest.raises(CatalogError, match="500 items"):
        find(url)


def test_an_empty_page_ends_the_search() -> None:
    with awkward_api(Awkward([], next_link=endless_next)) as url:
        assert find(url) == CatalogSearch((), ())


def test_an_empty_page_may_be_followed_by_others() -> None:
    """The API counts before it filters: nothing, then everything."""
    first = {"type": "FeatureCollection", "features": [], "links": [{"rel": "next", "href": "/search?token=0"}]}
    with awkward_api(Awkward(ITEMS, first=[(200, first), (200, {**first, "features": None})])) as url:
        assert len(find(url).acquisitions) == len(ITEMS)


def test_a_last_page_may_repeat_what_was_listed_before() -> None:
    """An item came in between two pages that are counted from the start, and moved the others."""
    following = {"rel": "next", "href": "/search?token=2"}
    pages = [
        {"type": "FeatureCollection", "features": ITEMS, "links": [following]},
        {"type": "FeatureCollection", "features": ITEMS[-1:], "links": []},
    ]
    with awkward_api(Awkward(first=[(200, page) for page in pages])) as url:
        found = find(url)
    assert len(found.acquisitions) == len(ITEMS)
    assert [item.reason for item in found.unusable] == [QuarantineReason.DUPLICATE]


@pytest.mark.parametrize("links", [None, [{"href": "x"}], [{"rel": "next", "href": None}]])
def test_links_that_lead_nowhere_end_the_search(links: Any) -> None:
    with awkward_api(Awkward(first=[(200, {"type": "FeatureCollection", "features": ITEMS, "links": links})])) as url:
        assert len(find(url).acquisitions) == len(ITEMS)


def test_a_search_that_gives_less_than_it_counts_is_told(caplog: pytest.LogCaptureFixture) -> None:
    page = {"type": "FeatureCollection", "features": ITEMS, "links": [], "numberMatched": 70}
    with awkward_api(Awkward(first=[(200, page)])) as url:
        assert len(find(url).acquisitions) == len(ITEMS)
    assert f"the search counts 70 items and gives {len(ITEMS)}" in caplog.text


def test_a_page_without_its_next_link_loses_no_item(caplog: pytest.LogCaptureFixture) -> None:
    """The API counts 21 items, gives five a page, and forgets the link to the next one."""
    items = [
        make_item(f"S2A_30UVU_201806{day:02d}_0_L2A", moment=f"2018-06-{day:02d}T11:06:21Z", folder=FOLDER)
        for day in range(1, 22)
    ]
    with awkward_api(Counting(items, page_size=5, next_link=lambda *_: {"rel": "prev", "href": "x"})) as url:
        found = find(url)
    assert days(found) == list(range(1, 22))
    assert not found.unusable
    assert "the search counts" not in caplog.text


@dataclass
class Counting(Awkward):
    """An API that filters by time, and says how many items there are."""

    def page(self, search: dict[str, Any], start: int) -> dict[str, Any]:
        first, last = search["datetime"].split("/")
        fitting = [item for item in self.items if first <= item["properties"]["datetime"] <= last]
        features = fitting[start : start + self.page_size]
        return {"type": "FeatureCollection", "features": features, "numberMatched": len(fitting)}


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("soon", 0),
        ("1.5", 0),
        ("-1", 0),
        ("2", 2),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 0),
        ("9" * 5_000, 0),
        ("Fri, 31 Dec 99999 23:59:59 GMT", 0),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_retry_after_that_says_nothing_is_no_error(header: str, seconds: float) -> None:
    adapter = stac_io.BoundedIO(Places("https://example.org/", CatalogAccess())).session.adapters["https://"]
    assert isinstance(adapter, HTTPAdapter)
    assert adapter.max_retries.parse_retry_after(header) == seconds


def test_an_answer_without_an_end_is_cut_off() -> None:
    with awkward_api(Awkward(ITEMS, endless="body")) as url, pytest.raises(CatalogError, match="longer than 64 MiB"):
        find(url)


def test_features_of_any_kind_are_counted() -> None:
    api = Awkward([ITEMS[0], None, "x", 5, [], {}, {"id": "half"}, {**ITEMS[1], "properties": None}])
    with awkward_api(api) as url:
        found = find(url)
    assert days(found) == [1]
    assert Counter(item.reason for item in found.unusable) == {QuarantineReason.INCOMPLETE_METADATA: 7}


def test_one_search_for_each_box_and_each_item_once() -> None:
    api = Awkward(ITEMS)
    with awkward_api(api) as url:
        found = find(url, bbox=[(-5.2, 47.2, -3.1, 48.9), (-3.1, 47.2, -1.0, 48.9)])
    assert days(found) == [1, 11, 21]
    assert found.unusable == ()
    assert len(api.searches) == 2


def test_nothing_usable_says_why(tmp_path: Any) -> None:
    several = [
        make_item(f"item {n}", moment=f"2018-06-{n:02d}T11:06:21Z", baseline="05.09", offset=None) for n in (1, 2)
    ]
    zarr = make_item("zarr", moment="2018-07-01T11:06:21Z")
    for asset in zarr["assets"].values():
        asset["type"] = "application/vnd+zarr"
    found = find(str(write_catalog(tmp_path, [*several, zarr])))
    error = str(nothing_usable(found, season=SEASON, where="catalog.json"))
    assert "none of 3 items" in error
    assert "OFFSET_UNKNOWN 2, UNSUPPORTED_FORMAT 1" in error
    assert "acquisitions.offset" in error
    assert "window" not in error


def test_the_address_of_a_collection_is_told_from_that_of_an_api() -> None:
    none = CatalogSearch((), ())
    for where in ("https://stac.example.org/v1/collections/sentinel-2-l2a", "https://stac.example.org/v1/collections"):
        said = str(nothing_usable(none, season=SEASON, where=where))
        assert "the address of a collection: end acquisitions.catalog before /collections" in said
    for where in ("https://stac.example.org/v1", "scenes/collections/catalog.json"):
        assert "Check --season, acquisitions.collection" in str(nothing_usable(none, season=SEASON, where=where))


def test_a_static_catalogue_behind_a_web_server_wants_a_header_too(tmp_path: Any) -> None:
    write_catalog(tmp_path, [make_item("a")])
    with file_server(tmp_path) as url:
        found = find(f"{url}catalog.json", access=CatalogAccess(headers={"X-Key": "k"}))
    assert len(found.acquisitions) == 1


@pytest.mark.parametrize("address", ["http://[bad/catalog.json", "https://example.org:port/", "nowhere/catalog.json"])
def test_what_is_no_address_is_one_line(address: str) -> None:
    with pytest.raises(CatalogError) as caught:
        find(address)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", ["get", "merge"])
def test_pages_are_followed_as_the_link_says(kind: str) -> None:
    def following(root: str, page: int) -> dict[str, Any] | None:
        if page > 2:
            return None
        if kind == "get":
            return {"rel": "next", "href": f"{root}/search?token={page}", "method": "GET"}
        return {"rel": "next", "href": "/search", "method": "POST", "merge": True, "body": {"token": page}}

    api = Awkward(ITEMS, page_size=1, next_link=following)
    with awkward_api(api) as url:
        assert days(find(url)) == [1, 11, 21]
    assert [search["method"] for search in api.searches] == (["POST", "GET", "GET"] if kind == "get" else ["POST"] * 3)
    if kind == "merge":
        assert all(search["collections"] == [COLLECTION] for search in api.searches)


LAX = {
    "31-datetimes-and-lax-fields": (10, {QuarantineReason.INCOMPLETE_METADATA: 1}),
    "34-cog-without-crs": (3, {}),
    "36-item-without-scl": (1, {QuarantineReason.MISSING_BAND: 1}),
}


@pytest.mark.shared_data
@pytest.mark.parametrize("case", LAX)
def test_lax_items(shared_data: Path, case: str) -> None:
    usable, reasons = LAX[case]
    season = Season.from_window(2024, ("2024-01-01", "2024-12-31"))
    catalog = str(shared_data / "cases/input" / case / "catalog.json")
    found = find(catalog, bbox=(11.6, 48.3, 11.8, 48.5), season=season)
    assert len(found.acquisitions) == usable
    assert Counter(item.reason for item in found.unusable) == reasons
