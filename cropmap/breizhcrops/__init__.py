"""The benchmark BreizhCrops: its files, its published networks with their sampling, its splits and published figures.

It serves comparison alone: no season of an agency is read, trained or predicted here.
"""
