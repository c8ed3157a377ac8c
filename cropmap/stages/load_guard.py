"""What stops a load before anything is written: a register that would shrink, and land that is declared twice.

In: what a load would take from the register, what the file declares twice, and the agency's limits. Out: objections,
and the word that lets this very file pass. Nothing here looks at files or tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cropmap.agency.sections import DeclarationsSection
from cropmap.database.declarations import Losses
from cropmap.errors import DeclarationFileError
from cropmap.provenance import content_hash
from cropmap.sources.declarations.doubles import Doubles

MAX_CHANGED_CROPS: Final = 0.25
"""of the declarations: amendments change a few in a hundred crops; another season's file on the same parcels, or
another column of codes, most of them"""
WORD_DIGITS: Final = 8


@dataclass(frozen=True)
class Objection:
    kind: str
    what: str
    key: str
    """of the agency file; empty where no key changes the limit"""


def against_losses(losses: Losses, section: DeclarationsSection) -> list[Objection]:
    """Against a load that takes more than its share of the declarations that stand; none before the first load."""
    if not losses.stood:
        return []
    objections = []
    lost = losses.withdrawn + losses.moved
    if lost > section.max_withdrawn_share * losses.stood:
        reasons = [
            f"{losses.withdrawn} are not in the file" if losses.withdrawn else "",
            f"({losses.withdrawn_as_rejected} of them are, but their rows are rejected)"
            if losses.withdrawn_as_rejected
            else "",
            f"({losses.renumbered} of them have the same outline under another identifier: were they numbered anew?)"
            if losses.renumbered
            else "",
            f"{losses.moved} identifiers stand on other ground: were they numbered anew?" if losses.moved else "",
        ]
        objections.append(
            Objection(
                "withdrawn",
                f"it would withdraw {lost} of {losses.stood} declarations ({lost / losses.stood:.0%}, the limit is "
                f"{section.max_withdrawn_share:.0%}): {' '.join(filter(None, reasons))}",
                "declarations.max_withdrawn_share",
            )
        )
    if losses.changed_crop > MAX_CHANGED_CROPS * losses.stood:
        objections.append(
            Objection(
                "changed crops",
                f"it would change the crop of {losses.changed_crop} of {losses.stood} declarations "
                f"({losses.changed_crop / losses.stood:.0%}, the limit is {MAX_CHANGED_CROPS:.0%}): is it another "
                "season's file, or another code list?",
                "",
            )
        )
    return objections


def against_doubles(doubles: Doubles, hint: str, section: DeclarationsSection) -> list[Objection]:
    if doubles.share <= section.max_doubled_share:
        return []
    what = f"{doubles.words}, the limit is {section.max_doubled_share:.0%}{'; ' + hint if hint else ''}"
    return [Objection("declared twice", what, "declarations.max_doubled_share")]


def refuse(objections: Sequence[Objection], *, accepted: str | None, source_hash: str, where: str) -> None:
    """Raises DeclarationFileError for objections, unless `accepted` is the word for just these and just this file.

    The word of one file is not valid for another: a scheduled run that carries it stops again at the next delivery.
    """
    if not objections:
        return
    word = content_hash(source_hash, *sorted(objection.kind for objection in objections), length=WORD_DIGITS)
    if accepted == word:
        return
    keys = " and ".join(f"`{objection.key}`" for objection in objections if objection.key)
    other = f"`--accept {accepted}` is not the word for this file and these findings. " if accepted else ""
    raise DeclarationFileError(
        f"nothing was loaded: {'; and '.join(objection.what for objection in objections)}",
        where=where,
        mend=f"{other}Check the file; if it is right, pass `--accept {word}`, which holds for this file alone"
        + (f", or raise {keys} in the agency file" if keys else ""),
    )
