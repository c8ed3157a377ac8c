"""Datasets in, checked ONNX artifacts out. The only room that imports torch and mlflow, beside `breizhcrops` (torch).

Nothing is imported here: `artifact` (the manifest) must stay readable where torch is not installed.
"""
