"""What a flag rests on, for a person: series against the bands of two crops, a map sketch, a page with the reason.

In: a parcel's observations, its neighbours' outlines, what a run said of it. Out: HTML and PNG as bytes. Nothing is
read, written or decided here.
"""
