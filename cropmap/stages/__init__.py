"""The steps of a season as plain functions: each reads what the step before left in the store or the database,
calls one room, and writes its own result once.

Flows and the command line call these; nothing here imports Prefect. Every step may be killed at any moment and called
again: finished units are found by their key and not done twice.
"""
