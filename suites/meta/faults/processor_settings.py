"""Faults in where an image processor's settings come from, in what a model takes of its pixels and its configuration."""

from __future__ import annotations

from suites.meta.edits import edit
from suites.meta.faults import Fault
from suites.meta.places import DEIT, VIT

BASE = "image_processing_base:ImageProcessingMixin."
SETTINGS = "image_processing_utils:BaseImageProcessor._set_attributes"
UNUSUAL = ("test_unusual_settings_equal_reference",)
TOLD = ("test_settings_are_obeyed_wherever_told",)

FAULTS = [
    Fault(
        "steps-cannot-be-switched-off-in-a-file",
        "A processor's class says which steps happen, whatever its file says.",
        edit(
            SETTINGS,
            (
                "attributes[key] = kwarg",
                "attributes[key] = kwarg or getattr(type(self), key, None)",
            ),
        ),
        TOLD,
        "vit-random",
    ),
    Fault(
        "loading-options-lost",
        "What from_pretrained is told about a processor's numbers is lost.",
        edit(
            f"{BASE}from_dict",
            (
                "if k in cls.valid_kwargs.__annotations__}",
                "if k in cls.valid_kwargs.__annotations__ and k not in image_processor_dict}",
            ),
        ),
        TOLD,
        "deit-shapes",
    ),
    Fault(
        "subfolder-of-a-processor-ignored",
        "A processor is read from the directory above the one it lies in.",
        edit(
            f"{BASE}get_image_processor_dict",
            (
                'subfolder = kwargs.pop("subfolder", "")',
                'subfolder, _ = "", kwargs.pop("subfolder", "")',
            ),
        ),
        TOLD,
        "vit-shapes",
    ),
    Fault(
        "unsaid-is-of-another-family",
        "What a processor's file leaves out means CLIP's numbers.",
        edit(
            SETTINGS,
            (
                "deepcopy(getattr(self, key, None))",
                "[0.48, 0.46, 0.41] if key == 'image_mean' else deepcopy(getattr(self, key, None))",
            ),
        ),
        ("test_settings_left_out_are_the_published_ones",),
        "vit-random",
    ),
    Fault(
        "processors-are-saved-as-pillow-s",
        "A saved processor is called by its implementation.",
        edit(
            "image_processing_backends:PilBackend.to_dict",
            (
                'processor_dict["image_processor_type"][:-3]',
                'processor_dict["image_processor_type"]',
            ),
        ),
        ("test_a_saved_processor_is_found_again",),
        "deit-shapes",
    ),
    Fault(
        "odd-frames-off-centre",
        "A frame of an odd number of columns has the larger part on the right.",
        edit(
            "image_transforms:center_crop",
            (
                "left_pad = ceil((new_width - orig_width) / 2)",
                "left_pad = (new_width - orig_width) // 2",
            ),
        ),
        ("test_small_images_are_framed",),
        "deit-shapes",
    ),
    Fault(
        "grey-transparency-is-black",
        "Of transparent pictures those in grey are shown as they are underneath.",
        edit(
            "image_transforms:convert_to_rgb",
            (
                'has_alpha = "A" in image.getbands()',
                'has_alpha = image.mode == "RGBA"',
            ),
        ),
        ("test_transparent_pictures_lie_on_white",),
        "vit-random",
    ),
    Fault(
        "heights-unchecked",
        "Only the width of pixels is compared with the configured one.",
        edit(
            f"{VIT}ViTEmbeddings.forward",
            ("height != self.image_size[0] or ", ""),
        ),
        ("test_unfitting_images_are_refused",),
        "vit-shapes",
    ),
    Fault(
        "patches-unmasked",
        "DeiT's layers hear of no mask.",
        edit(
            f"{DEIT}DeiTLayer.forward",
            (
                "self.attention(hidden_states, attention_mask,",
                "self.attention(hidden_states, None,",
            ),
        ),
        ("test_masked_places_equal_reference",),
        "deit-shapes",
    ),
    Fault(
        "wide-pixels-refused",
        "Pixels of a higher precision than the weights' are not cast.",
        edit(
            f"{VIT}ViTModel.forward",
            (
                "if pixel_values.dtype != expected_dtype:",
                "if pixel_values.dtype.itemsize < expected_dtype.itemsize:",
            ),
        ),
        ("test_pixels_of_any_precision_are_taken",),
        "vit-shapes",
    ),
    Fault(
        "deit-norms-are-torch-s",
        "DeiT's second norms have torch's epsilon.",
        edit(
            f"{DEIT}DeiTLayer.forward",
            (
                "hidden_states = self.layernorm_after(hidden_states)",
                "self.layernorm_after.eps = 1e-5\n    hidden_states = self.layernorm_after(hidden_states)",
            ),
        ),
        UNUSUAL,
        "deit-shapes",
    ),
    Fault(
        "patches-are-square",
        "ViT takes its patches to be as wide as they are high.",
        edit(
            f"{VIT}ViTPatchEmbeddings.__init__",
            ("image_size[1] // patch_size[1]", "image_size[1] // patch_size[0]"),
        ),
        UNUSUAL,
        "vit-random",
    ),
]
