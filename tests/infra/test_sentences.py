"""No sentence of the documents is longer than 40 words. Code blocks, tables and addresses of links are left out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").rglob("*.md"))]
LONGEST = 40


def sentences(page: str) -> Iterator[str]:
    """Sentences of paragraphs and of list items; code and formulas within them count as one word."""
    text = re.sub(r"^ *```.*?^ *```$", "\n", page, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^(?: *\|| *#|\s*<).*$", "\n", text, flags=re.MULTILINE)
    text = re.sub(r"^ *(?:[-*]|\d+\.) ", "\n\n", text, flags=re.MULTILINE)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"`[^`]+`|\$[^$]+\$", "code", text)
    for paragraph in re.split(r"\n\s*\n", text):
        yield from filter(None, re.split(r"(?<=[.!?])[*_)\"]*\s+", " ".join(paragraph.split())))


def words(sentence: str) -> int:
    return sum(bool(re.search(r"\w", one)) for one in sentence.split())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_sentence_is_longer_than_forty_words(page: Path) -> None:
    found = sentences(page.read_text(encoding="utf-8"))
    assert [f"{words(one)} words: {one}" for one in found if words(one) > LONGEST] == []


def test_a_long_sentence_is_found_wherever_it_stands() -> None:
    long = "word " * 41 + "end."
    assert [words(one) for one in sentences(f"# Title\n\nShort one. {long}\n\n- {long}\n- Two words.\n")] == [
        2,
        42,
        42,
        2,
    ]
    assert list(sentences(f"```\n{long}\n```\n\n| {long} |\n")) == []
    assert [words(one) for one in sentences("See [the page](docs/a.md) with `cropmap serve --port 1`.")] == [5]
