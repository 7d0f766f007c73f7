"""Walks between codings: equal steps, on a line, an arc or a grid."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from tinygen.latent import bilinear, linear, spherical
from tinygen.ops.random import Random


def pair(d: int, seed: int = 0) -> np.ndarray:
    return Random(seed).normal((2, d), dtype=np.float64)


def angle(a: np.ndarray, b: np.ndarray) -> float:
    cosine = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
    return float(np.arccos(np.clip(cosine, -1, 1)))


@pytest.mark.parametrize("way", [linear, spherical])
@pytest.mark.parametrize("steps", [2, 3, 9])
def test_both_ends_are_exactly_the_codings(way, steps):
    a, b = pair(5)
    found = way(a, b, steps)
    assert found.shape == (steps, 5)
    np.testing.assert_array_equal(found[0], a)
    np.testing.assert_array_equal(found[-1], b)


def test_linear_steps_are_equal():
    a, b = pair(4)
    np.testing.assert_allclose(np.diff(linear(a, b, 6), axis=0), np.tile((b - a) / 5, (5, 1)))


@pytest.mark.parametrize("d", [2, 3, 30])
@pytest.mark.parametrize("steps", [2, 5, 12])
def test_spherical_keeps_the_norm_and_turns_by_equal_angles(d, steps):
    a, b = pair(d, seed=d)
    b *= np.linalg.norm(a) / np.linalg.norm(b)
    found = spherical(a, b, steps)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), np.linalg.norm(a))
    turns = [angle(p, q) for p, q in pairwise(found)]
    np.testing.assert_allclose(turns, angle(a, b) / (steps - 1), rtol=1e-6)


def test_spherical_is_shoemakes_formula_for_equal_norms():
    a, b = pair(7)
    b *= np.linalg.norm(a) / np.linalg.norm(b)
    w, t = angle(a, b), np.linspace(0, 1, 8)[:, None]
    expected = (np.sin((1 - t) * w) * a + np.sin(t * w) * b) / np.sin(w)
    np.testing.assert_allclose(spherical(a, b, 8), expected, rtol=1e-9)


def test_between_different_norms_the_norm_changes_in_equal_steps():
    a, b = pair(6)
    found = spherical(a, 3 * b, 7)
    norms = np.linalg.norm(found, axis=1)
    np.testing.assert_allclose(norms, np.linspace(norms[0], norms[-1], 7))


def test_the_arc_is_the_shortest():
    """At 170 degrees, through 85 degrees and not through 265."""
    a, b = np.array([1.0, 0.0]), np.array([np.cos(np.radians(170)), np.sin(np.radians(170))])
    middle = spherical(a, b, 3)[1]
    np.testing.assert_allclose(middle, [np.cos(np.radians(85)), np.sin(np.radians(85))])


@pytest.mark.parametrize(
    "factor", [1.0, 2.5, -1.0, -0.5, 0.0], ids=["same", "longer", "opposite", "shorter", "zero"]
)
def test_between_parallel_codings_the_way_is_linear(factor):
    a = pair(5)[0].astype(np.float32)
    b = (np.float32(factor) * a).astype(np.float32)
    for first, last in ((a, b), (b, a)):
        np.testing.assert_array_equal(spherical(first, last, 6), linear(first, last, 6))


@pytest.mark.parametrize("degrees", [0.01, 179.99])
def test_codings_that_are_only_nearly_parallel_have_an_arc(degrees):
    a = np.array([1.0, 0.0, 0.0])
    b = np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees)), 0.0])
    found = spherical(a, b, 5)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1)
    np.testing.assert_allclose(angle(a, found[2]), np.radians(degrees / 2), rtol=1e-6)


def test_the_corners_of_a_grid_are_the_codings_and_its_middle_their_mean():
    corners = Random(1).normal((2, 2, 3), dtype=np.float64)
    grid = bilinear(corners, 3, 5)
    assert grid.shape == (3, 5, 3)
    np.testing.assert_array_equal(grid[::2, ::4], corners)
    np.testing.assert_allclose(grid[1, 2], corners.mean(axis=(0, 1)))


def test_a_grid_is_linear_along_both_sides_and_does_not_depend_on_which_comes_first():
    corners = Random(2).normal((2, 2, 4), dtype=np.float64)
    grid = bilinear(corners, 4, 6)
    np.testing.assert_allclose(np.diff(grid, 2, axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(np.diff(grid, 2, axis=1), 0, atol=1e-12)
    turned = bilinear(corners.transpose(1, 0, 2), 6, 4)
    np.testing.assert_allclose(turned.transpose(1, 0, 2), grid, atol=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: linear(np.zeros(3), np.zeros(4), 3), r"\(d,\) are needed, not \(3,\) and \(4,\)"),
        (lambda: spherical(np.zeros((2, 3)), np.zeros((2, 3)), 3), "two codings"),
        (lambda: linear(np.zeros(3), np.zeros(3), 1), "at least 2 steps are needed, not 1"),
        (lambda: bilinear(np.zeros((4, 3)), 3, 3), r"are \(2, 2, d\), not \(4, 3\)"),
        (lambda: bilinear(np.zeros((2, 2, 3)), 1, 3), "at least 2 steps"),
    ],
)
def test_what_makes_no_sense(call, message):
    with pytest.raises(ValueError, match=message):
        call()
