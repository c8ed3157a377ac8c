"""What `explain` says of other parcels, kept before a holding is erased.

The gates, the channel and the padding of batches follow from all parcels of a season, so that without some of them the
last bits of the others' numbers could not be had again. Nothing of the erased parcels is in what is kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from cropmap.database import queries
from cropmap.errors import CropmapError
from cropmap.progress import Counter
from cropmap.results.judgement import Whole, chunks_of, explanations_name
from cropmap.results.published import open_published
from cropmap.stages.context import SeasonContext
from cropmap.stages.products import parts_of

SCHEMA: Final = pa.schema([pa.field("parcel_id", pa.string()), pa.field("judgement", pa.string())])
WHOLE: Final = "whole"
"""name of the object that is written last"""
NO_RUN: Final = "no run is published"


def keep_explanations(context: SeasonContext, *, without: Collection[str]) -> str:
    """Keeps the judgement of every other parcel of the published run, unless it is kept. Returns what was done; where
    the run cannot be opened any more, why: then `explain` could not answer before either."""
    with context.connect() as connection:
        run_id = queries.published_run(connection, **context.key)
    if run_id is None:
        return NO_RUN
    last = f"runs/{run_id}/explanations/{WHOLE}.json"
    if context.store.exists(last):
        return "kept before"
    try:
        whole = Whole(open_published(context))
    except CropmapError as error:
        return f"not kept: {error}"
    tiles, part_of = parts_of(whole.run.data.parcels["home_tile"])
    with Counter("keep explanations", total=len(part_of), unit="parcels") as counter:
        for part, tile in enumerate(tiles):
            name = explanations_name(run_id, tile)
            if context.store.exists(name):
                counter.add(int((part_of == part).sum()))
            else:
                chunks = chunks_of(part_of, part)
                context.store.write_rows(name, SCHEMA, _judgements(whole, chunks, without, on_done=counter.add))
    context.store.write_bytes(last, json.dumps({"parcels": len(part_of)}).encode())
    return "kept"


def _judgements(
    whole: Whole, chunks: Iterator[NDArray[np.intp]], without: Collection[str], *, on_done: Callable[[float], None]
) -> Iterator[pa.Table]:
    erased = frozenset(without)
    for places in chunks:
        judged = whole.chunk(places)
        ids = [str(parcel) for parcel in whole.run.data.series.parcel_ids[places]]
        rows = [
            (parcel, json.dumps({"sections": judged[place].sections, "differences": judged[place].differences}))
            for parcel, place in zip(ids, places.tolist(), strict=True)
            if parcel not in erased
        ]
        columns = [list(column) for column in zip(*rows, strict=True)] or [[], []]
        yield pa.table(dict(zip(SCHEMA.names, columns, strict=True)), schema=SCHEMA)
        on_done(len(places))
