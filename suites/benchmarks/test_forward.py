"""Passes that are bound by arithmetic: forward of every kind, prefill, encode."""

from __future__ import annotations

import pytest

from fixtures import workloads


@pytest.mark.grid("forward")
def test_forward(point, measure):
    """Time a forward pass of the base model."""
    measure(workloads.forward, point)


@pytest.mark.grid("prefill", smallest=True)
def test_prefill(point, measure):
    """Time a prompt's way through a causal model into the cache."""
    measure(workloads.prefill, point)


@pytest.mark.grid("encode", smallest=True)
def test_encode(point, measure):
    """Time the encoder of an encoder-decoder."""
    measure(workloads.encode, point)
