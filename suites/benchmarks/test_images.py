"""From images to pixel values."""

from __future__ import annotations

import pytest

from fixtures.applicability import applies_to, kind
from fixtures.benchmarking import timed_by_default
from fixtures.images import noise

SIZE = {"height": 224, "width": 224}


@applies_to(kind("vision") & timed_by_default)
@pytest.mark.parametrize("batch", [1, 8])
def test_preprocessing(checkpoint, processor, throughput, batch):
    """Time resizing and normalising of 640 x 480 images to 224 x 224."""
    images = [noise((640, 480), seed) for seed in range(batch)]
    throughput(lambda: processor(images, size=SIZE, return_tensors="pt"), images=batch)
