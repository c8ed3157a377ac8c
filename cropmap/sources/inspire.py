"""Crops that a file names by a link: INSPIRE land use as member states publish it, in GML or in flatter formats.

`specificLandUse` has an `xlink:href` into a national code list, whose last part is the code, and often an `xlink:title`
with the name. Pure functions on attributes as text.
"""

from __future__ import annotations

import re
from typing import Final

import pandas as pd

LAST_PART: Final = r"^(?:[^;]*[/#:=])?([^/#:=;]+)/?$"
"""code_pattern of a link: its last part; nothing where a field holds several links, because one of them is the crop and
the pattern cannot know which"""
LINK: Final = re.compile(r"^(?:https?://|urn:|//)\S+$", re.IGNORECASE)
LINKS: Final = 0.9
"""share of the filled rows from which on a column holds links"""


def link_columns(attributes: pd.DataFrame) -> tuple[str, ...]:
    """Columns whose values are links, and not all the same one."""
    return tuple(str(name) for name in attributes if _holds_links(attributes[name]))


def last_parts(attributes: pd.DataFrame, columns: tuple[str, ...]) -> pd.DataFrame:
    """The attributes with the last part of every link in `columns`, as LAST_PART reads it; several are kept apart."""
    short = {name: attributes[name].map(_shortened, na_action="ignore") for name in columns}
    return attributes.assign(**short) if short else attributes


def notes(attributes: pd.DataFrame, columns: tuple[str, ...]) -> list[str]:
    """What to tell of columns that hold several values in one field."""
    several = [str(n) for n in attributes if n in columns and attributes[n].str.contains(";", na=False).any()]
    return [f"{name} holds several values in some rows, apart by ';': write a code_pattern that finds the crop's"
            for name in several]  # fmt: skip


def _holds_links(column: pd.Series[str]) -> bool:
    filled = column.dropna().astype(str)
    return len(filled) > 0 and float(filled.str.split(";").str[0].str.match(LINK).mean()) >= LINKS


def _shortened(value: str) -> str:
    parts = (re.sub(LAST_PART, r"\1", link.strip()) for link in value.split(";"))
    return ";".join(parts)
