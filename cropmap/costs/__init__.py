"""What a season takes: units of work, this machine's rates, and the plan of a season that has not run."""
