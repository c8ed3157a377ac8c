"""The application, with what the framework leaves out of its OpenAPI document.

That is the media type of problems, an example of every answer, and the headers that every answer has.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Final

from fastapi import FastAPI

from serving import bodies, errors
from serving.openapi.examples import ANSWERS

Schema = dict[str, Any]

JSON: Final = "application/json"
PROBLEM: Final = "#/components/schemas/Problem"
HEADERS: Final[Schema] = {
    "X-Request-ID": {
        "description": "name of the request: that which it was given, or a new one",
        "required": True,
        "schema": {"type": "string"},
    }
}
ENTITY_TAG: Final[Schema] = {
    "ETag": {
        "description": "differs where the answer differs; sent back as `If-None-Match` it saves an unchanged answer",
        "schema": {"type": "string"},
    }
}


class DescribedAPI(FastAPI):
    """An application whose document is completed when it is made."""

    def openapi(self) -> Schema:
        if self.openapi_schema is None:
            self.openapi_schema = completed(super().openapi())
        return self.openapi_schema


def completed(document: Schema) -> Schema:
    """The document with media types, bodies, examples and headers."""
    document = deepcopy(document)
    document["components"]["schemas"] |= bodies.schemas()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            for status, response in operation["responses"].items():
                response["headers"] = HEADERS | (ENTITY_TAG if (method, status) == ("get", "200") else {})
                _complete(response, int(status), ANSWERS.get(f"{method.upper()} {path}"))
    return document


def _complete(response: Schema, status: int, example: object) -> None:
    content: Schema = response.get("content", {})
    if content.get(JSON, {}).get("schema", {}).get("$ref") == PROBLEM:
        content[errors.MEDIA_TYPE] = content.pop(JSON)
        content[errors.MEDIA_TYPE]["example"] = errors.example(status, response["description"])
    elif JSON in content and status < 300 and example is not None:
        content[JSON]["example"] = example
