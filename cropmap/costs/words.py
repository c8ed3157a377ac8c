"""A plan for a person: amounts with the units that fit their size."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cropmap.costs.plan import Quota, SeasonPlan


def lines(plan: SeasonPlan) -> dict[str, str | dict[str, int]]:
    """What stands above the table of stages."""
    quota = plan["quota"]
    return {
        "parcels": f"{plan['parcels']:,} on {plan['tiles']:,} tiles",
        "acquisitions": plan["acquisitions"],
        "to read": f"{size(plan['bytes_to_read'])} in {plan['requests']:,} requests",
        **({"quota": _quota(quota)} if quota else {}),
        "processors": f"{duration(plan['cpu_hours'] * 3600)} of one processor",
        "wall time": duration(plan["wall_hours"] * 3600),
        "disk": size(plan["disk_bytes"]),
        **({"scratch": size(plan["scratch_bytes"])} if plan["scratch_bytes"] else {}),
        "memory": f"{size(plan['peak_bytes'])} at most",
    }


def stage_rows(plan: SeasonPlan) -> list[dict[str, str]]:
    return [
        {
            "stage": stage["stage"],
            "processors": duration(stage["cpu_s"]),
            "wall time": duration(stage["wall_s"]),
            "memory": size(stage["peak_bytes"]),
            "measured": "yes" if stage["measured"] else "no",
        }
        for stage in plan["stages"]
    ]


def size(n_bytes: float) -> str:
    for unit, scale in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if n_bytes >= scale:
            return f"{n_bytes / scale:,.1f} {unit}"
    return f"{n_bytes:,.0f} B"


def duration(seconds: float) -> str:
    for unit, scale in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * scale:
            return f"{seconds / scale:,.1f} {unit}"
    return f"{seconds:,.1f} s"


def _quota(quota: Quota) -> str:
    allowed = f"of the {size(quota['bytes'])} that {quota['provider']} allows in {quota['days']} days"
    used = f"{size(quota['used'])} are used and {size(quota['left'])} left"
    return f"{size(quota['needed'])} are needed; {allowed}, {used}"
