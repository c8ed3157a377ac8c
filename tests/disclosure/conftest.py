from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def domain(shared_data: Path) -> Path:
    """Golden tables, beside the real inputs."""
    folder = shared_data.parent / "domain"
    if not folder.is_dir():
        pytest.skip(f"golden tables are not at {folder}")
    return folder
