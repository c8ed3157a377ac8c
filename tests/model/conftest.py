from __future__ import annotations

from collections.abc import Iterator

import pytest

from cropmap.model.training import threads


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """As in `train_fold`; tiny networks only wait for each other on more."""
    with threads(1):
        yield
