"""Random vectors from the null space of the hidden cells' relations: how hidden figures can still move together.

Whether one hidden cell follows from others is a question of rank. A dense basis of a component with thousands of
cells costs minutes; a few dozen random null vectors answer the same with probability one, because a linear dependence
of rows survives a random projection and an independent row is found with chance zero of being missed.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from cropmap.disclosure.tables import Floats, Integers, Mask, Structure

REGULARISATION: Final = 1e-9
PASSES: Final = 3
"""projections one after the other: each takes the regularisation's error down by its square"""
DEPENDENT: Final = 1e-6
"""a row whose part outside the span is shorter than this share of a random row"""
SEED: Final = 20_261_122


def null_vectors(structure: Structure, hidden: Mask, *, vectors: int) -> Floats:
    """[hidden cells, vectors]: random vectors v with M v = 0 on the hidden cells, in the order of their cells."""
    matrix = structure.matrix[:, np.flatnonzero(hidden)]
    matrix = matrix[np.diff(matrix.indptr) > 0]
    rows, columns = matrix.shape
    drawn = np.random.default_rng(SEED).normal(size=(columns, vectors))
    if not rows or not columns:
        return drawn
    system = sparse.block_array(
        [[sparse.eye_array(columns), matrix.T], [matrix, -REGULARISATION * sparse.eye_array(rows)]], format="csc"
    )
    factors = splu(system)
    for _ in range(PASSES):
        drawn = factors.solve(np.vstack([drawn, np.zeros((rows, vectors))]))[:columns]
    return drawn


def determined(structure: Structure, hidden: Mask) -> Integers:
    """Hidden cells that the sums alone fix, whatever the figures are."""
    cells = np.flatnonzero(hidden)
    length = np.linalg.norm(null_vectors(structure, hidden, vectors=8), axis=1)
    return np.asarray(cells[length < DEPENDENT * np.sqrt(8)])


def within_span(rows: Floats, known: Floats) -> Mask:
    """[n]: which of `rows` [n, v] are combinations of `known` [k, v]."""
    left, sizes, _ = np.linalg.svd(known.T, full_matrices=False)
    basis = left[:, sizes > DEPENDENT * np.sqrt(rows.shape[1])]
    outside = rows - (rows @ basis) @ basis.T
    return np.asarray(np.linalg.norm(outside, axis=1) < DEPENDENT * np.sqrt(rows.shape[1]))
