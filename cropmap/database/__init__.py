"""The one room that uses PostgreSQL: the embedded server, migrations, one writer per table, and what readers ask.

Every writer is one transaction and is keyed by its natural key: writing the same thing twice changes nothing.
"""
