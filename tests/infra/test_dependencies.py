"""Every package that the program imports is declared: nothing works by what another package happens to bring."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("cropmap", "flows", "serving")
OPTIONAL = {"breizhcrops"}
"""looked for where it is used, with a word where it is missing"""


def declared(*extras: str) -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = [*project["dependencies"], *(one for extra in extras for one in project["optional-dependencies"][extra])]
    return {_normal(re.split(r"[\[<>=! ]", one)[0]) for one in named}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found - sys.stdlib_module_names - set(ROOMS) - OPTIONAL


def undeclared(*, benches: bool) -> dict[str, set[str]]:
    of, known = packages_distributions(), declared("dask", *(["peers"] if benches else []))
    found: dict[str, set[str]] = {}
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            if (path.parent.name == "bench") == benches:
                for name in imported(path):
                    if not {_normal(one) for one in of.get(name, [])} & known:
                        found.setdefault(name, set()).add(str(path.relative_to(ROOT)))
    return found


def test_what_the_program_imports_is_declared() -> None:
    assert undeclared(benches=False) == {}


def test_what_the_benches_import_is_declared_with_their_peers() -> None:
    assert undeclared(benches=True) == {}


def test_every_declared_package_has_a_pinned_version() -> None:
    pinned = {
        _normal(line.partition("==")[0]) for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line
    }
    assert declared("dev", "peers", "dask") - pinned == set()
