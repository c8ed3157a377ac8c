"""Objects of a run that were damaged in any way are made again by the step that wrote them."""

from __future__ import annotations

import pytest

from cropmap.errors import StoreError
from cropmap.stages.context import SeasonContext
from tests.stages.conftest import publish_without_model

DAMAGES = (lambda data: data[:40] + bytes([data[40] ^ 4]) + data[41:], lambda data: data[:-90], lambda _: b"garbage")


def test_damaged_objects_of_a_run_are_made_again(observed: SeasonContext) -> None:
    """Also where the digest is gone with the end."""
    publish_without_model(observed)
    paths = [observed.store.local_path(name) for name in observed.store.names("runs")]
    written = [path.read_bytes() for path in paths]
    assert len(paths) == 5
    for first in range(len(DAMAGES)):
        for number, (path, data) in enumerate(zip(paths, written, strict=True)):
            path.write_bytes(DAMAGES[(first + number) % len(DAMAGES)](data))
        publish_without_model(observed)
        assert [path.read_bytes() for path in paths] == written, first


def test_a_lost_object_of_a_run_names_the_command_that_makes_it_again(observed: SeasonContext) -> None:
    """Nothing is there to be removed, and `cropmap predict` makes no assessments."""
    with pytest.raises(StoreError) as caught:
        observed.store.read_bytes("runs/r/assessments.parquet")
    assert str(caught.value) == (
        "runs/r/assessments.parquet: is not in the store. `cropmap season run` of its season makes it again"
    )
