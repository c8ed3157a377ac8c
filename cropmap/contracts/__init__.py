"""The contracts of the tables: each column stated once, with its type, unit, bounds, words and what it means empty.

COPY, SELECT lists, files, the API's answers and docs/columns.md are derived from them; the migrations are held to them
by `tests/contracts`.
"""
