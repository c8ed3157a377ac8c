"""Thin Prefect flows over `cropmap.stages`; the only package that imports prefect."""
