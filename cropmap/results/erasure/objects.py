"""Objects of the store without some parcels.

Every kind of object is named in KINDS, by the first part of its name. Tables of results and observations are written
anew without the parcels' rows, in the order that they had and with a digest of their own: a reader finds a whole object
and no damage. What can be made again is removed. An object is changed wholly or not at all, and one without the parcels
is left alone.
"""

from __future__ import annotations

import io
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from cropmap.database.erasure import Subject
from cropmap.errors import ArtifactError
from cropmap.model.artifact import read_manifest
from cropmap.provenance import content_hash
from cropmap.store import Store

PARCEL_ID: Final = "parcel_id"
PARCEL_IDS: Final = "parcel_ids.npy"
FACTS: Final = "facts.json"
SHARED_DEPTH: Final = 3
"""slashes in `datasets/<agency>/<hash>/<file>`"""


@dataclass(frozen=True)
class Wanted:
    """Whose objects are meant."""

    store: Store
    subject: Subject
    runs: frozenset[str]
    """every run of the season"""
    outlines: frozenset[str]
    """`content_hash` of the outlines that the parcels have or had"""
    used_elsewhere: frozenset[str] = field(default=frozenset())
    """parcel sets that observations of other seasons are of"""

    @cached_property
    def ids(self) -> pa.Array:
        return pa.array(self.subject.parcel_ids, pa.string())

    @cached_property
    def names(self) -> frozenset[str]:
        return frozenset(self.subject.parcel_ids)

    @property
    def season(self) -> str:
        return f"{self.subject.agency}/{self.subject.season}"

    @cached_property
    def trained_on(self) -> frozenset[str]:
        """Datasets that the season's models were trained on."""
        found = set()
        for name in self.store.names(f"models/{self.subject.agency}"):
            record = self.store.recall(name, json.loads) or {}
            for model in [record, *record.get("former", [])]:
                if model.get("season") == self.subject.season:
                    found.add(_dataset_of(self.store, str(model.get("artifact_id"))))
        return frozenset(found - {""})

    def holds(self, parcel_ids: NDArray[Any]) -> bool:
        return bool(np.isin(parcel_ids, np.array(self.subject.parcel_ids, dtype=np.str_)).any())


def _dataset_of(store: Store, artifact_id: str) -> str:
    try:
        return read_manifest(store, artifact_id).dataset_hash
    except ArtifactError:
        return ""


Change: TypeAlias = "Callable[[], object] | None"
"""makes the object what it is to be; None where it stays"""


def _of_season(wanted: Wanted, name: str) -> Change:
    if not name.startswith(f"observations/{wanted.season}/"):
        return None
    return _without_rows(wanted, name)


def _of_run(wanted: Wanted, name: str) -> Change:
    if name.split("/")[1] not in wanted.runs or not name.endswith(".parquet"):
        return None
    return _without_rows(wanted, name) if PARCEL_ID in wanted.store.read_schema(name).names else None


def _without_rows(wanted: Wanted, name: str) -> Change:
    store = wanted.store
    if wanted.subject.is_whole:
        return lambda: store.remove(name)
    if not len(store.read_table(name, columns=[PARCEL_ID], rows=pc.field(PARCEL_ID).isin(wanted.ids))):
        return None

    def left() -> Iterator[pa.Table]:
        for rows in store.read_rows(name):
            yield rows.filter(pc.invert(pc.is_in(rows[PARCEL_ID], wanted.ids)))

    return lambda: store.write_rows(name, store.read_schema(name), left())


def _outline_hashes(wanted: Wanted, name: str) -> Change:
    """A parcel set: its name stays, so that observations of the others are of it."""
    store = wanted.store
    if name.removeprefix("parcel_sets/").removesuffix(".json") in wanted.used_elsewhere:
        return None
    known: Mapping[str, str] | None = store.recall(name, json.loads)
    if known is None:  # damaged, and made again
        return lambda: store.remove(name)
    left = {
        parcel: outline
        for parcel, outline in known.items()
        if parcel not in wanted.names or outline not in wanted.outlines
    }
    if len(left) == len(known):
        return None
    if not left:
        return lambda: store.remove(name)
    return lambda: store.write_bytes(name, json.dumps(left, ensure_ascii=False).encode())


def _covered_pixels(wanted: Wanted, name: str) -> Change:
    ids = wanted.store.recall(name, lambda data: _array(data, "parcel_ids"))  # None: damaged, and made again
    return (lambda: wanted.store.remove(name)) if ids is None or wanted.holds(ids) else None


def _dataset(wanted: Wanted, name: str) -> Change:
    """A folder of arrays goes as a whole, when its identifiers are come upon. One that another agency shares with its
    workers is that agency's."""
    store, (folder, _, file) = wanted.store, name.rpartition("/")
    owner = name.split("/")[1] if name.count("/") == SHARED_DEPTH else wanted.subject.agency
    if (
        file != PARCEL_IDS
        or owner != wanted.subject.agency
        or not wanted.holds(store.read(name, lambda data: np.load(io.BytesIO(data))))
    ):
        return None
    if store.is_local:
        return lambda: shutil.rmtree(store.local_path(folder), ignore_errors=True)

    def remove() -> None:
        for each in sorted(store.names(folder), key=lambda each: not each.endswith(FACTS)):  # without, it is no dataset
            store.remove(each)

    return remove


def _fold(wanted: Wanted, name: str) -> Change:
    """Weights and scores by position in a dataset; the artifact that was made of them stays."""
    return (lambda: wanted.store.remove(name)) if name.split("/")[1] in wanted.trained_on else None


def _last_load(wanted: Wanted, name: str) -> Change:
    return (lambda: wanted.store.remove(name)) if name == f"declarations/{wanted.season}.json" else None


def _array(data: bytes, name: str) -> NDArray[Any]:
    with np.load(io.BytesIO(data), allow_pickle=False) as file:
        array: NDArray[Any] = file[name]
        return array


def _nothing_of_parcels(_: Wanted, __: str) -> Change:
    return None


KINDS: Final[Mapping[str, Callable[[Wanted, str], Change]]] = {
    "observations": _of_season,
    "runs": _of_run,
    "parcel_sets": _outline_hashes,
    "coverage": _covered_pixels,
    "datasets": _dataset,
    "training": _fold,
    "declarations": _last_load,
    **dict.fromkeys(
        (
            "artifacts",  # weights, scores of a whole season, what all training parcels look like together
            "models",  # which artifact predicts
            "grids",
            "items",  # the catalogue's
            "checked",  # versions of observation files
            "offsets",  # medians over a tile's parcels
            "judged",
            "rates",  # seconds and bytes
            "mlflow",  # pictures of all parcels together, the artifact's files
            "cluster",  # which command a cluster works for
            ".doctor",
        ),
        _nothing_of_parcels,
    ),
}
"""how each kind of object loses parcels, by the first part of its name"""


def kind_of(name: str) -> str:
    return name.partition("/")[0]


def erase_objects(
    wanted: Wanted, *, dry_run: bool = False, on_done: Callable[[float], None] = lambda _: None
) -> dict[str, int]:
    """Number of objects that were changed or removed, by kind; with `dry_run` those that would be. `unknown` counts
    objects that no version of this program writes: they are left alone."""
    counts: Counter[str] = Counter()
    for name in wanted.store.names(""):
        change = KINDS[kind_of(name)](wanted, name) if kind_of(name) in KINDS and wanted.store.exists(name) else None
        if change is not None and not dry_run:
            change()
        counts[kind_of(name)] += change is not None
        counts["unknown"] += kind_of(name) not in KINDS
        on_done(1)
    return {kind: count for kind, count in sorted(counts.items()) if count}


def hashes_of(outlines: list[bytes]) -> frozenset[str]:
    return frozenset(content_hash(outline) for outline in outlines)
