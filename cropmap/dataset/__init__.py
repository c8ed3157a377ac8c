"""Observations in, model input out: variable-length series, labels and spatial folds.

Invariant: `series` is the one path from observations to model input, for training and for prediction alike.
"""
