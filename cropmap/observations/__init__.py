"""Pixels in, one row per parcel and acquisition out.

`tiles` gives each parcel its home tile, `coverage` says once which pixels a parcel covers and how much of each,
`raster` reads a band, `zonal` averages it, `extract` does so for one acquisition, `files` keeps the rows.
`identity` says whether a product's pixels changed, `offsets` whether its offset fits them. Only `raster` touches
rasterio. Crops, labels and models are not used here.
"""
