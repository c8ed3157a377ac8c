"""When an area has a coefficient of variation, and when it is unreliable."""

from __future__ import annotations

import numpy as np
import pytest

from cropmap.statistics.precision import precision


@pytest.mark.parametrize(
    ("area", "se", "cv", "unreliable"),
    [
        (100.0, 10.0, 0.1, False),
        (100.0, 25.0, 0.25, False),  # a quarter is still reliable
        (100.0, 25.01, 0.2501, True),
        (100.0, 100.0, 1.0, True),  # as large as the estimate: stated
        (100.0, 100.1, None, True),  # larger: the flag says it, no figure
        (0.0, 0.0, None, False),  # a zero has none, and is not unreliable
        (0.0, 5.0, None, False),
        (0.005, 0.001, 0.2, False),  # 0.01 ha in two decimals
        (0.0049, 0.00098, None, False),  # 0.00 ha in two decimals
        (0.0049, 0.0049, None, True),
    ],
)
def test_the_cv_and_the_flag(area: float, se: float, cv: float | None, unreliable: bool) -> None:
    stated, flag = precision(np.array([area]), np.array([se]))
    assert stated[0] == pytest.approx(np.nan if cv is None else cv, nan_ok=True)
    assert flag.tolist() == [unreliable]


def test_a_table_keeps_its_shape() -> None:
    stated, flag = precision(np.array([[10.0, 20.0, 0.0], [40.0, 5.0, 8.0]]), np.array([[1.0, 8.0, 1.0], [4, 2, 16]]))
    assert stated == pytest.approx(np.array([[0.1, 0.4, np.nan], [0.1, 0.4, np.nan]]), nan_ok=True)
    assert flag.tolist() == [[False, True, False], [False, True, True]]
