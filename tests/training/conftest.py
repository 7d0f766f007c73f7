"""Runs to go on with."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.training.folders import shell_run


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Path:
    return shell_run(tmp_path_factory.mktemp("finished"))


@pytest.fixture
def run(finished, tmp_path) -> Path:
    """A copy of a finished run."""
    return shutil.copytree(finished, tmp_path / "run")
