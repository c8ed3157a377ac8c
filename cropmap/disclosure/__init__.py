"""Statistical disclosure control of additive tables: what to hide so that no holding's figure can be recovered."""

from cropmap.disclosure.check import Checked, check
from cropmap.disclosure.contributions import Contributions, Figure
from cropmap.disclosure.primary import Rules
from cropmap.disclosure.releases import Earlier
from cropmap.disclosure.suppression import Pattern, protect
from cropmap.disclosure.tables import Axis, Structure

__all__ = ["Axis", "Checked", "Contributions", "Earlier", "Figure", "Pattern", "Rules", "Structure", "check", "protect"]
