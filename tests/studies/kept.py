"""Runs of a study, kept in the store under the hash of what was asked, so that a study that was cut short goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from cropmap.provenance import value_hash
from cropmap.store import Store


def kept(store: Store, study: str, asked: dict[str, Any], run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The answer of `run`, from the store where it was asked before. `asked` names all that can change it."""
    name = f"bench/{study}/{value_hash(asked)}.json"
    if not store.exists(name):
        store.write_bytes(name, json.dumps(run()).encode())
    answer: dict[str, Any] = json.loads(store.read_bytes(name))
    return answer
