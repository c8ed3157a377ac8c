"""The reason in words, for a controller's file. Input: a sheet. Output: sentences with the figures of the sheet.

The sentences claim no more than the run: the rate of the list is an estimate, and nothing is certain about one parcel.
"""

from __future__ import annotations

from datetime import date
from typing import Final

import numpy as np

from cropmap.evidence.bands import WHOLE_SEASON, Band
from cropmap.evidence.sheet import RunFacts, Sheet
from cropmap.schemas import Reason, Verdict

PERSONAL: Final = "Personal data: hand this page on to those only who may see it."
SIMULATED: Final = "SIMULATION: nothing on this page describes a real farm."
VERDICTS: Final = {
    Verdict.MISMATCH: "does not fit its declaration",
    Verdict.CONFORM: "fits its declaration",
    Verdict.INCONCLUSIVE: "cannot be decided by satellite",
    Verdict.NOT_ASSESSABLE: "cannot be assessed by satellite",
}
WHY: Final = {
    Reason.CONFIRMED_BY_REVIEW: "A review found the declared crop, {declared}, whatever the series looks like.",
    Reason.OTHER_CROP_SUPPORTED: "The series looks like {predicted} ({probability}), not like {declared} "
    "({supported}).",
    Reason.DECLARED_CROP_SUPPORTED: "The series supports the declared crop, {declared} ({supported}).",
    Reason.LOOK_ALIKE_CROPS: "The series looks most like {predicted} ({probability}), but {declared} and its "
    "likeliest competitor look too much alike here to be held against each other.",
    Reason.WEAK_EVIDENCE: "The series looks most like {predicted} ({probability}; {declared} {supported}), which is "
    "too little to speak for or against the declaration.",
    Reason.NO_RELIABLE_EVIDENCE: "A guard found the evidence unreliable for this crop or this season, so nothing is "
    "claimed.",
    Reason.CROP_NOT_LEARNT: "The model that judges this place was trained without any parcel of the declared crop, "
    "{declared}: it grows here alone, so that nothing can be said for or against it.",
}
"""what a parcel's own figures add; any other reason is said by its meaning"""


def crop_words(crop: str | None) -> str:
    return crop.replace("_", " ") if crop else "no class"


def percent(share: float | None) -> str:
    """Whole per cent; a value that would round to 0 or 100 is given as a bound."""
    if share is None or not np.isfinite(share):
        return "-"
    whole = f"{share:.0%}"
    return {"0%": "< 1 %", "100%": "> 99 %"}.get(whole, whole.replace("%", " %"))


def day_words(day: date) -> str:
    return f"{day.day} {day:%B %Y}"


def title(sheet: Sheet) -> str:
    verdict = sheet.judged.verdict
    return f"Parcel {sheet.parcel_id} {VERDICTS[Verdict(verdict)] if verdict in set(Verdict) else verdict}"


def reason(sheet: Sheet) -> tuple[str, ...]:
    """Why the parcel has its verdict: the declaration, the evidence, the curve, the model that scored it."""
    judged = sheet.judged
    name = f" ({judged.declared_name})" if judged.declared_name else ""
    crop = crop_words(judged.declared_crop)
    declared = f"Declared is {judged.declared_code}{name}, that is {crop}, on {sheet.area_ha:.2f} ha."
    pattern = _why(Reason(judged.reason)) if judged.reason in set(Reason) else judged.reason
    why = pattern.format(
        predicted=crop_words(judged.predicted_crop),
        declared=crop_words(judged.declared_crop),
        probability=percent(judged.probability),
        supported=percent(judged.declared_probability),
    )
    chance = (
        f"The chance that the declaration is right is estimated at {percent(judged.right_probability)}."
        if judged.right_probability is not None
        else ""
    )
    return tuple(filter(None, (declared, why, chance, curve(sheet), who_judged(sheet))))


def _why(reason: Reason) -> str:
    return WHY.get(reason, f"{reason.meaning[:1].upper()}{reason.meaning[1:]}.")


def curve(sheet: Sheet) -> str:
    """How often the parcel's NDVI left each crop's band; empty where there is nothing to compare."""
    parts = [part for band in (sheet.declared_band, sheet.predicted_band) if band and (part := _outside(sheet, band))]
    return "On the clear dates its NDVI lies " + ", and ".join(parts) + "." if parts else ""


def _outside(sheet: Sheet, band: Band) -> str:
    day, value = sheet.shown.curve
    low, high = band.at(day)
    known = np.isfinite(low) & np.isfinite(high)
    if not known.any():
        return ""
    below, above = int((value < low)[known].sum()), int((value > high)[known].sum())
    of = f"outside the band of {crop_words(band.crop)} on {below + above} of {int(known.sum())}"
    return of + (f" ({below} below, {above} above)" if below + above else "")


def who_judged(sheet: Sheet) -> str:
    n, by = sheet.judged.n_observations, sheet.judged.scored_by
    if not n or not by:
        return ""
    apart = sheet.facts.separation if by.startswith("fold") else "none of them was trained on this declaration"
    return f"Judged on {n} clear dates by {by}: {apart}."


def band_words(band: Band) -> str:
    """What a band was made of."""
    among = "conform" if band.is_conform else "not flagged"
    where = "all regions" if band.region == WHOLE_SEASON else band.region
    wider = ", wider region: too few in its own" if band.is_wider else ""
    return f"{band.parcels:,} {among} parcels in {where}{wider}"


def list_statement(facts: RunFacts, *, listed: bool | None = None) -> tuple[str, ...]:
    """The reliability of the list: for a parcel on it, for one not on it, or (None) for no parcel."""
    if facts.estimated_rate is None:
        return (f"This run has no list of mismatches. Reliability: {facts.reliability}.",)
    size = f"{facts.flags:,}"
    place = {
        True: f"This parcel is one of {size} on the list of mismatches.",
        False: f"This parcel is not on the list of {size} mismatches.",
        None: f"The list of mismatches has {size} parcels.",
    }[listed]
    aim = f" (aimed at: {percent(facts.target)})" if facts.target is not None else ""
    band = (
        f" Under other assumptions it would be {percent(facts.sensitivity[0])} to {percent(facts.sensitivity[1])}."
        if facts.sensitivity and facts.sensitivity[0] != facts.sensitivity[1]
        else ""
    )
    return (
        f"{place} Of the whole list an estimated {percent(facts.estimated_rate)} are right declarations all the "
        f"same{aim}.{band} That is an estimate and no promise, least of all for a single parcel: look before deciding.",
        f"{facts.certification} Reliability: {facts.reliability}. {facts.assumption}",
    )
