"""Formats and containers of tables with outlines: an archive or file in, its rows out, within bounds.

Nothing here depends on declarations or regions, follows a reference to another file, or calls a host.
"""
