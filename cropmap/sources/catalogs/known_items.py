"""Items of an API that a search read before, found again by their text: an unchanged item is not parsed again.

A page is split into the texts of its items, and only the rest of it is parsed. The text of an item decides what is
read of it, together with the `basis` of the search: catalogue, window, boxes, trusted places, providers, code. So the
digest of the text finds the candidate that was read of it. Only candidates are kept: whatever was refused is read
again. The record may be lost or damaged at any time: then every item is read once.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cropmap.provenance import content_hash
from cropmap.sources.catalogs.acquisition import Acquisition
from cropmap.sources.catalogs.sensings import Candidate
from cropmap.store import Store

Parse = Callable[[str], Any]

DIGEST_LENGTH: Final = 32
HEAD_LENGTH: Final = 128
"""characters at which an item is looked for; most items begin with their id"""
ALIKE: Final = 12
"""characters in which the items of a page begin alike"""
MOST_TRIED: Final = 8
"""texts of other lengths that begin alike; where there are more, the item is read as a new one"""
STAND_IN: Final = "the texts of the items"

_FEATURES: Final = re.compile(r'"features"[ \t\n\r]*:[ \t\n\r]*\[[ \t\n\r]*')
_AFTER: Final = re.compile(r"[ \t\n\r]*(?:,[ \t\n\r]*|(\]))")
_DECODER: Final = json.JSONDecoder()


@dataclass(frozen=True)
class ListedItem:
    """An item of a page, as it was written."""

    text: str
    digest: str
    """of the text"""
    known: Candidate | None
    """what was read of this text before"""
    document: Any
    """the text, parsed; None where it is known"""
    parse: Parse

    @property
    def id(self) -> str:
        if self.known is not None:
            return self.known.acquisition.item_id
        return str(self.document.get("id") if isinstance(self.document, Mapping) else self.document)

    def read(self) -> Any:
        """The item as JSON; an object of its own."""
        return self.parse(self.text) if self.known is not None else self.document


@dataclass(frozen=True)
class _Kept:
    head: str
    """the text's first characters"""
    length: int
    """of the text"""
    acquisition: bytes
    """JSON"""

    def candidate(self) -> Candidate:
        return Candidate(Acquisition.from_json(json.loads(self.acquisition)))


class KnownItems:
    """The record of one season's searches, `name` in the store; for one search at a time."""

    def __init__(self, store: Store, name: str) -> None:
        self._store, self._name = store, name
        self._basis = ""
        self._before: dict[str, _Kept] = {}
        """by digest, as is the next"""
        self._now: dict[str, _Kept] = {}
        self._lengths: dict[str, set[int]] = {}
        """of the texts that begin alike"""

    def begin(self, basis: str) -> None:
        """A search whose items are read as `basis` says; those that were read otherwise are not known."""
        known_basis, kept = self._store.recall(self._name, _from_bytes) or ("", {})
        self._basis, self._before, self._now = basis, kept if known_basis == basis else {}, {}
        lengths: dict[str, set[int]] = defaultdict(set)
        for item in self._before.values():
            lengths[item.head].add(item.length)
        self._lengths = dict(lengths)

    def page(self, text: str, parse: Parse) -> Any:
        """A page of a search as `parse` gives it, but its features are each a ListedItem where the text can be split.

        Raises what `parse` raises.
        """
        split = self._split(text, parse)
        if split is None:
            return parse(text)
        envelope, items = split
        try:
            page = parse(envelope)
        except ValueError:
            return parse(text)
        if not isinstance(page, dict) or page.get("features") != [STAND_IN]:  # those were the features of another part
            return parse(text)
        return {**page, "features": items}

    def note(self, item: ListedItem, candidate: Candidate) -> None:
        """Keeps what was read of an item."""
        if item.known is not None:
            self._now[item.digest] = self._before[item.digest]
            return
        self._now[item.digest] = _Kept(
            item.text[:HEAD_LENGTH], len(item.text), json.dumps(candidate.acquisition.to_json()).encode()
        )

    def keep(self) -> None:
        """Writes the record of what this search read, where it is another."""
        if self._now.keys() != self._before.keys():
            about = [[digest, kept.head, kept.length] for digest, kept in self._now.items()]
            rest = b"\n".join(kept.acquisition for kept in self._now.values())
            first = json.dumps({"basis": self._basis, "items": about, "size": len(rest)}).encode()
            self._store.write_bytes(self._name, b"\n".join([first, rest]))
            self._before = dict(self._now)

    def _split(self, text: str, parse: Parse) -> tuple[str, list[ListedItem]] | None:
        """The page with a stand-in for its items, and those; None where it is no page that can be split.

        Within a valid document the text of an object is nothing else wherever it stands: its quotation marks cannot
        stand within a string.
        """
        begin = _FEATURES.search(text)
        if begin is None or text.startswith("]", begin.end()):
            return None
        at, items = begin.end(), list[ListedItem]()
        try:
            while True:
                item = self._known_at(text, at, parse) or _new_at(text, at, parse)
                items.append(item)
                after = _AFTER.match(text, at + len(item.text))
                if after is None:
                    return None
                if after[1]:
                    return f"{text[: begin.end()]}{json.dumps(STAND_IN)}{text[after.start() :]}", items
                at = after.end()
        except (ValueError, RecursionError):
            return None

    def _known_at(self, text: str, at: int, parse: Parse) -> ListedItem | None:
        lengths = self._lengths.get(text[at : at + HEAD_LENGTH], ())
        ends = [at + n for n in lengths if text[at + n - 1 : at + n] == "}" and _AFTER.match(text, at + n)]
        for end in ends[:MOST_TRIED]:
            own = text[at:end]
            kept = self._before.get(digest := _digest(own))
            if kept is not None:
                return ListedItem(own, digest, kept.candidate(), None, parse)
        return None


def _new_at(text: str, at: int, parse: Parse) -> ListedItem:
    """Raises ValueError, RecursionError for what is no JSON."""
    # items of one page begin alike, as a rule; what parses as a whole is the item, wherever the next one begins
    own = text[at : text.rfind("}", at, text.find(text[at : at + ALIKE], at + 1)) + 1]
    try:
        document = parse(own)
    except ValueError:
        own = text[at : _DECODER.raw_decode(text, at)[1]]
        document = parse(own)
    return ListedItem(own, _digest(own), None, document, parse)


def _digest(text: str) -> str:
    return content_hash(text, length=DIGEST_LENGTH)


def _from_bytes(data: bytes) -> tuple[str, dict[str, _Kept]]:
    """Raises ValueError and the like for what is no such record, or not the whole of one."""
    first, _, rest = data.partition(b"\n")
    about = json.loads(first)
    if len(rest) != about["size"]:
        raise ValueError(f"{len(rest)} bytes are not {about['size']}")
    items = zip(about["items"], rest.split(b"\n") if rest else (), strict=True)
    return about["basis"], {name: _Kept(head, length, data) for (name, head, length), data in items}
