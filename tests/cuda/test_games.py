"""A game of two networks, recorded: the same bits as without, and what NumPy makes of it."""

from __future__ import annotations

import numpy as np
import pytest

from tests.training.games import play, written_out
from tests.training.toys import whole_state


@pytest.mark.usefixtures("card")
def test_a_recorded_game_is_the_same_to_the_bit():
    ends = []
    for capture in (False, True):
        made = play(device="cuda", capture=capture)
        made.train()
        ends.append(whole_state(made))
        assert [p.captured is not None for p in made.train_step.phases] == [capture] * 3
    assert ends[0] == ends[1]
    expected, _ = written_out(1)
    found = made.model.state_dict()
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-9, atol=1e-9, err_msg=name)
