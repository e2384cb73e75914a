"""Passes that are bound by reading the weights: one decode step, and whole generations."""

from __future__ import annotations

import pytest

from fixtures import workloads


@pytest.mark.grid("decode", smallest=True)
def test_decode_step(point, measure):
    """Time one new token after a cache of the given length."""
    measure(workloads.decode, point)


@pytest.mark.grid("generation", smallest=True)
def test_greedy_generation(point, measure):
    """Time greedy generation end to end, and the wait for its first token."""
    measure(workloads.generation, point)
