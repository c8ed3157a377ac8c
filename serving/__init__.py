"""REST API for published results; reads the database and writes nothing."""
