"""Declarations assessed: a verdict, a reason and a priority for each, and how reliable the list is."""
