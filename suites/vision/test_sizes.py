"""Sizes told by edges and limits, and padding: what the processors of all families share."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from fixtures.applicability import Predicate, applies_to, colour_processor
from fixtures.images import gradient, source
from fixtures.preprocessing import known_processor

ONLY = {"do_center_crop": False, "do_rescale": False, "do_normalize": False}


def _shared(_) -> bool:
    """Whether the library has the module of these steps, found without importing it."""
    found = find_spec("transformers")
    return Path(found.origin).with_name("image_processing_backends.py").is_file()


shared = Predicate("image processors share their steps", _shared)


def extent(scale, image):
    """(height, width) of an image scaled, rounded down."""
    return int(image.height * scale), int(image.width * scale)


@applies_to(colour_processor, known_processor, shared)
def test_images_are_fitted_between_limits(checkpoint, processor, expect):
    """The shorter edge is made as long as told unless the longer would pass its limit; or both fit a box."""
    for size in ((60, 40), (40, 64), (90, 30)):
        image = gradient(size)
        short, long = sorted(size)
        width, height = size
        for told, scale in (
            ({"shortest_edge": 20, "longest_edge": 40}, min(20 / short, 40 / long)),
            ({"max_height": 20, "max_width": 36}, min(20 / height, 36 / width)),
        ):
            pixels = processor(image, size=told, return_tensors="np", **ONLY)["pixel_values"]
            call = f"processor(image, size={told}, ...)['pixel_values'].shape[-2:]"
            expect.equal(pixels.shape[-2:], extent(scale, image), call, image=source(image))


@applies_to(colour_processor, known_processor, shared)
def test_padding_is_black_below_and_to_the_right(checkpoint, processor, expect):
    """do_pad frames pictures to pad_size, or to the largest of a batch, with black after each edge."""
    images = [gradient((20, 12)), gradient((9, 15))]
    for size, told in (((18, 30), {"pad_size": {"height": 18, "width": 30}}), ((15, 20), {})):
        options = {**ONLY, "do_resize": False, "do_pad": True, **told}
        value = np.asarray(processor(images, return_tensors="np", **options)["pixel_values"])
        wanted = np.zeros((2, 3, *size))
        for row, image in zip(wanted, images, strict=True):
            row[:, : image.height, : image.width] = np.asarray(image).transpose(2, 0, 1)
        call = "processor(images, do_pad=True, ...)['pixel_values']"
        shown = [source(image) for image in images]
        expect.equal(value.astype(int), wanted.astype(int), call, images=shown, options=options)
