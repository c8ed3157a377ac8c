"""A simulated season: inputs like those of a real agency, and the truth kept apart from them.

In: a number of parcels and a seed. Out: Sentinel-2-like scenes with a STAC catalogue, declarations, NUTS regions and an
agency file (`season`), or parcel observations without scenes for scale (`direct`). Nothing here reads real data, and
everything that is written says that it is a simulation.
"""
