"""Crop declarations: the file of an authority in, accepted rows, counted rejections and notices out.

Nothing here writes the register.
"""
