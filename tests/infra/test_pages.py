"""The documents: sentences that can be read, pages that can be found, and names of pages that exist.

No sentence is longer than 40 words; code blocks, tables and addresses of links are left out.
"""

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


def test_the_readme_fits_a_hundred_lines() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 100


def named(path: Path) -> set[Path]:
    """Pages and pictures that a file names by their path from the root, or links to."""
    text = path.read_text(encoding="utf-8")
    found = {ROOT / one for one in re.findall(r"(?<![\w/])docs/[\w./-]*\.(?:md|png|svg)", text)}
    if path.suffix == ".md":
        linked = re.findall(r"\]\(([^)#:]+\.(?:md|png|svg))[^)]*\)", text)
        found |= {(path.parent / one).resolve() for one in linked}
    return found


def test_every_page_and_picture_that_is_named_exists() -> None:
    code = [one for room in ("cropmap", "flows", "serving", "infra") for one in sorted((ROOT / room).rglob("*.py"))]
    wrong = {
        f"{path.relative_to(ROOT)}: {one.relative_to(ROOT)}"
        for path in [*PAGES, *code]
        for one in named(path)
        if not one.exists()
    }
    assert wrong == set()


def test_every_page_and_picture_of_the_docs_is_named_by_another() -> None:
    files = {one for one in (ROOT / "docs").rglob("*") if one.is_file()}
    assert files - {one for page in PAGES for one in named(page) if one != page} == set()
