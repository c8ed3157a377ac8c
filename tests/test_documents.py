"""YAML documents: what a lenient reader would pass over is one line."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from cropmap.documents import read_document
from cropmap.errors import ConfigurationError

NAMES = "abcdefgh"
LAUGHS = f"a: &a [{', '.join('x' * 9)}]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in itertools.pairwise(NAMES)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", "key 'a' stands in line 1 and again"),
        ("x: {y: 1, y: 2}\n", "key 'y' stands in line 1 and again"),
        ("day: 0000-01-01\n", "is not YAML .year 0 is out of range"),
        ("day: 2018-02-30\n", "is not YAML .day is out of range"),
        ("a: " + "[" * 2_000, "nested too deeply"),
        ("a: &a [*a]\n", "aliases .* blow it up"),
        (LAUGHS, "aliases .* blow it up"),
        ("a: !!python/object:os.system x\n", "could not determine a constructor"),
        ("a: [1, 2\n", "is not YAML"),
        ("\xff", "is not YAML"),
    ],
)
def test_what_is_no_document_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "x.yaml").write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigurationError, match=said) as caught:
        read_document(tmp_path / "x.yaml")
    assert "\n" not in str(caught.value)


def test_anchors_are_a_convenience_of_people(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text("base: &b {k: 1}\none: {<<: *b, n: 2}\ntwo: *b\n", encoding="utf-8-sig")
    assert read_document(tmp_path / "x.yaml") == {"base": {"k": 1}, "one": {"k": 1, "n": 2}, "two": {"k": 1}}
