"""Exchange formats of crop statistics, and the comparison with those of Eurostat.

Input: published rows, or a file in one of the formats. Output: bytes and tables. No path is read, no database is opened
and nothing is estimated here. Every format is written from one long table (`long_form`), so that all of them have the
same numbers, flags and hidden cells.
"""
