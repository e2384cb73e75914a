"""Faults in pictures that are not plain: transparent, turned, scaled already, cut to odd sizes."""

from __future__ import annotations

from suites.meta.edits import edit
from suites.meta.faults import Fault

FAULTS = [
    Fault(
        "odd-crops-off-centre",
        "A crop that leaves an odd number over begins a pixel too low.",
        edit(
            "image_transforms:center_crop",
            (
                "top = (orig_height - crop_height) // 2\n",
                "top = -(-(orig_height - crop_height) // 2)\n",
            ),
        ),
        ("test_crops_leave_the_middle",),
        "deit-shapes",
    ),
    Fault(
        "scaled-arrays-are-black",
        "Numbers from 0 to 1 are rounded to whole ones.",
        edit(
            "image_transforms:resize",
            ("do_rescale = _rescale_for_pil_conversion(image)", "do_rescale = False"),
        ),
        ("test_scaled_arrays_are_pictures",),
        "vit-shapes",
    ),
    Fault(
        "transparent-is-black",
        "Transparent pictures lie on black.",
        edit("image_transforms:convert_to_rgb", ("(255, 255, 255, 255)", "(0, 0, 0, 255)")),
        ("test_transparent_pictures_lie_on_white",),
        "vit-random",
    ),
    Fault(
        "three-channels-at-most",
        "A fourth channel is left out.",
        edit(
            "image_processing_backends:PilBackend.process_image",
            ("    return image", "    return image[:3]"),
        ),
        ("test_every_channel_is_kept",),
        "vit-shapes",
    ),
    Fault(
        "files-lie-on-their-side",
        "What a file says about the camera is ignored.",
        edit("image_utils:load_image", ("image = PIL.ImageOps.exif_transpose(image)", "pass")),
        ("test_a_file_is_seen_upright",),
        "vit-shapes",
    ),
    Fault(
        "frame-is-zero",
        "What frames a small picture is put there when all else is done.",
        edit(
            "image_processing_backends:PilBackend._preprocess",
            ("image = self.center_crop(image, crop_size)", "pass"),
            (
                "processed_images.append(image)",
                "processed_images.append(self.center_crop(image, crop_size) if do_center_crop else image)",
            ),
        ),
        ("test_small_images_are_framed",),
        "deit-shapes",
    ),
]
