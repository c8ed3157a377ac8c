"""The report of a region and a season: published rows, outlines and quality to an HTML page, a PDF, a quality file.

Input: values, gathered by `cropmap.results.report`. Output: text and bytes. A hidden cell is a `Cell` without
figures, so that no part of the report can show, sort or colour by them.
"""
