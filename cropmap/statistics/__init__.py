"""Crop areas per region with their uncertainty, and what must not be published of them."""
