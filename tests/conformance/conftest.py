"""Make a test case of each line or item of the vector files that a test names."""

from __future__ import annotations

from pathlib import Path

import pytest

from .suite import BUNDLED, read_vectors


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "vectors(*files): run once for each case of these files")
    directory = vectors_directory(config)
    if not (directory / "syntax").is_dir():
        raise pytest.UsageError(f"--vectors: {directory} is no clone of atproto-interop-tests")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marker = metafunc.definition.get_closest_marker("vectors")
    if marker is not None:
        directory = vectors_directory(metafunc.config)
        cases = [case for file in marker.args for case in read_vectors(directory, file)]
        metafunc.parametrize("vector", cases, ids=str)


@pytest.fixture
def directory(pytestconfig: pytest.Config) -> Path:
    """Where the vectors are read from."""
    return vectors_directory(pytestconfig)


def vectors_directory(config: pytest.Config) -> Path:
    given: Path | None = config.getoption("vectors")
    return BUNDLED if given is None else given
