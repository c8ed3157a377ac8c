"""An artifact and series in, calibrated class probabilities out: ONNX Runtime alone, no torch.

Invariant: a labelled parcel is scored by the model of its fold, any other by the mean of all models.
"""
