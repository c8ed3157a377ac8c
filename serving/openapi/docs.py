"""The documentation page at /docs, made from the OpenAPI document, without scripts and other hosts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup, escape

Schema = dict[str, Any]

_templates = Environment(
    loader=PackageLoader("serving.openapi", ""), autoescape=select_autoescape(), trim_blocks=True, lstrip_blocks=True
)


def marked(text: str) -> Markup:
    """Escaped text in which `words in backticks` are code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704  escaped before


_templates.filters["marked"] = marked


def install(app: FastAPI) -> None:
    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        """What can be asked of this API."""
        return HTMLResponse(render(app.openapi()))


def render(document: Schema) -> str:
    """The page for an OpenAPI document."""
    schemas = document["components"]["schemas"]
    return _templates.get_template("docs.html").render(
        info=document["info"],
        operations=list(operations(document)),
        schemas={name: list(_fields(schema)) for name, schema in schemas.items() if "properties" in schema},
        about={name: schema.get("description", "") for name, schema in schemas.items()},
    )


def operations(document: Schema) -> Iterator[Schema]:
    """Each route of an OpenAPI document, in the words of the pages."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            status = next(status for status in operation["responses"] if status.startswith("2"))
            content = operation["responses"][status].get("content", {})
            success = content.get("application/json", {}).get("schema", {})
            answer = ", ".join(f"`{kind}`" for kind in content) if content else "nothing"
            answer = type_name(success) if success else answer
            parameters = [*operation.get("parameters", []), *_of_the_body(operation, document)]
            yield {
                "method": method.upper(),
                "path": path,
                "id": operation["operationId"],
                "description": operation.get("description", ""),
                "keyed": bool(operation.get("security")),
                "parameters": [{**it, "type": type_name(it["schema"]).removesuffix(" or null")} for it in parameters],
                "body": "requestBody" in operation,
                "answer": answer if status == "200" else f"{answer} ({status})",
                "schema": type_name(success).rpartition(" ")[2],
                "statuses": [(code, response["description"]) for code, response in operation["responses"].items()],
            }


def _of_the_body(operation: Schema, document: Schema) -> Iterator[Schema]:
    """Each field of the body that a route takes, as a parameter."""
    taken = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    schemas = document["components"]["schemas"]
    schema = schemas.get(type_name(taken), {})
    for name, field in schema.get("properties", {}).items():
        words = schemas[type_name(field)] if "$ref" in field else field
        about = {"description": field.get("description", ""), "schema": words}
        yield {"name": name, "in": "body", "required": name in schema.get("required", ()), **about}


def _fields(schema: Schema) -> Iterator[Schema]:
    for name, field in schema["properties"].items():
        yield {"name": name, "type": type_name(field), "description": field.get("description", "")}


def type_name(schema: Schema) -> str:
    """A JSON schema in a few words: `number or null`, `list of Statistic`, `"conform" | "mismatch"`."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "anyOf" in schema:
        return " or ".join(type_name(part) for part in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(f'"{value}"' for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {type_name(schema.get('items', {}))}"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {type_name(schema['additionalProperties'])}"
    return str(schema.get("format") or schema.get("type") or "any value")
