"""Speed as a ratio: against the floor (what the machine needs at least) and against peers, in one run."""
