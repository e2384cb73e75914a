"""From files to a model."""

from __future__ import annotations

import pytest

from fixtures.applicability import Predicate, applies_to
from fixtures.benchmark_models import SIZES, build
from fixtures.benchmarking import timed_by_default
from fixtures.checkpoint import Checkpoint
from fixtures.loading import fresh_model

weights = Predicate("weights", lambda c: bool(c.weight_bytes) and c.source != "built-in")


@applies_to(weights & timed_by_default)
def test_loading(checkpoint, throughput):
    """Time `from_pretrained` of a checkpoint that is in the page cache."""
    throughput(lambda: fresh_model(checkpoint, attention=None), bytes=checkpoint.weight_bytes)


@pytest.fixture
def saved(tmp_path):
    """distilbert-base with random weights, as a checkpoint."""
    [size] = [size for size in SIZES if size.name == "distilbert-base"]
    model = build(size, head=False, attention=None, dtype="float32", device="cpu")
    model.save_pretrained(tmp_path)
    return Checkpoint(size.name, tmp_path, "path")


def test_loading_distilbert_base(saved, throughput):
    """Time `from_pretrained` of a model of a published size."""
    throughput(lambda: fresh_model(saved, attention=None), bytes=saved.weight_bytes)
