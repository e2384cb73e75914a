"""Faults in options of loading beside the dtype of weights."""

from __future__ import annotations

from suites.meta.edits import edit
from suites.meta.faults import Fault

LOADED = "modeling_utils:"
SETTINGS = "generation.configuration_utils:GenerationConfig."

FAULTS = [
    Fault(
        "made-in-the-default-dtype",
        "A model made of a configuration is in torch's default dtype, whatever that names.",
        edit(
            LOADED + "PreTrainedModel._from_config.__func__",
            ('kwargs.pop("dtype", config.dtype)', 'kwargs.pop("dtype", None)'),
        ),
        ("test_configurations_tell_the_dtype",),
        "gpt2-counting",
    ),
    Fault(
        "safetensors-all-the-same",
        "safetensors are read although told not to.",
        edit(
            LOADED + "_get_resolved_checkpoint_files",
            (
                "use_safetensors is not False and os.path.isfile(\n                os.path.join(pretrained_model_name_or_path, subfolder, _add_variant(SAFE_WEIGHTS_NAME, variant))",
                "os.path.isfile(\n                os.path.join(pretrained_model_name_or_path, subfolder, _add_variant(SAFE_WEIGHTS_NAME, variant))",
            ),
        ),
        ("test_weights_are_of_the_kind_asked_for",),
        "bert-masked",
    ),
    Fault(
        "old-positions-reported",
        "Positions that old files hold beside the weights are reported where they are inside a model.",
        edit(
            LOADED + "PreTrainedModel._adjust_missing_and_unexpected_keys",
            ('r"(^|\\.)position_ids$"', 'r"^position_ids$"'),
        ),
        ("test_stored_positions_are_no_surprise",),
        "bert-masked",
    ),
    Fault(
        "settings-named-as-ever",
        "Settings of generation are written as generation_config.json, whatever name is given.",
        edit(
            SETTINGS + "save_pretrained",
            (
                "os.path.join(save_directory, config_file_name)",
                "os.path.join(save_directory, GENERATION_CONFIG_NAME)",
            ),
        ),
        ("test_settings_of_generation_have_the_name_given",),
        "gpt2-counting",
    ),
    Fault(
        "everything-is-about-generation",
        "Every field of config.json is a setting of generation where these have no file.",
        edit(
            SETTINGS + "from_model_config.__func__",
            ("_from_model_config=True", "_from_model_config=False"),
        ),
        ("test_settings_of_generation_are_of_generation",),
        "gpt2-counting",
    ),
    Fault(
        "only-what-the-file-has",
        "Options of an image processor are taken for what its file holds alone.",
        edit(
            "image_processing_base:ImageProcessingMixin.from_dict.__func__",
            ("if k in cls.valid_kwargs.__annotations__", "if k in image_processor_dict"),
        ),
        ("test_options_beyond_the_file_are_taken",),
        "vit-random",
    ),
    Fault(
        "labels-become-halves",
        "Whole numbers beside pictures are moved to float16 with them.",
        edit(
            "feature_extraction_utils:BatchFeature.to",
            (
                "isinstance(v, torch.Tensor) and torch.is_floating_point(v)",
                "isinstance(v, torch.Tensor)",
            ),
        ),
        ("test_only_numbers_change_their_dtype",),
        "vit-random",
    ),
]
