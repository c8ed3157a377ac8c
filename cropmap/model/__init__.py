"""Datasets in, checked ONNX artifacts out. The only room that knows torch and mlflow.

Nothing is imported here: `artifact` (the manifest) must stay readable where torch is not installed.
"""
