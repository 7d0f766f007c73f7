"""What is the same as before: settings that a file of an earlier version does not have."""

from __future__ import annotations

import pytest

from tinygen import models
from tinygen.training.fingerprint import model_differs


@pytest.mark.parametrize("name", models.names())
def test_a_setting_that_was_not_there_yet_had_its_default(name):
    now = {**models.options(name), "image_shape": (8, 8)}
    for key in now.keys() - {"image_shape"}:
        before = {k: v for k, v in now.items() if k != key}
        assert model_differs(name, before, now) == ""
    assert model_differs(name, now, now | {"seed": 9}) == ""


def test_a_setting_that_was_another_is_told():
    now = models.options("dcgan")
    before = {k: v for k, v in now.items() if k != "packing"}
    assert model_differs("dcgan", before, now | {"packing": 2}) == "packing 1, not 2"
    assert model_differs("dcgan", now | {"kernel": 3}, now) == "kernel 3, not 5"
    assert model_differs("no model", {"a": 1}, {"a": 2}) == "a 1, not 2"
