"""No barrier and no wait of a kernel can be left out without a test failing."""

import pytest

from .equipment import arrays_of, needs_compiler
from .mutants import mutants, survives
from .nvrtc import sources
from .workouts import WORKOUTS

FILES = sorted({source.file for source in sources()})
WITH_BARRIERS = [file for file in FILES if any(True for _ in mutants(file))]


def test_every_file_with_barriers_has_a_workout():
    assert set(WITH_BARRIERS) == set(WORKOUTS)


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("file", WORKOUTS)
def test_no_mutant_survives(file):
    workout = WORKOUTS[file]
    expected = arrays_of(workout())
    assert not [str(m) for m in mutants(file) if survives(m, workout, expected)]
