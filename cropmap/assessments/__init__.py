"""Declarations assessed: a verdict, a reason and a priority for each, and how far the list can be believed."""

from cropmap.assessments.assess import Assessed, assess, assess_at, suspects
from cropmap.assessments.evaluation import TruthCheck, against_truth

__all__ = ["Assessed", "TruthCheck", "against_truth", "assess", "assess_at", "suspects"]
