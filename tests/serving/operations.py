"""Every operation that the API's own description closes, with what it needs: tests of all routes try a new one without
anyone thinking of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

import httpx

from serving.app import create_app
from serving.reference import NOWHERE
from serving.settings import ServingSettings


@dataclass(frozen=True)
class Operation:
    method: str
    path: str
    """as the description has it: `/keys/{name}`"""
    query: Mapping[str, bool]
    """parameters, and whether they are needed"""
    body: Mapping[str, Any] | None
    """the schema of each field of the body; None where none is taken"""

    def address(self, values: Mapping[str, Any], *parameters: str) -> str:
        quoted = {name: quote(str(value), safe=":,*") for name, value in values.items()}
        chosen = sorted({name for name, needed in self.query.items() if needed} | set(parameters))
        return f"{self.path.format_map(quoted)}?{urlencode({name: values[name] for name in chosen})}".rstrip("?")

    def sent(self, values: Mapping[str, Any]) -> dict[str, Any] | None:
        """A body of these values, and of the first example of fields that have none."""
        if self.body is None:
            return None
        known = {name: schema["examples"][0] for name, schema in self.body.items() if "examples" in schema}
        return {name: values.get(name, known.get(name)) for name in self.body}


@dataclass(frozen=True)
class Question:
    method: str
    address: str
    body: Any = None

    def ask(self, client: httpx.Client, **headers: str) -> httpx.Response:
        return client.request(self.method, self.address, json=self.body, headers=headers)

    def __str__(self) -> str:
        return f"{self.method} {self.address} {self.body or ''}".rstrip()


def _operations() -> Iterator[Operation]:
    document = create_app(ServingSettings(database_url=NOWHERE)).openapi()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if "security" not in operation:
                continue
            query = {one["name"]: one["required"] for one in operation.get("parameters", []) if one["in"] == "query"}
            body = None
            if "requestBody" in operation:
                name = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
                body = document["components"]["schemas"][name]["properties"]
            yield Operation(method.upper(), path, query, body)


OPERATIONS: Final = tuple(_operations())
METHODS: Final = {
    operation.path: {other.method for other in OPERATIONS if other.path == operation.path} for operation in OPERATIONS
}


def allowed(path: str) -> str:
    """What `Allow` says of a path of the description."""
    methods = METHODS[path]
    return ", ".join(sorted(methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())))


def questions(values: Mapping[str, Any], *, of_regions: Mapping[str, Any]) -> list[Question]:
    """One to each operation, with what it needs; `of_regions` is what routes of regions need instead."""
    asked = [(one, {**values, **of_regions} if "/regions/" in one.path else values) for one in OPERATIONS]
    return [Question(one.method, one.address(known), one.sent(known)) for one, known in asked]
