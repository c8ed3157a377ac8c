"""The report of a region and a season: published rows, outlines and quality to an HTML page, a PDF, a quality file.

In: values alone; `cropmap.results.report` gathers them. Out: text and bytes. A hidden cell is a `Cell` without figures,
so nothing here can draw, sort or colour by one.
"""
