"""Crops that a file names by a link: INSPIRE land use as member states publish it, in GML or in flatter formats.

`specificLandUse` has an `xlink:href` into a national code list, whose last part is the code, and often an `xlink:title`
with the name. Pure functions on attributes as text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from cropmap.sources.files.vector_formats import SEVERAL

LAST_PART: Final = r"^(?:[^;]*[/#:=])?([^/#:=;]+)/?$"
"""code_pattern of a link: its last part; nothing where a field holds several links, because one of them is the crop and
the pattern does not show which"""
WHERE_AND_CODE: Final = r"^(.*[/#:=])([^/#:=]+)/?$"
LINK: Final = re.compile(r"^(?:https?://|urn:|//)\S+$", re.IGNORECASE)
LINKS: Final = 0.9
"""share of the filled rows from which on a column holds links"""


def code_patterns(attributes: pd.DataFrame) -> dict[str, str]:
    """Columns of links, each with the regular expression whose first group is the code."""
    return {str(name): _pattern(attributes[name]) for name in attributes if _holds_links(attributes[name])}


def coded(attributes: pd.DataFrame, patterns: Mapping[str, str]) -> pd.DataFrame:
    """The attributes with the codes in the place of their links; a field in which none is found keeps its text."""
    codes = {
        name: attributes[name].str.extract(pattern, expand=False).astype(object).fillna(attributes[name])
        for name, pattern in patterns.items()
    }
    return attributes.assign(**codes) if codes else attributes


def notes(attributes: pd.DataFrame, patterns: Mapping[str, str]) -> list[str]:
    """The note on columns with several links in one field, where the crop's is not marked."""
    unclear = [name for name, pattern in patterns.items() if pattern == LAST_PART]
    several = [name for name in unclear if attributes[name].str.contains(SEVERAL, regex=False, na=False).any()]
    text = f"holds several values in some rows, apart by '{SEVERAL}': write a code_pattern that finds the crop's"
    return [f"{name} {text}" for name in several]


def _holds_links(column: pd.Series[Any]) -> bool:
    filled = column.dropna().astype(str)
    return len(filled) > 0 and float(filled.str.split(SEVERAL).str[0].str.match(LINK).mean()) >= LINKS


def _pattern(column: pd.Series[Any]) -> str:
    """Where every field links into several lists, once into each, the code is that of the list with the most codes."""
    links = column.dropna().astype(str).str.split(SEVERAL)
    if all(len(each) == 1 for each in links):
        return LAST_PART
    parts = links.explode().str.extract(WHERE_AND_CODE).dropna().rename(columns={0: "list", 1: "code"})
    uses = parts.reset_index().groupby(["list", "index"]).size()
    codes = parts.groupby("list")["code"].nunique().sort_values(ascending=False)
    for where in codes.index:
        if uses[where].max() == 1 and len(uses[where]) >= LINKS * len(links):
            return rf"(?:^|{SEVERAL}){re.escape(where)}([^/#:=;]+)/?(?:{SEVERAL}|$)"
    return LAST_PART
