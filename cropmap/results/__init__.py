"""What people do with what a season has made: evidence, reviews, releases, exports, reports, models, drift, evaluation.

Each module serves one command or a few. It reads the store and the database; a published run is never changed here.
"""
