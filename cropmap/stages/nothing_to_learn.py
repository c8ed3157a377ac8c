"""Why a season has no model, and what would give it one."""

from __future__ import annotations

from cropmap.stages.dataset import MIN_CLASSES
from cropmap.stages.forecast import is_carried
from cropmap.stages.open_season import OpenSeason

SHOWN_CROPS = 5


def why_no_model(season: OpenSeason) -> str | None:
    """One sentence on the cause and one on the remedy, of the cause that costs most parcels; None with a model."""
    data, section = season.data, season.context.agency.assessment
    if data.dataset is not None:
        return None
    if is_carried(data.parcels):
        return "no model is trained: nothing is declared yet, the parcels are an earlier season's"
    total = len(data.parcels)
    unseen = data.series.lengths == 0
    small = ~unseen & (data.parcels["pixels"].to_numpy() < section.min_pixels)
    nameless = ~unseen & ~small & data.parcels["crop"].isna().to_numpy()
    crops = sorted(data.too_rare.items(), key=lambda item: (-item[1], item[0]))
    counted = ", ".join(f"{crop} {count}" for crop, count in crops[:SHOWN_CROPS]) or "none has any"
    more = f" and {len(crops) - SHOWN_CROPS} more crops" if len(crops) > SHOWN_CROPS else ""
    causes = {
        f"{int(unseen.sum())} have no clear observation": (
            int(unseen.sum()),
            "Look at `cropmap season status` for the acquisitions, and at acquisitions.window and "
            "observations.min_clear_fraction",
        ),
        f"{int(small.sum())} have fewer than {section.min_pixels:g} pixels inside the buffer": (
            int(small.sum()),
            "Parcels this small need a smaller observations.inner_buffer_10m_m or assessment.min_pixels",
        ),
        f"{int(nameless.sum())} have a code without a crop class": (
            int(nameless.sum()),
            "Give the codes a class in the legend's column `crop`",
        ),
    }
    lost = [text for text, (count, _) in causes.items() if count]
    usable = sum(data.too_rare.values())
    worst = max(causes.values(), key=lambda cause: cause[0])
    if worst[0] > usable:
        remedy = worst[1]
    elif len(crops) < MIN_CLASSES:
        remedy = "A model tells crops apart: it needs declarations of at least two classes of the legend"
    else:
        remedy = "Lower assessment.min_class_parcels, merge classes in the legend, or give more declarations"
    return (
        f"no model is trained: fewer than {MIN_CLASSES} crops have {section.min_class_parcels} parcels to learn from "
        f"({counted}{more}; of {total} parcels {', '.join(lost) or 'all can be used'}). {remedy}"
    )
