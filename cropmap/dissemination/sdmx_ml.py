"""SDMX-ML 2.1: the long form as a generic or a structure-specific data message, one series per crop and region.

A missing or hidden figure has no observation value, and keeps its CONF_STATUS. Every attribute belongs to the
observation, as in the data structure (`sdmx_structure`). An attribute without a value is left out.
(SDMX 2.1 Technical Specifications, section 3A, schemas SDMXDataGeneric.xsd and SDMXDataStructureSpecific.xsd.)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import groupby
from typing import Final, Literal
from xml.sax.saxutils import escape, quoteattr

import pandas as pd

from cropmap.dissemination.long_form import ATTRIBUTES, DIMENSIONS, FIGURES
from cropmap.dissemination.numbers import decimal_text
from cropmap.dissemination.registry import Wanted, Writer
from cropmap.dissemination.sdmx_csv import CV_DECIMALS
from cropmap.dissemination.sdmx_structure import MEASURE, NAMESPACE, TIME, dataflow_parts

Kind = Literal["generic", "structured"]
AtObservation = Literal["TIME_PERIOD", "AllDimensions"]
"""the dimension that changes from observation to observation; AllDimensions: there are no series"""
SERIES: Final = tuple(name for name in DIMENSIONS if name != TIME)
NAMESPACES: Final[Mapping[Kind, Mapping[str, str]]] = {
    "generic": {"mes": "message", "com": "common", "gen": "data/generic"},
    "structured": {"mes": "message", "com": "common", "data": "data/structurespecific"},
}
ROOT: Final[Mapping[Kind, str]] = {"generic": "GenericData", "structured": "StructureSpecificData"}
INSTANCE: Final = "http://www.w3.org/2001/XMLSchema-instance"
Texts = dict[str, str]
"""component -> text of a row; what has no value is not in it"""


def write(
    table: pd.DataFrame,
    *,
    kind: Kind,
    dataflow: str,
    source: str = "",
    prepared_at: datetime,
    decimals: int,
    at_observation: AtObservation = TIME,
    keys_only: bool = False,
) -> bytes:
    """`table`: the long form, sorted. `dataflow`: agency:id(version), InputError for another form. `keys_only` writes
    the series without their observations."""
    rows = _rows(table, decimals=decimals)
    body = _flat(rows, kind) if at_observation != TIME else _in_series(rows, kind, keys_only=keys_only)
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        *_head(kind, dataflow, source=source, prepared_at=prepared_at, at_observation=at_observation),
        *body,
        "</mes:DataSet>",
        f"</mes:{ROOT[kind]}>",
    ]
    return "\n".join([*lines, ""]).encode()


def _written(table: pd.DataFrame, wanted: Wanted, *, kind: Kind) -> bytes:
    about = wanted.about
    prepared_at = about.updated or datetime.now(UTC)
    return write(
        table,
        kind=kind,
        dataflow=about.dataflow,
        source=about.source,
        prepared_at=prepared_at,
        decimals=wanted.decimals,
        at_observation=TIME,
    )


WRITERS: Final[Mapping[str, Writer]] = {
    "sdmx-ml": partial(_written, kind="generic"),
    "sdmx-ml-structured": partial(_written, kind="structured"),
}


def _rows(table: pd.DataFrame, *, decimals: int) -> list[Texts]:
    columns: dict[str, Sequence[str]] = {}
    for name in (*DIMENSIONS, MEASURE, "OBS_FLAG", "CONF_STATUS", *ATTRIBUTES):
        if name not in table:
            continue
        if name in FIGURES:
            places = CV_DECIMALS if name == "CV" else decimals
            columns[name] = decimal_text(table[name].to_numpy(float), decimals=places)
        else:
            columns[name] = [str(value) for value in table[name]]
    lines = zip(*columns.values(), strict=True)
    return [{name: text for name, text in zip(columns, line, strict=True) if text} for line in lines]


def _head(
    kind: Kind, dataflow: str, *, source: str, prepared_at: datetime, at_observation: AtObservation
) -> Iterator[str]:
    """Root, header and the beginning of the data set."""
    named = dataflow_parts(dataflow)
    structure = {"agencyID": named["agency"], "id": named["id"], "version": named["version"]}
    names = {f"xmlns:{prefix}": NAMESPACE + name for prefix, name in NAMESPACES[kind].items()}
    of_structure = {"structureID": named["id"]}
    of_set = {"structureRef": named["id"], "action": "Information"}
    if kind == "structured":
        space = f"urn:sdmx:org.sdmx.infomodel.datastructure.DataStructure={dataflow}:ObsLevelDim:{at_observation}"
        names |= {"xmlns:xsi": INSTANCE, "xmlns:flow": space}
        of_structure["namespace"] = space
        of_set = {f"data:{name}": text for name, text in of_set.items()}
        of_set |= {"data:dataScope": "DataStructure", "xsi:type": "flow:DataSetType"}
    yield _tag(f"mes:{ROOT[kind]}", names, closed=False)
    yield "<mes:Header>"
    yield f"<mes:ID>{escape(named['id'])}</mes:ID>"
    yield "<mes:Test>false</mes:Test>"
    yield f"<mes:Prepared>{prepared_at.isoformat(timespec='seconds')}</mes:Prepared>"
    yield _tag("mes:Sender", {"id": named["agency"]})
    yield _tag("mes:Structure", of_structure | {"dimensionAtObservation": at_observation}, closed=False)
    reference = _tag("Ref", structure | {"class": "DataStructure", "package": "datastructure"})
    yield f"<com:Structure>{reference}</com:Structure>"
    yield "</mes:Structure>"
    if source:
        yield f'<mes:Source xml:lang="en">{escape(source)}</mes:Source>'
    yield "</mes:Header>"
    yield _tag("mes:DataSet", of_set, closed=False)


def _in_series(rows: Sequence[Texts], kind: Kind, *, keys_only: bool) -> Iterator[str]:
    for key, group in groupby(rows, key=lambda row: tuple(row[name] for name in SERIES)):
        codes = dict(zip(SERIES, key, strict=True))
        observations = [] if keys_only else [{k: v for k, v in row.items() if k not in codes} for row in group]
        if kind == "generic":
            yield f"<gen:Series>{_values('SeriesKey', codes)}"
            yield from (_generic(row) for row in observations)
            yield "</gen:Series>"
        else:
            yield _tag("Series", codes, closed=False)
            yield from (_tag("Obs", row) for row in observations)
            yield "</Series>"


def _flat(rows: Sequence[Texts], kind: Kind) -> Iterator[str]:
    for row in rows:
        yield _generic(row) if kind == "generic" else _tag("Obs", row)


def _generic(row: Texts) -> str:
    """An observation; within a series it has no other dimension than time."""
    codes: Texts = {name: row[name] for name in DIMENSIONS if name in row}
    attributes = {name: text for name, text in row.items() if name not in codes and name != MEASURE}
    alone = list(codes) == [TIME]
    key = _tag("gen:ObsDimension", {"value": codes[TIME]}) if alone else _values("ObsKey", codes)
    value = _tag("gen:ObsValue", {"value": row[MEASURE]}) if MEASURE in row else ""
    return f"<gen:Obs>{key}{value}{_values('Attributes', attributes) if attributes else ''}</gen:Obs>"


def _values(name: str, values: Mapping[str, str]) -> str:
    inner = "".join(_tag("gen:Value", {"id": key, "value": text}) for key, text in values.items())
    return f"<gen:{name}>{inner}</gen:{name}>"


def _tag(name: str, attributes: Mapping[str, str], *, closed: bool = True) -> str:
    texts = "".join(f" {key}={quoteattr(text)}" for key, text in attributes.items())
    return f"<{name}{texts}{'/' if closed else ''}>"
