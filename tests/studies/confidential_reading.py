"""Everything that a role may read, listed by the database and by the API's own description.

SQL: every column of every relation that the role has rights on, under its policies. HTTP: every route with a key, each
parameter of it in turn, each media type of it, for what is there and for what is not. A column or a parameter that
nobody has thought of here is an error: say what it tells, or what to ask for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, Final
from urllib.parse import quote, urlencode

import httpx
from psycopg import sql

from cropmap.contracts.columns import figures
from cropmap.contracts.tables import STATISTIC
from cropmap.database.connection import Connection
from cropmap.schemas import AccessRole
from serving.app import create_app
from serving.reference import NOWHERE
from serving.settings import ServingSettings

ROLES: Final[Mapping[str, tuple[str, ...]]] = {
    "public": ("cropmap_server_public",),
    "statistician": ("cropmap_server_public", "cropmap_server_statistician", "cropmap_reader"),
    "operator": ("cropmap_server_public", "cropmap_server_operator"),
}
"""whom the attack is made for, and the roles of the database that answer them: what is public everybody reads; a
statistician has a key, and SQL. A controller reads parcels."""
PEOPLE: Final = ("cropmap_reader",)
"""roles that people sign in with; the others are taken on by the API alone, which answers from them"""
KEYS: Final[Mapping[str, tuple[AccessRole, ...]]] = {
    "public": (AccessRole.PUBLIC,),
    "statistician": (AccessRole.PUBLIC, AccessRole.STATISTICIAN),
    "operator": (AccessRole.PUBLIC, AccessRole.OPERATOR),
}
RELATIONS: Final = """
SELECT c.relname, array_agg(a.attname::text ORDER BY a.attnum)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f') AND c.relnamespace = 'public'::regnamespace
      AND has_column_privilege(c.oid, a.attnum, 'SELECT')
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
GROUP BY c.oid ORDER BY 1
"""


class Tells(StrEnum):
    """What a column tells of hidden figures."""

    KEY = "which figure it is of"
    FIGURE = "a figure of a cell"
    TOTAL = "a count over all crops"
    TEXT = "words of a run, with numbers in them"
    WORD = "a word of a cell"
    NOTHING = "nothing: it is the same whatever was declared"


FIGURES: Final = figures(STATISTIC)
MEANINGS: Final[Mapping[str, Tells]] = {
    **dict.fromkeys(FIGURES, Tells.FIGURE),
    **dict.fromkeys(("agency", "season", "number", "nuts_id", "crop", "run_id"), Tells.KEY),
    **dict.fromkeys(("basis", "obs_flag", "conf_status"), Tells.WORD),
    **dict.fromkeys(("detail", "note"), Tells.TEXT),
    # of the agency file, the code, the model, the clock and the images
    **dict.fromkeys(("level", "strucpro", "concept", "stage", "as_of", "nuts_version", "simulated"), Tells.NOTHING),
    **dict.fromkeys(("partial_region", "partial_regions", "released_at", "published_at"), Tells.NOTHING),
    **dict.fromkeys(("started_at", "finished_at", "status", "code_version", "model_version"), Tells.NOTHING),
    **dict.fromkeys(("n_acquisitions", "content_hash", "seasons", "attempts"), Tells.NOTHING),
    # of the boundary file, and what codes are called
    **dict.fromkeys(("name", "national_name", "language", "outline", "code_list", "code"), Tells.NOTHING),
    **dict.fromkeys(("west", "south", "east", "north"), Tells.NOTHING),
}
ASKED: Final[Mapping[str, Sequence[str]]] = {
    "format": ("json", "csv"),
    "level": ("3",),
    "number": ("1", "2", "9"),
    "limit": ("1000",),
    "context": ("*",),
    "resource_id": ("CROP_AREA",),
    "version": ("1.0",),
    "artefact": ("dataflow", "codelist"),
    "references": ("all", "none"),
    "detail": ("full", "dataonly", "serieskeysonly", "nodata", "allstubs"),
    "freq": ("A",),
    "c[freq]": ("A",),
    "strucpro": ("AR_THS_HA",),
    "c[strucpro]": ("AR_THS_HA",),
    "geoLevel": ("country", "nuts3"),
    "sinceTimePeriod": ("2018",),
    "untilTimePeriod": ("2018",),
    "lastTimePeriod": ("1",),
    "lang": ("EN", "fr"),
    "startPeriod": ("2018",),
    "endPeriod": ("2018",),
    "firstNObservations": ("1",),
    "lastNObservations": ("1",),
    "dimensionAtObservation": ("AllDimensions",),
    "asOf": ("2018-11-09T00:00:00Z", "2017-01-01T00:00:00Z"),
    "time": ("2018",),
    "c[TIME_PERIOD]": ("ge:2018",),
    "collection_id": ("regions", "parcels"),
    "after": ("nowhere",),
    "bbox": ("-5,47,-1,49",),
    "bbox-crs": ("http://www.opengis.net/def/crs/OGC/1.3/CRS84",),
    "crs": ("http://www.opengis.net/def/crs/OGC/1.3/CRS84",),
    "datetime": ("2018-07-01T00:00:00Z",),
    "f": ("json", "fgb"),
    "country": ("FR",),
    "name": ("Bretagne",),
    "national_name": ("Bretagne",),
    "nuts_version": ("2021",),
}
"""values of parameters that are the same for every season"""
HOST: Final = "api.example.org"
"""in the links of answers, whichever port answers"""
MOVING: Final = frozenset({"date", "x-request-id", "server"})
"""headers that differ whenever one asks"""
OTHERS: Final = (
    *("/assessments", "/parcels", "/ogc/collections/parcels", "/ogc/collections/assessments", "/keys", "/accounts"),
)
"""first parts of routes for controllers and administrators: anybody else is refused (`tests/serving/test_scope.py`)"""


class NotThoughtOfError(AssertionError):
    """A column or a parameter is new, and the attack does not know what it tells."""


@dataclass(frozen=True)
class Rows:
    relation: str
    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]

    def records(self) -> Iterator[dict[str, Any]]:
        return (dict(zip(self.columns, row, strict=True)) for row in self.rows)


def meaning(column: str, *, of_cells: bool) -> Tells:
    """Raises NotThoughtOfError for a column that has none."""
    if column not in MEANINGS:
        raise NotThoughtOfError(
            f"a role may read {column!r}, and the attack on confidentiality does not know what it tells: say so in"
            " MEANINGS (tests/studies/confidential_reading.py), and use it in the attack where it tells of areas"
        )
    told = MEANINGS[column]
    return Tells.TOTAL if told is Tells.FIGURE and not of_cells else told


def read_sql(connection: Connection, role: str, agency: str) -> list[Rows]:
    """As a superuser that takes on the role, with the agency in its scope."""
    found = []
    with connection.transaction():
        connection.execute("SELECT set_config('cropmap.agency', %s, true)", (agency,))
        connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
        for name, columns in connection.execute(RELATIONS).fetchall():
            chosen = sql.SQL(", ").join(map(sql.Identifier, columns))
            rows = connection.execute(sql.SQL("SELECT {} FROM {}").format(chosen, sql.Identifier(name))).fetchall()
            found.append(Rows(name, tuple(columns), rows))
        connection.execute("RESET ROLE")
    return found


@dataclass(frozen=True)
class Place:
    """What requests name of a season."""

    agency: str
    season: int
    shown: tuple[str, str]
    """(nuts_id, crop) of an open cell, and of a hidden one; the same where there is no such"""
    hidden: tuple[str, str]

    def values(self) -> dict[str, Sequence[str]]:
        regions, crops = zip(self.shown, self.hidden, strict=True)
        return {
            **ASKED,
            "agency": (self.agency,),
            "provider": (self.agency,),
            "season": (str(self.season),),
            "flow_ref": (f"{self.agency},CROP_AREA",),
            "key": ("all", f"A.{self.hidden[1].replace('+', '_')}..{self.hidden[0]}"),
            "nuts_id": regions,
            "geo": regions,
            "feature_id": tuple(f"{self.agency}:{self.season}:{region}" for region in regions),
            "c[geo]": regions,
            "crop": crops,
            "crops": crops,
            "c[crops]": crops,
        }


@dataclass(frozen=True)
class Request:
    path: str
    accept: str = "*/*"


def requests(place: Place, description: Mapping[str, Any]) -> list[Request]:
    """Every route with a key; each of its parameters and media types in turn, once of the routes that have the same.
    Raises NotThoughtOfError."""
    known, varied = place.values(), set[tuple[str, ...]]()
    out: list[Request] = []
    for path, methods in sorted(description["paths"].items(), key=lambda item: -item[0].count("/")):
        operation = methods.get("get", {})
        if "security" not in operation or path.startswith(OTHERS):
            continue
        parameters = operation.get("parameters", [])
        for one in parameters:
            if one["in"] != "header" and one["name"] not in known:
                raise NotThoughtOfError(f"parameter {one['name']!r} of {path}: say what to ask for in ASKED")
        inside = [one["name"] for one in parameters if one["in"] == "path"]
        asked = {one["name"]: one["required"] for one in parameters if one["in"] == "query"}
        needed = {name: known[name][0] for name in asked if asked[name]}
        offered = list(operation["responses"]["200"].get("content", {}))
        addresses = list(_addresses(path, {name: known[name] for name in inside}))
        out += [Request(_with(address, needed)) for address in addresses]
        kind = (path.split("/")[1], *asked, *offered)
        if asked and kind in varied:
            continue
        varied.add(kind)
        out += [Request(_with(addresses[0], needed), accept) for accept in offered]
        out += [
            Request(_with(addresses[0], needed | {name: value}))
            for name in asked
            if name not in needed
            for value in dict.fromkeys(known[name])
        ]
    return list(dict.fromkeys(out))


def _addresses(path: str, inside: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """The first value of every part of the path, then each other one."""
    first = {name: quote(values[0], safe=",*:.+") for name, values in inside.items()}
    yield path.format_map(first)
    for name, values in inside.items():
        for value in values[1:]:
            yield path.format_map(first | {name: quote(value, safe=",*:.+")})


def _with(address: str, query: Mapping[str, str]) -> str:
    return f"{address}?{urlencode(query)}" if query else address


@cache
def api_description() -> Mapping[str, Any]:
    described: dict[str, Any] = create_app(ServingSettings(database_url=NOWHERE)).openapi()
    return described


@dataclass(frozen=True)
class Answer:
    request: Request
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def read_http(client: httpx.Client, key: str, asked: Iterable[Request]) -> list[Answer]:
    """The answers, without the headers that differ whenever one asks."""
    out = []
    for request in asked:
        sent = {"X-API-Key": key, "Accept": request.accept, "Host": HOST}
        answer = client.get(f"/v1{request.path}", headers=sent)
        headers = tuple(sorted((k, v) for k, v in answer.headers.items() if k.lower() not in MOVING))
        assert answer.status_code < 500, (request, answer.text)
        out.append(Answer(request, answer.status_code, headers, answer.content))
    return out


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
