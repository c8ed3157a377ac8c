"""The last load of a season's declarations: an unchanged file is not read again.

A register of 600,000 parcels takes minutes to read and check, and a scheduled season does so every night. The load is
remembered with everything that its rows depend on, and with the register that it left.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cropmap.database import declarations as register
from cropmap.provenance import code_version, content_hash, file_hash, value_hash
from cropmap.sources.files.vector_files import source_hash
from cropmap.stages.context import SeasonContext
from cropmap.stages.declared import boundaries_path, declarations_path


def load_key(context: SeasonContext) -> str:
    """Hash of all that a load's rows depend on: the files, the agency file, the legend, the profile and the code.

    Empty where a file cannot be read: reading it says why.
    """
    agency, year = context.agency, context.season.year
    paths = (declarations_path(agency, season=year), boundaries_path(agency, season=year))
    if not all(path.is_file() or path.is_dir() for path in paths):  # a pipe would be waited for
        return ""
    try:
        files = [part for path in paths for part in (path.name, source_hash(path), *_beside(path))]
    except OSError:
        return ""
    return content_hash(
        *files,
        agency.read_legend().hash,
        value_hash(agency.read_profile().model_dump(mode="json")),
        value_hash(agency.model_dump(mode="json")),
        code_version(),
    )


def unchanged_load(context: SeasonContext, *, key: str) -> dict[str, object] | None:
    """The answer of a load where its file is loaded already; None where anything changed since, the register too."""
    last = context.store.recall(_name(context), json.loads)
    if not key or not isinstance(last, Mapping) or last.get("key") != key or last.get("left") != _left(context):
        return None
    answer: dict[str, Any] = last["answer"]
    return {**answer, **dict.fromkeys(register.CHANGES, 0), "unchanged": answer["accepted"]}


def remember_load(context: SeasonContext, answer: Mapping[str, object], *, key: str) -> None:
    """Keeps the answer of a load; `key` was made before the file was read."""
    if key:
        document = {"key": key, "left": _left(context), "answer": answer}
        context.store.write_bytes(_name(context), json.dumps(document, ensure_ascii=False).encode())


def _left(context: SeasonContext) -> str:
    with context.connect() as connection:
        return register.loaded_state(connection, **context.key)


def _name(context: SeasonContext) -> str:
    return f"declarations/{context.agency.agency}/{context.season.year}.json"


def _beside(path: Path) -> list[str]:
    """The files of the same name that some formats put beside it: attributes, encodings, a database's journal."""
    if path.is_dir():
        return []
    beside = sorted(p for p in path.parent.iterdir() if p.stem == path.stem and p != path and p.is_file())
    return [part for p in beside for part in (p.name, file_hash(p))]
