"""OGC API Features, Parts 1 and 2: collections of outlines for geographic information systems."""
