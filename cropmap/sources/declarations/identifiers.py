"""Identifiers that look damaged or name nothing: by a spreadsheet, a lost leading zero, or a word that stands for
nothing. Pure functions on columns of text."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, Final

import numpy as np
import pandas as pd

from cropmap.legends.matching import accents

PLACEHOLDERS: Final = frozenset(
    {
        # what programs write
        "null",
        "(null)",
        "<null>",
        "none",
        "nil",
        "nan",
        "na",
        "n/a",
        "n.a.",
        "#n/a",
        "#ref!",
        "#value!",
        "not available",
        "undefined",
        "default",
        "dummy",
        "test",
        "tbd",
        "false",
        "nat",
        "n.d.",
        "nd",
        "n/d",
        "n.k.",
        "s/n",
        "-1",
        "-9999",
        "(blank)",
        "(leer)",
        "(vide)",
        "(en blanco)",
        "(prazno)",
        "(puste)",
        # what people write, in the languages of the CAP (without accents)
        "unknown",
        "missing",
        "empty",
        "not applicable",
        "anonymous",
        "no holding",
        "no farm",
        "other",
        "various",
        "private",
        "not known",
        "not assigned",
        "unassigned",
        "no data",
        "withheld",
        "redacted",
        "confidential",
        "gan ainm",
        "ni fios",
        "mhux maghruf",
        "unbekannt",
        "keine",
        "keine angabe",
        "k.a.",
        "k. a.",
        "ohne",
        "leer",
        "anonym",
        "entfallt",
        "nicht bekannt",
        "nicht vorhanden",
        "nicht zugeordnet",
        "anonymisiert",
        "vertraulich",
        "geheim",
        "unbek.",
        "k.a",
        "onbek.",
        "niet bekend",
        "geen gegevens",
        "niet van toepassing",
        "vertrouwelijk",
        "non communique",
        "non attribue",
        "non disponible",
        "pas de donnees",
        "sans numero",
        "anonymise",
        "confidentiel",
        "no consta",
        "no procede",
        "sin asignar",
        "sin identificar",
        "sin nif",
        "sem nif",
        "nao aplicavel",
        "nao identificado",
        "confidencial",
        "non assegnato",
        "non applicabile",
        "non disponibile",
        "riservato",
        "ikke oplyst",
        "ikke angivet",
        "ikke tildelt",
        "uppgift saknas",
        "ej angivet",
        "ei tietoa",
        "puuttuu",
        "maaramata",
        "ei maaratud",
        "nav datu",
        "nav noradits",
        "nera duomenu",
        "nezinoma",
        "nenurodyta",
        "brak numeru",
        "bez numeru",
        "nie dotyczy",
        "nie podano",
        "nezadano",
        "neuvedeny",
        "neprideleno",
        "nepridelene",
        "bez ico",
        "ni podatka",
        "ni znano",
        "nema podataka",
        "nincs adat",
        "nem ismert",
        "fara date",
        "lipsa",
        "nespecificat",
        "necunoscuta",
        "няма данни",
        "без номер",
        "неизвестно лице",
        "αγνωστη",
        "χωρις",
        "δεν υπαρχει",
        "μη διαθεσιμο",
        "onbekend",
        "geen",
        "leeg",
        "nvt",
        "n.v.t.",
        "inconnu",
        "inconnue",
        "aucun",
        "aucune",
        "vide",
        "neant",
        "sans",
        "non renseigne",
        "nr",
        "desconocido",
        "desconegut",
        "ninguno",
        "sin datos",
        "vacio",
        "s/d",
        "sconosciuto",
        "nessuno",
        "vuoto",
        "desconhecido",
        "nenhum",
        "sem dados",
        "vazio",
        "ukendt",
        "ingen",
        "okand",
        "saknas",
        "ukjent",
        "tuntematon",
        "ei tiedossa",
        "puudub",
        "teadmata",
        "nezinams",
        "nav",
        "nav zinams",
        "nezinomas",
        "nera",
        "nieznany",
        "brak",
        "brak danych",
        "neznamy",
        "neuvedeno",
        "neuvedene",
        "nezname",
        "zadny",
        "neznan",
        "neznano",
        "nepoznat",
        "nepoznato",
        "nema",
        "ismeretlen",
        "nincs",
        "necunoscut",
        "fara",
        "niciunul",
        "неизвестен",
        "неизвестно",
        "няма",
        "αγνωστο",
        "αγνωστος",
        "κανενα",
    }
)
FILLER: Final = re.compile(r"0+([.,]0+)?|x+|[-–—_.?*#/\\ ]+|9{6,}", re.IGNORECASE)
"""the same sign over and over, where something had to be filled in"""
SCIENTIFIC: Final = r"^[+-]?\d[.,]\d+[eE][+-]?\d+$"
ROUNDED: Final = re.compile(r"[+-]?\d(?:[.,]\d+)?[eE]\+\d{2,3}")
"""`1,23E+11` is what a spreadsheet leaves of a long number, and what a column of floating-point numbers shows of one:
the same for many. `3E10` may be an identifier"""
CONTROL: Final = r"[\x00-\x1f\x7f\s]"
"""blanks at the ends are taken off when a file is read; what is left is inside"""
USUAL_SHARE: Final = 0.95
"""a file whose identifiers have one form has a usual form; below this share of its rows it has several"""
FEW: Final = 20
"""rows below which a large share says nothing: a pilot area may belong to one holding"""


def stands_for_nothing(text: str) -> bool:
    """Whether an identifier is a word such as NULL, unknown or keine Angabe, or filler such as 0000 and XXXX."""
    bare = text.strip(" \t'\"")
    return not bare or accents(bare) in PLACEHOLDERS or FILLER.fullmatch(bare) is not None


def is_rounded(text: str) -> bool:
    """Whether an identifier is the rest of a long number, which it shares with others."""
    return ROUNDED.fullmatch(text.strip(" \t'\"")) is not None


def placeholders(identifiers: pd.Series[Any], *, also: Collection[str] = (), max_share: float = 1.0) -> pd.Series[Any]:
    """Why an identifier names no parcel or holding, None where it does or is missing; the index stays.

    `also`: further words of this file, whatever their case. `max_share`: one identifier on a larger share of all rows
    is no holding but what stands where none is known; 1 takes the largest as it is.
    """
    counts = identifiers.value_counts()
    own = {word.strip().casefold() for word in also}
    why: dict[Any, str] = {}
    for value, rows in counts.items():
        text = str(value)
        if stands_for_nothing(text) or text.strip().casefold() in own:
            why[value] = f"{text!r} names nobody"
        elif is_rounded(text):
            why[value] = f"{text!r} is a rounded number, which others have too"
        elif rows >= FEW and rows > max_share * len(identifiers):
            why[value] = f"{text!r} stands on {rows} of {len(identifiers)} rows: taken for a placeholder"
    nobody = identifiers.isin(list(why)).to_numpy()
    named = np.full(len(identifiers), None, dtype=object)
    named[nobody] = [why[value] for value in identifiers[nobody]]
    return pd.Series(named, index=identifiers.index, dtype=object)


def malformed(identifiers: pd.Series[Any]) -> pd.Series[Any]:
    """What is wrong with each identifier (text), None where nothing is; the index stays.

    Unique identifiers of another form than USUAL_SHARE of the file's may be right, so they are not rejected.
    """
    why = pd.Series([None] * len(identifiers), index=identifiers.index, dtype=object)
    text = identifiers.astype("string").fillna("")
    why[_other_form(text)] = "another form than nearly all identifiers of the file"
    why[text.str.contains(CONTROL)] = "blanks or control characters inside"
    why[text.str.contains(SCIENTIFIC)] = "a number in scientific notation: a spreadsheet has rounded it"
    why[text.isin([each for each in text.unique() if stands_for_nothing(str(each))])] = "a word that stands for nothing"
    return why.where(identifiers.notna(), None)


def _other_form(text: pd.Series[Any]) -> pd.Series[bool]:
    """Whether an identifier differs from the usual form, which is its text with 9 for digits and A for letters."""
    forms = text.str.replace(r"\d", "9", regex=True).str.replace(r"[^\W\d_]", "A", regex=True)
    counts = forms.value_counts()
    if counts.empty or counts.iloc[0] < USUAL_SHARE * len(forms) or counts.iloc[0] == len(forms):
        return pd.Series(False, index=text.index)
    other: pd.Series[bool] = forms != counts.index[0]
    return other
