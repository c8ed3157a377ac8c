"""cropmap: per-parcel crop predictions, declaration assessments and NUTS crop statistics, each season."""

from typing import Final

__version__: Final = "0.1.0"
