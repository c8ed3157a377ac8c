"""How crop statistics leave the house, and how they are held against what Eurostat published.

In: published rows, or a file in one of the exchange formats. Out: bytes and tables. It reads no path, opens no
database and estimates nothing: every format is written from one long table (`long_form`), so that all of them show the
same numbers, flags and hidden cells.
"""
