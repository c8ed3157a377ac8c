"""Verdicts held against a simulation's planted truth. The pipeline itself never reads the truth."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pyarrow as pa

from cropmap.assessments.evaluation import TruthCheck, against_truth
from cropmap.database import queries
from cropmap.errors import ConfigurationError
from cropmap.stages.context import SeasonContext


def check_against_truth(context: SeasonContext, truth: Path) -> TruthCheck:
    """Precision and recall of the published mismatches. Raises ConfigurationError for a file that is no truth."""
    try:
        known = pd.read_parquet(truth, columns=["parcel_id", "true_crop"])
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise ConfigurationError(f"cannot be read ({error})", where=str(truth), mend="Simulate it again") from error
    with context.connect() as connection:
        published = pd.DataFrame(queries.assessments(connection, **context.key, limit=None).items)
    return against_truth(
        published, dict(zip(known["parcel_id"], known["true_crop"], strict=True)), context.agency.read_legend()
    )
