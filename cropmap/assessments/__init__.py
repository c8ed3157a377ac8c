"""Declarations assessed: a verdict, a reason and a priority for each, and how reliable the list is."""

from cropmap.assessments.assess import Assessed, assess, assess_at
from cropmap.assessments.evaluation import TruthCheck, against_truth
from cropmap.assessments.suspects import suspects

__all__ = ["Assessed", "TruthCheck", "against_truth", "assess", "assess_at", "suspects"]
