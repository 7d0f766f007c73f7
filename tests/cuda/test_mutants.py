"""No barrier and no wait of a kernel can be left out without a test failing."""

import re

import pytest
from shim import sources
from tinygen_kernels.cuda.launch import FOLDER

from .equipment import arrays_of, needs_compiler
from .mutants import STATEMENTS, mutants, survives
from .workouts import HEADERS, WORKOUTS

FILES = sorted({source.file for source in sources()})
WITH_BARRIERS = [file for file in FILES if any(True for _ in mutants(file))]


def test_every_file_with_barriers_has_a_workout():
    assert set(WITH_BARRIERS) == set(WORKOUTS)


def test_every_header_with_barriers_is_tried_by_a_file():
    barriers = re.compile("|".join(STATEMENTS))
    found = {path.name for path in FOLDER.glob("*.cuh") if barriers.search(path.read_text())}
    assert found == set(HEADERS)
    for header, file in HEADERS.items():
        assert any(str(mutant).startswith(header) for mutant in mutants(file))


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("file", WORKOUTS)
def test_no_mutant_survives(file):
    workout = WORKOUTS[file]
    expected = arrays_of(workout())
    assert not [str(m) for m in mutants(file) if survives(m, workout, expected)]
