"""What people do with what a season has made: evidence, reviews, releases, exports, reports, models, drift, evaluation.

Each module serves one command or a few. It reads the store and the database, and writes what people decide: findings,
releases, the choice of a model, quarantined acquisitions that are tried again. A run is never changed here.
"""
