"""The documentation page reads the OpenAPI document, and the OpenAPI document is one."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.openapi.models import OpenAPI
from jsonschema import Draft202012Validator

from serving import bodies
from serving.app import create_app
from serving.openapi.docs import marked, render, type_name
from serving.openapi.examples import ANSWERS
from serving.reference import route_page
from serving.settings import ServingSettings
from tests.serving.conftest import running

DOCS = Path(__file__).parents[2] / "docs"
API_MD, ROUTES_MD = DOCS / "api.md", DOCS / "routes.md"


@pytest.fixture(scope="module")
def closed() -> Iterator[httpx.Client]:
    """A client of an API whose database is away: documentation needs none."""
    with running(create_app(ServingSettings(database_url="postgresql://nobody@127.0.0.1:1/none"))) as client:
        yield client


@pytest.fixture(scope="module")
def document(closed: httpx.Client) -> dict[str, Any]:
    document: dict[str, Any] = closed.get("/openapi.json").json()
    return document


def described(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """`GET /path` of each operation, and what the document says of it."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        return {value["$ref"]} if "$ref" in value else set().union(*map(references, value.values()))
    return set().union(*map(references, value)) if isinstance(value, list) else set()


def test_openapi_document_is_valid(document: dict[str, Any]) -> None:
    OpenAPI.model_validate(document)
    schemas = document["components"]["schemas"]
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    assert references(document) <= {f"#/components/schemas/{name}" for name in schemas}


def test_every_route_but_health_asks_for_a_key(document: dict[str, Any]) -> None:
    assert [name for name, operation in described(document) if "security" not in operation] == ["GET /health"]
    assert document["components"]["securitySchemes"]["APIKeyHeader"]["name"] == "X-API-Key"


def test_every_refusal_is_documented_as_a_problem(document: dict[str, Any]) -> None:
    for name, operation in described(document):
        for status, response in operation["responses"].items():
            if not status.startswith("2") and name != "GET /health":
                ((media_type, content),) = response["content"].items()
                assert content["schema"]["$ref"].endswith("/Problem"), (name, status)
                assert media_type == "application/problem+json"
                assert content["example"]["status"] == int(status)


def test_every_parameter_and_route_is_described(document: dict[str, Any]) -> None:
    for name, operation in described(document):
        assert operation["description"], name
        assert all(parameter.get("description") for parameter in operation.get("parameters", [])), name
    for name, schema in bodies.schemas().items():
        assert all(field.get("description") for field in schema.get("properties", {}).values()), name


def test_what_changes_something_takes_known_fields_alone(document: dict[str, Any]) -> None:
    taken = [operation["requestBody"] for _, operation in described(document) if "requestBody" in operation]
    assert len(taken) >= 3
    for body in taken:
        name = body["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        assert document["components"]["schemas"][name]["additionalProperties"] is False, name
        assert body["required"]


def test_every_example_fits_its_schema(document: dict[str, Any]) -> None:
    """`#/components/…` of a schema is found in the document, which contains it."""
    for name, example in ANSWERS.items():
        answers = dict(described(document))[name]["responses"]
        (content,) = [answers[status]["content"]["application/json"] for status in answers if status.startswith("2")]
        assert content["example"] == json.loads(json.dumps(example))
        Draft202012Validator({**content["schema"], "components": document["components"]}).validate(content["example"])


def test_paths_lie_below_the_version(closed: httpx.Client, document: dict[str, Any]) -> None:
    assert document["servers"] == [{"url": "/v1"}]
    assert closed.get("/v1/openapi.json").json() == document


def test_docs_page_loads_nothing_from_anywhere(closed: httpx.Client) -> None:
    page = closed.get("/docs")
    loaded: list[str] = []

    class Collector(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert tag not in {"script", "iframe", "img", "link", "object", "embed"}
            loaded.extend(value or "" for name, value in attrs if name in {"src", "href", "action", "srcset"})

    Collector().feed(page.text)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert loaded
    assert all(address.startswith("#") or address == "openapi.json" for address in loaded)
    assert not re.search(r"https?:|//|@import|url\(", page.text)
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_docs_page_shows_every_route(closed: httpx.Client, document: dict[str, Any]) -> None:
    page = closed.get("/docs").text
    for name, operation in described(document):
        method, _, path = name.partition(" ")
        assert f'<span class="method">{method}</span> <code>{path}</code>' in page
        assert f'id="{operation["operationId"]}"' in page
    assert "curl --request POST --json @body.json --header" in page
    assert 'href="#MadeKey">MadeKey (201)</a>' in page


def test_docs_page_escapes() -> None:
    operation = {"operationId": "x", "description": "a < b <script>", "responses": {"200": {"description": "ok"}}}
    document = {
        "info": {"title": "t", "version": "1", "description": ""},
        "paths": {"/x": {"get": operation}},
        "components": {"schemas": {}},
    }
    assert "a &lt; b &lt;script&gt;" in render(document)


def test_backticks_are_code_and_nothing_else_is_markup() -> None:
    assert marked("see `/seasons` & <b>") == "see <code>/seasons</code> &amp; &lt;b&gt;"


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"$ref": "#/components/schemas/Run"}, "Run"),
        ({"type": "array", "items": {"type": "integer"}}, "list of integer"),
        ({"anyOf": [{"type": "string", "format": "date"}, {"type": "null"}]}, "date or null"),
        ({"enum": ["json", "csv"]}, '"json" | "csv"'),
        ({"type": "object", "additionalProperties": {"type": "number"}}, "object of number"),
        ({}, "any value"),
    ],
)
def test_type_in_words(schema: dict[str, Any], words: str) -> None:
    assert type_name(schema) == words


def as_far_as(example: Any, answer: Any) -> Any:
    """The answer without the fields that no object of the example has in their place."""
    if isinstance(example, dict) and isinstance(answer, dict):
        return {name: as_far_as(example.get(name), value) for name, value in answer.items() if name in example}
    if isinstance(example, list) and isinstance(answer, list) and len(example) == len(answer):
        return [as_far_as(one, other) for one, other in zip(example, answer, strict=True)]
    return answer


def test_the_page_of_routes_is_that_of_the_application(document: dict[str, Any]) -> None:
    page = ROUTES_MD.read_text()
    assert page == route_page(document), "docs/routes.md is of another time; run `make docs`"
    assert re.findall(r"^## (\S+ \S+)$", page, re.MULTILINE) == [name for name, _ in described(document)]
    section = page.partition("## GET /assessments\n")[2].partition("\n## ")[0]
    assert "Needs a key. Answer: AssessmentPage." in section
    assert "403 (the role of the key is not controller), 404 (the season is not published)." in section
    assert "| `season` | integer, needed | campaign year |" in section
    made = page.partition("## POST /keys\n")[2].partition("\n## ")[0]
    assert "Answer: MadeKey (201)." in made
    assert '| `role` (body) | "operator" \\| "controller" \\|' in made


def test_the_api_page_shows_examples_of_routes_that_exist(document: dict[str, Any]) -> None:
    shown = re.findall(r"^## GET (\S+)$", API_MD.read_text(), re.MULTILINE)
    assert len(shown) >= 8
    assert {f"GET {path}" for path in shown} <= {name for name, _ in described(document)}


def test_examples_of_the_api_page_answer_what_it_says(api: httpx.Client) -> None:
    """Each call is made against the season of these tests, and gives the answer that is printed below it.

    A column that joined the table since may be missing from an example: docs/columns.md has every one.
    """
    sections = API_MD.read_text().split("\n## GET ")[1:]
    for section in sections:
        call = re.search(r'^curl .*"\$API(.*)"$', section, re.MULTILINE)
        shown = re.search(r"^```json\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
        assert call, section
        assert shown, section
        assert "X-API-Key: $KEY" in call[0]
        example = json.loads(shown[1])
        if (route := f"GET {section.partition(chr(10))[0]}") in ANSWERS:
            assert example == json.loads(json.dumps(ANSWERS[route]))
        assert as_far_as(example, api.get(f"/v1{call[1]}").json()) == example, call[0]
