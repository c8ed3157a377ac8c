"""Catalogues of Sentinel-2 acquisitions, as STAC or as a folder of products: items in, usable acquisitions and reasons
for the others out. Hosts and folders are checked before anything is opened; no pixel is read.
"""
