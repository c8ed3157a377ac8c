"""The evidence page of a parcel: its series with the bands of two crops, a map sketch, and the reason in words.

Input: observations of the parcel, outlines of its neighbours, results of a run. Output: HTML and PNG as bytes.
Nothing is read, written or decided here.
"""
