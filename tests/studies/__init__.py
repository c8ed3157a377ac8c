"""Studies that prove a method against the truth or beside peers: `python -m tests.studies`. Not installed."""
