"""Erasing what an installation holds of one holding, or of a season whose retention has ended.

Order, for a kill at any moment: what explanations of other parcels need is kept; objects of the store, caches and logs
lose the parcels; then one transaction erases the rows, which alone say whose the parcels were, and records it. The same
command again finds the rest by those rows.
"""
