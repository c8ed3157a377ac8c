"""The page `docs/routes.md`: every route with its parameters, answer and statuses, from the OpenAPI document."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap
from typing import Final

from serving.app import PROBLEMS, create_app
from serving.openapi.docs import Schema, operations
from serving.settings import ServingSettings

WIDTH: Final = 120
NOWHERE: Final = "postgresql://nobody@127.0.0.1:1/none"
"""the application is made and not started: it describes itself without a database"""


def route_page(document: Schema) -> str:
    """Markdown for an OpenAPI document; `make docs` writes it."""
    lines = [
        "# Routes of the REST API",
        "",
        *_wrapped(
            "Written by `make docs` from the application. [REST API](api.md) explains keys, limits and errors, and "
            "shows examples. `/docs` of a running API also shows every field of the answers. Paths are below `/v1`."
        ),
    ]
    for operation in operations(document):
        lines += _section(operation)
    return "\n".join(lines) + "\n"


def _section(operation: Schema) -> Iterator[str]:
    yield from ("", f"## {operation['method']} {operation['path']}", "")
    yield "\n\n".join("\n".join(_wrapped(part)) for part in operation["description"].split("\n\n"))
    own = [f"{status} ({meaning})" for status, meaning in operation["statuses"] if not _is_common(status, meaning)]
    yield ""
    yield from _wrapped(f"{'Needs a key' if operation['keyed'] else 'Needs no key'}. Answer: {operation['answer']}.")
    if own:
        yield from _wrapped(f"Statuses of its own: {', '.join(own)}.")
    if operation["parameters"]:
        yield from ("", "| parameter | type | meaning |", "|---|---|---|")
        for parameter in operation["parameters"]:
            kind = parameter["type"] + (", needed" if parameter["required"] else "")
            place = f" ({parameter['in']})" if parameter["in"] in ("header", "body") else ""
            yield f"| `{parameter['name']}`{place} | {_cell(kind)} | {_cell(parameter.get('description', ''))} |"


def _is_common(status: str, meaning: str) -> bool:
    """Whether it is the answer itself, or one that every route with a key may give: the other page has those."""
    return status.startswith("2") or PROBLEMS.get(int(status), {}).get("description") == meaning


def _wrapped(text: str) -> list[str]:
    return wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    print(route_page(create_app(ServingSettings(database_url=NOWHERE, store="")).openapi()), end="")
