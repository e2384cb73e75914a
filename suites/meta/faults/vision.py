"""Faults of image processors and of patch embeddings."""

from __future__ import annotations

from suites.meta.edits import edit
from suites.meta.faults import Fault
from suites.meta.places import DEIT, VIT

PIL = "image_processing_backends:PilBackend."
BASE = "image_processing_backends:BaseImageProcessor."
STEPS = PIL + "_preprocess"
DEFINED = "test_pixels_equal_the_definition"
ANY = "test_any_image_equals_the_definition"

FAULTS = [
    Fault(
        "channels-swapped",
        "Red and blue change places.",
        edit(
            PIL + "process_image",
            ("    return image", "    return image[::-1] if image.shape[0] == 3 else image"),
        ),
        (
            DEFINED,
            ANY,
            "test_channels_keep_their_order",
            "test_converted_images_equal_the_definition",
        ),
        "vit-shapes",
    ),
    Fault(
        "normalised-before-scaling",
        "Mean and spread are applied to numbers up to 255.",
        edit(STEPS, ("if do_rescale:", "if do_rescale and not do_normalize:")),
        (DEFINED, "test_a_step_can_be_left_out"),
        "vit-shapes",
    ),
    Fault(
        "height-and-width-swapped",
        "Images are resized to width by height.",
        edit(
            PIL + "resize",
            ("new_size = (size.height, size.width)", "new_size = (size.width, size.height)"),
        ),
        (DEFINED, "test_processor_fits_the_model", "test_numbers_of_a_call_win"),
        "vit-random",
    ),
    Fault(
        "resampling-ignored",
        "Images are resized bilinearly whatever the settings say.",
        edit(
            PIL + "resize",
            ("return np_resize(", "resample = PILImageResampling.BILINEAR\n    return np_resize("),
        ),
        ("test_resampling_is_honoured",),
        "vit-random",
    ),
    Fault(
        "crop-off-centre",
        "The centre crop is one pixel too far down.",
        edit(
            "image_transforms:center_crop",
            (
                "top = (orig_height - crop_height) // 2",
                "top = (orig_height - crop_height) // 2 + 1",
            ),
        ),
        (DEFINED, ANY),
        "deit-shapes",
    ),
    Fault(
        "crop-before-resizing",
        "The centre is cropped before the image is resized.",
        edit(STEPS, ("if do_center_crop:", "if do_center_crop and not do_resize:")),
        (DEFINED,),
        "deit-shapes",
    ),
    Fault(
        "switches-ignored",
        "Normalisation happens although it is switched off.",
        edit(STEPS, ("if do_normalize:", "if True:")),
        ("test_a_step_can_be_left_out",),
        "vit-shapes",
    ),
    Fault(
        "arrays-read-sideways",
        "Rows and columns of an array whose channels come last change places.",
        edit(
            PIL + "process_image",
            (
                "    if input_data_format == ChannelDimension.LAST:\n        image = np.moveaxis(image, -1, 0)",
                "    if input_data_format == ChannelDimension.LAST:\n        image = image.transpose(2, 1, 0)",
            ),
        ),
        ("test_forms_of_an_image_agree", "test_image_labels_for_any_form"),
        "vit-shapes",
    ),
    Fault(
        "layout-guessed",
        "input_data_format is ignored, and the layout guessed from the shape.",
        edit(PIL + "process_image", ("elif input_data_format is None:", "else:")),
        ("test_channel_layout_is_honoured",),
        "vit-shapes",
    ),
    Fault(
        "batches-reversed",
        "Several images come back last first.",
        edit(STEPS, ("for image in images:", "for image in reversed(images):")),
        ("test_batch_equals_singles",),
        "vit-shapes",
    ),
    Fault(
        "conversion-ignored",
        "do_convert_rgb does nothing.",
        edit(PIL + "process_image", ("if do_convert_rgb:", "if False:")),
        ("test_do_convert_rgb_converts",),
        "vit-shapes",
    ),
    Fault(
        "processing-in-place",
        "Scaling changes the caller's array.",
        edit(
            PIL + "process_image",
            (
                "    if image.ndim == 2:",
                "    if image_type == ImageType.NUMPY: image[...] = image // 2 * 2\n    if image.ndim == 2:",
            ),
        ),
        ("test_an_image_is_left_alone",),
        "vit-shapes",
    ),
    Fault(
        "half-precision-pixels",
        "Pixels are computed in half precision.",
        edit(
            STEPS,
            (
                "processed_images.append(image)",
                "processed_images.append(image.astype('float16').astype('float32'))",
            ),
        ),
        (DEFINED, ANY),
        "vit-random",
    ),
    Fault(
        "double-pixels",
        "Pixels come in double precision.",
        edit(
            STEPS,
            ("processed_images.append(image)", "processed_images.append(image.astype('float64'))"),
        ),
        ("test_what_a_processor_returns",),
        "vit-shapes",
    ),
    Fault(
        "mean-not-saved",
        "A saved processor forgets its mean.",
        edit(
            "image_processing_base:ImageProcessingMixin.to_dict",
            ("return output", "output.pop('image_mean', None)\n    return output"),
        ),
        ("test_a_saved_processor_is_the_same",),
        "vit-random",
    ),
    Fault(
        "patches-column-by-column",
        "Patches are numbered down the columns instead of along the rows.",
        edit(VIT + "ViTPatchEmbeddings.forward", (".flatten(2)", ".transpose(2, 3).flatten(2)")),
        ("test_a_patch_moves_its_own_position", "test_outputs_equal_reference"),
        "vit-shapes",
    ),
    Fault(
        "patches-normalised",
        "Patch embeddings are bounded, so that they no longer add up.",
        edit(
            VIT + "ViTPatchEmbeddings.forward",
            ("return self.projection(pixel_values)", "return self.projection(pixel_values).tanh()"),
        ),
        ("test_every_pixel_counts",),
        "vit-shapes",
    ),
    Fault(
        "batch-mixed",
        "Patch embeddings are centred over the batch.",
        edit(
            VIT + "ViTPatchEmbeddings.forward",
            (
                "    return self.projection(pixel_values)",
                "    return self.projection(pixel_values - pixel_values.mean(0, keepdim=True))",
            ),
        ),
        ("test_image_batch_equals_singles",),
        "vit-shapes",
    ),
    Fault(
        "positions-forgotten",
        "No positions are added.",
        edit(
            VIT + "ViTEmbeddings.forward",
            (
                "embeddings = embeddings + self.position_embeddings",
                "embeddings = embeddings + 0 * self.position_embeddings",
            ),
        ),
        ("test_places_are_told_apart",),
        "vit-shapes",
    ),
    Fault(
        "interpolated-transposed",
        "Positions interpolated to another size are stretched the other way.",
        edit(
            VIT + "ViTEmbeddings.interpolate_pos_encoding",
            ("patch_pos_embed.permute(0, 3, 1, 2)", "patch_pos_embed.permute(0, 3, 2, 1)"),
        ),
        ("test_interpolated_positions",),
        "vit-shapes",
    ),
    Fault(
        "interpolated-always",
        "Positions are moved by half a patch even at the model's own size.",
        edit(
            VIT + "ViTEmbeddings.interpolate_pos_encoding",
            ("and num_patches == num_positions", "and False"),
            ("align_corners=False", "align_corners=False) + 1e-3 * torch.ones(1"),
        ),
        ("test_interpolating_to_the_own_size_changes_nothing",),
        "vit-shapes",
    ),
    Fault(
        "sizes-unchecked",
        "Pixels of another size get as many positions as there are, from the first.",
        edit(
            DEIT + "DeiTEmbeddings.forward",
            (
                "            raise ValueError(",
                "            image_size_error = (",
            ),
            (
                "embeddings = embeddings + self.position_embeddings",
                "embeddings = embeddings[:, : self.position_embeddings.shape[1]] + self.position_embeddings",
            ),
        ),
        ("test_unfitting_images_are_refused",),
        "deit-shapes",
    ),
    Fault(
        "attention-unnormalised",
        "The classifier sees numbers that are not any more: logits are infinite.",
        edit(
            VIT + "ViTForImageClassification.forward",
            ("logits = self.classifier(", "logits = float('inf') * self.classifier("),
        ),
        ("test_image_probabilities",),
        "vit-shapes",
    ),
    Fault(
        "vit-picture-transposed",
        "ViT for masked images draws the picture transposed.",
        edit(
            VIT + "ViTForMaskedImageModeling.forward",
            (
                "reshape(batch_size, num_channels, height, width)",
                "reshape(batch_size, num_channels, width, height).transpose(2, 3)",
            ),
        ),
        ("test_masked_patches_are_not_seen",),
        "vit-random",
    ),
    Fault(
        "deit-picture-shifted",
        "DeiT for masked images draws each patch where the next one belongs.",
        edit(
            DEIT + "DeiTForMaskedImageModeling.forward",
            ("sequence_output[:, 2:]", "sequence_output[:, 1:-1]"),
        ),
        ("test_masked_patches_are_not_seen",),
        "deit-shapes",
    ),
    Fault(
        "deit-answers-the-sum",
        "DeiT with its teacher answers the sum of both heads.",
        edit(
            DEIT + "DeiTForImageClassificationWithTeacher.forward",
            ("(cls_logits + distillation_logits) / 2", "cls_logits + distillation_logits"),
        ),
        ("test_each_head_reads_its_own_token",),
        "deit-shapes",
    ),
    Fault(
        "deit-teacher-reads-the-class-token",
        "Both heads of DeiT with its teacher read the class token.",
        edit(
            DEIT + "DeiTForImageClassificationWithTeacher.forward",
            ("sequence_output[:, 1, :]", "sequence_output[:, 0, :]"),
        ),
        ("test_each_head_reads_its_own_token",),
        "deit-shapes",
    ),
]
