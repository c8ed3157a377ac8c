"""YAML documents that people write: profiles and agency files. In: a file. Out: plain values, or one line why not.

Stricter than YAML: a key that stands twice, and a document of absurd depth or size, are mistakes or traps.
"""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any, Final

import yaml

from cropmap.errors import ConfigurationError

MAX_BYTES: Final = 2**20
MAX_DEPTH: Final = 40
MERGE: Final = "tag:yaml.org,2002:merge"
MAX_NODES: Final = 200_000
"""values, aliases followed"""


class _TooDeepError(Exception):
    pass


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice, of which YAML would silently keep the last, and what is nested without end."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _TooDeepError
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == MERGE:
                continue
            if key.value in lines:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key.value!r} stands in line {lines[key.value]} and again", key.start_mark
                )
            lines[key.value] = key.start_mark.line + 1
        return super().construct_mapping(node, deep=deep)

    def document(self) -> Any:
        try:
            node = self.get_single_node()
            if node is None:
                return None
            if _nodes(node, {}) > MAX_NODES:
                raise yaml.constructor.ConstructorError(None, None, "aliases (*) blow it up", node.start_mark)
            return self.construct_document(node)
        finally:
            self.dispose()


def _nodes(node: yaml.Node, known: dict[int, int]) -> int:
    """How many values a node stands for, aliases followed."""
    if id(node) not in known:
        known[id(node)] = MAX_NODES + 1  # one that holds itself has no end
        below = node.value if isinstance(node, yaml.SequenceNode | yaml.MappingNode) else []
        parts = [part for each in below for part in (each if isinstance(each, tuple) else (each,))]
        known[id(node)] = 1 + sum(_nodes(part, known) for part in parts)
    return known[id(node)]


def read_document(path: Path) -> Any:
    """Raises ConfigurationError where the file cannot be read or is no such document."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"cannot be read ({error.strerror})", where=str(path)) from error
    if len(data) > MAX_BYTES:
        raise ConfigurationError("is too large for a file of settings", where=str(path))
    try:
        return _Loader(data.decode("utf-8-sig")).document()
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise ConfigurationError(f"is not YAML ({line}{_line(error.problem or error)})", where=str(path)) from error
    except (_TooDeepError, RecursionError) as error:
        raise ConfigurationError("is nested too deeply", where=str(path)) from error
    except (yaml.YAMLError, ValueError, TypeError, OverflowError) as error:
        # ValueError: a day that does not exist (0000-01-01), bytes that are not UTF-8
        raise ConfigurationError(f"is not YAML ({_line(error)})", where=str(path)) from error


def _line(error: object) -> str:
    return " ".join(str(error).split())[:200]
