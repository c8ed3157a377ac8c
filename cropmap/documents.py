"""YAML documents that people write: what a lenient reader would pass over is an error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from cropmap.errors import ConfigurationError


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice: of two values YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        lines: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                continue
            if key.value in lines:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key.value!r} stands in line {lines[key.value]} and again", key.start_mark
                )
            lines[key.value] = key.start_mark.line + 1
        return super().construct_mapping(node, deep=deep)


def read_document(path: Path) -> Any:
    """The document of a YAML file. Raises ConfigurationError with one line."""
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise ConfigurationError(f"cannot be read ({error.strerror})", where=str(path)) from error
    except RecursionError as error:
        raise ConfigurationError("is nested too deeply", where=str(path)) from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: not UTF-8, or a date such as 2018-02-30
        raise ConfigurationError(f"is not YAML ({' '.join(str(error).split())})", where=str(path)) from error
