"""The one room that uses PostgreSQL: the embedded server, migrations, one writer per table, and the queries of readers.

Every writer is one transaction and is keyed by its natural key: writing the same thing twice changes nothing.
"""
