"""REST API over what is published; reads the database, writes nothing."""
