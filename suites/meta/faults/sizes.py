"""Faults in the sizes and the padding of pictures, and in telling their layout."""

from __future__ import annotations

from suites.meta.edits import edit
from suites.meta.faults import Fault

BACKEND = "image_processing_backends:PilBackend."

FAULTS = [
    Fault(
        "longest-edge-ignored",
        "The limit of the longer edge is ignored.",
        edit("image_transforms:get_size_with_aspect_ratio", ("size > max_size", "size < 0")),
        ("test_images_are_fitted_between_limits",),
        "vit-random",
    ),
    Fault(
        "box-is-filled",
        "An image covers the box that it should fit into.",
        edit(
            "image_utils:get_image_size_for_max_height_width",
            ("min(height_scale, width_scale)", "max(height_scale, width_scale)"),
        ),
        ("test_images_are_fitted_between_limits",),
        "vit-random",
    ),
    Fault(
        "pictures-padded-above",
        "Padding is put above and to the left of a picture.",
        edit(
            f"{BACKEND}pad",
            (
                "pad_width = ((0, 0), (0, padding_height), (0, padding_width))",
                "pad_width = ((0, 0), (padding_height, 0), (padding_width, 0))",
            ),
        ),
        ("test_padding_is_black_below_and_to_the_right",),
        "vit-random",
    ),
    Fault(
        "pad-size-ignored",
        "Pictures are padded to the largest of the batch whatever is asked for.",
        edit(f"{BACKEND}_preprocess", ("pad_size=pad_size)", "pad_size=None)")),
        ("test_padding_is_black_below_and_to_the_right",),
        "vit-random",
    ),
    Fault(
        "ambiguous-layout-taken-for-last",
        "Where a shape does not tell, channels are taken to be last.",
        edit(
            "image_utils:infer_channel_dimension_format",
            ("return ChannelDimension.FIRST", "return ChannelDimension.LAST"),
        ),
        ("test_channel_layout_is_honoured",),
        "vit-random",
    ),
    Fault(
        "one-mean-for-red-only",
        "One mean for all channels is that of the first alone.",
        edit(
            "image_transforms:normalize",
            ("mean = [mean] * num_channels", "mean = [mean] + [0.0] * (num_channels - 1)"),
        ),
        ("test_numbers_of_a_call_win",),
        "vit-random",
    ),
]
