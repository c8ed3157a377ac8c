"""The documents: sentences that can be read, pages that can be found, and names of pages and modules that exist.

No sentence is longer than 40 words; code blocks, tables and addresses of links are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
LONGEST = 40
OURS = ("cropmap", "flows", "infra", "serving", "tests", "docs")
SHORTENED = ("", "cropmap")
"""a path is given from the root or, as ARCHITECTURE.md has them, from the package"""
FILE = re.compile(r"(?<![\w/.<>*{$-])[\w.-]+(?:/[\w.-]+)*\.(?:py|sql|css)(?![\w/])")
PATH = re.compile(rf"(?<![\w/.<>*{{$-])(?:{'|'.join(OURS)})/[a-z0-9_./-]*[a-z0-9_](?:/|\b)")
MODULE = re.compile(rf"(?<![\w/.-])(?:{'|'.join(OURS)})(?:\.\w+)+(?![\w/])")


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


def headings(page: Path) -> list[str]:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [re.sub(r"[`*]", "", one).strip() for one in re.findall(r"^#+ (.*)$", text, re.MULTILINE)]


def anchor(heading: str) -> str:
    """As GitHub makes it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def pointed(page: Path) -> Iterator[tuple[Path, str]]:
    """(page, heading or its anchor) of every link to a part of a page, and of every section that is named after one."""
    text = " ".join(page.read_text(encoding="utf-8").split())
    for target, part in re.findall(r"\]\(([\w./-]+\.md)#([\w-]+)\)", text):
        yield (page.parent / target).resolve(), part
    for target, part in re.findall(r"\]\(([\w./-]+\.md)\), sections? \"([^\"]+)\"", text):
        yield (page.parent / target).resolve(), part


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_part_of_a_page_that_is_named_exists(page: Path) -> None:
    lost = [
        f"{target.name}: {part}"
        for target, part in pointed(page)
        if part not in {*headings(target), *map(anchor, headings(target))}
    ]
    assert lost == []


def test_a_part_of_a_page_that_is_gone_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# Page\n\n## A `code`, and more: 2 x\n\n```\n# no heading\n```\n", encoding="utf-8")
    naming = tmp_path / "b.md"
    naming.write_text('[a](a.md#a-code-and-more-2-x), [a](a.md#gone); [a](a.md),\nsection "Page"', encoding="utf-8")
    found = list(pointed(naming))
    assert [part for _, part in found] == ["a-code-and-more-2-x", "gone", "Page"]
    assert headings(tmp_path / "a.md") == ["Page", "A code, and more: 2 x"]
    assert [anchor(one) for one in headings(tmp_path / "a.md")] == ["page", "a-code-and-more-2-x"]


def missing(text: str) -> Iterator[str]:
    """Paths and modules that the code spans of a page name, and that are not there.

    A name without a folder lies beside a path of the page: in its folder, or in the one below or above.
    """
    spans = re.findall(r"`([^`\n]+)`", text)
    given = {one.rstrip("/") for span in spans for pattern in (FILE, PATH) for one in pattern.findall(span)}
    whole = {one: [ROOT / below / one for below in SHORTENED] for one in given if "/" in one}
    found = [place for places in whole.values() for place in places if place.exists()]
    beside = {folder for place in found for folder in (place, place.parent, place.parent.parent)}
    beside |= {ROOT, ROOT / "cropmap"}
    for one in sorted(given):
        if not any(place.exists() for place in whole.get(one, [folder / one for folder in beside])):
            yield one
    for one in sorted({name for span in spans for name in MODULE.findall(span)}):
        if not is_module(one):
            yield one


def is_module(name: str) -> bool:
    """A module, or what stands in one (`cropmap.interruption.settle`)."""
    parts = name.split(".")
    ends = range(len(parts), 1, -1)
    paths = [ROOT.joinpath(*parts[:end]) for end in ends]
    return any(path.is_dir() or path.with_suffix(".py").is_file() for path in paths)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_module_that_a_page_names_exists(page: Path) -> None:
    assert list(missing(page.read_text(encoding="utf-8"))) == []


def test_a_module_that_is_gone_is_found_however_it_is_named() -> None:
    there = (
        "`cropmap/digests.py`, `model/gate.py`, `fold.py`, `cropmap.database.work`, `tests/studies`, `cropmap/model/`"
    )
    assert list(missing(there)) == []
    gone = "`cropmap/gone.py`, `model/gone.py`, `gone.py`, `cropmap.gone.work`, `tests/gone`, `cropmap/model/gone/`"
    assert list(missing(f"{there}; {gone}")) == [
        "cropmap/gone.py",
        "cropmap/model/gone",
        "gone.py",
        "model/gone.py",
        "tests/gone",
        "cropmap.gone.work",
    ]
    assert list(missing("`observations/<agency>/<tile>/x.py`, `cropmap.log`, ../docs/none.md")) == ["cropmap.log"]
