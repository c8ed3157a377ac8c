"""SDMX-JSON 1.0 and 2.0: the long form as a data message, one series per crop, measure and region.

A series and an observation are named by the places of their codes in `structure`. A missing or hidden figure is null,
and keeps its CONF_STATUS. (SDMX-JSON data message, versions 1.0 of SDMX 2.1 and 2.0.0 of SDMX 3.0; sdmx-twg/sdmx-json.)
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, Literal

import pandas as pd

from cropmap.dissemination import vocabulary
from cropmap.dissemination.long_form import ATTRIBUTES, DIMENSIONS, FIGURES
from cropmap.dissemination.names import CONCEPT, CONCEPTS, ENGLISH, ENGLISH_ONLY, LABEL, TABLE, Names, code_lists
from cropmap.dissemination.numbers import decimal_text
from cropmap.dissemination.registry import Wanted, Writer
from cropmap.dissemination.sdmx_csv import CV_DECIMALS
from cropmap.dissemination.sdmx_structure import MEASURE, TIME, dataflow_parts

Version = Literal["1.0", "2.0.0"]
SCHEMAS: Final = "https://raw.githubusercontent.com/sdmx-twg/sdmx-json/master/data-message/tools/schemas/"
URN: Final = "urn:sdmx:org.sdmx.infomodel.datastructure."
SERIES: Final = tuple(name for name in DIMENSIONS if name != TIME)
FLAG: Final = "OBS_FLAG"
Part = dict[str, Any]
"""an object of the message"""


def write(
    table: pd.DataFrame,
    *,
    version: Version,
    dataflow: str,
    prepared_at: datetime,
    decimals: int,
    names: Names = ENGLISH_ONLY,
    language: str = ENGLISH,
) -> bytes:
    """`table`: the long form, sorted. `dataflow`: agency:id(version), InputError for another form. `name` is in the
    language, and where there are several, `names` has every one."""
    named = dataflow_parts(dataflow)
    codes = {name: list(dict.fromkeys(map(str, table[name]))) for name in DIMENSIONS}
    texts = _attribute_texts(table, decimals=decimals)
    used = {name: [text for text in dict.fromkeys(column) if text] for name, column in texts.items()}
    attributes = {name: values for name, values in used.items() if values}
    structure = _structure(codes, attributes, version, _Named(names, language))
    data_set: Part = {"action": "Information", "series": _series(table, codes, texts, used, decimals=decimals)}
    if version == "1.0":
        data: Part = {"structure": structure, "dataSets": [data_set]}
    else:
        links = {
            what: [{"rel": what.lower(), "urn": f"{URN}{what}={dataflow}"}] for what in ("Dataflow", "DataStructure")
        }
        structure = {"dataSets": [0], "links": [*links["Dataflow"], *links["DataStructure"]], **structure}
        data = {"structures": [structure], "dataSets": [{"structure": 0, "links": links["Dataflow"], **data_set}]}
    meta = {
        "schema": f"{SCHEMAS}{version}/sdmx-json-data-schema.json",
        "id": named["id"],
        "test": False,
        "prepared": prepared_at.isoformat(timespec="seconds"),
        **({"contentLanguages": list(names.languages)} if version != "1.0" else {}),
        "sender": {"id": named["agency"]},
    }
    return json.dumps({"meta": meta, "data": data}, ensure_ascii=False, indent=1, allow_nan=False).encode()


def _written(table: pd.DataFrame, wanted: Wanted, *, version: Version) -> bytes:
    about = wanted.about
    prepared_at = about.updated or datetime.now(UTC)
    return write(
        table,
        version=version,
        dataflow=about.dataflow,
        prepared_at=prepared_at,
        decimals=wanted.decimals,
        names=about.names or ENGLISH_ONLY,
        language=about.language,
    )


WRITERS: Final[Mapping[str, Writer]] = {
    "sdmx-json": partial(_written, version="1.0"),
    "sdmx-json-2": partial(_written, version="2.0.0"),
}


def _attribute_texts(table: pd.DataFrame, *, decimals: int) -> dict[str, Sequence[str]]:
    """The text of every attribute in every row; empty where it has none."""
    texts: dict[str, Sequence[str]] = {}
    for name in (FLAG, "CONF_STATUS", *ATTRIBUTES):
        if name not in table:
            continue
        if name in FIGURES:
            places = CV_DECIMALS if name == "CV" else decimals
            texts[name] = decimal_text(table[name].to_numpy(float), decimals=places)
        else:
            texts[name] = [str(value) for value in table[name]]
    return texts


@dataclass(frozen=True)
class _Named:
    """What is called how: parts of the message."""

    names: Names
    language: str

    def of(self, code_list: str, code: str, english: str) -> Part:
        best = {"name": self.names.best(code_list, code, english, language=self.language)}
        every = self.names.every(code_list, code, english)
        return best if len(every) == 1 else {**best, "names": every}

    def concept(self, name: str) -> Part:
        return self.of(CONCEPT, name, CONCEPTS[name])


def _structure(
    codes: Mapping[str, Sequence[str]], attributes: Mapping[str, Sequence[str]], version: Version, named: _Named
) -> Part:
    lists = {**code_lists(), FLAG: vocabulary.flag_meanings()}
    is_first = version == "1.0"

    def values(name: str, texts: Sequence[str]) -> list[Part]:
        if name in lists or name in DIMENSIONS:
            return [{"id": text, **named.of(name, text, lists.get(name, {}).get(text, text))} for text in texts]
        return [{"name" if is_first else "value": text} for text in texts]

    def dimension(name: str) -> Part:
        role: Part = {} if name != TIME else {"role": TIME} if is_first else {"roles": [TIME]}
        place = {"keyPosition": DIMENSIONS.index(name)}
        return {"id": name, **named.concept(name), **place, **role, "values": values(name, codes[name])}

    def attribute(name: str) -> Part:
        relationship: Part = {} if is_first else {"relationship": {"observation": {}}}
        return {"id": name, **named.concept(name), **relationship, "values": values(name, attributes[name])}

    measures: Part = {} if is_first else {"measures": {"observation": [{"id": MEASURE, **named.concept(MEASURE)}]}}
    return {
        **named.of(CONCEPT, TABLE, LABEL),
        "dimensions": {"dataSet": [], "series": [dimension(name) for name in SERIES], "observation": [dimension(TIME)]},
        **measures,
        "attributes": {"dataSet": [], "series": [], "observation": [attribute(name) for name in attributes]},
    }


def _series(
    table: pd.DataFrame,
    codes: Mapping[str, Sequence[str]],
    texts: Mapping[str, Sequence[str]],
    used: Mapping[str, Sequence[str]],
    *,
    decimals: int,
) -> Part:
    """key of places -> its observations: value, and the place of each attribute's text or null."""
    places = {name: {code: place for place, code in enumerate(known)} for name, known in {**codes, **used}.items()}
    written = [name for name in texts if used[name]]
    keys = zip(*([places[name][str(code)] for code in table[name]] for name in SERIES), strict=True)
    periods = [places[TIME][str(period)] for period in table[TIME]]
    attributes = [[places[name].get(text) for text in texts[name]] for name in written]
    series: Part = {}
    for number, (key, period, value) in enumerate(zip(keys, periods, table[MEASURE], strict=True)):
        figure = None if math.isnan(value) else round(float(value), decimals)
        observations = series.setdefault(":".join(map(str, key)), {"observations": {}})["observations"]
        observations[str(period)] = [figure, *(column[number] for column in attributes)]
    return series
