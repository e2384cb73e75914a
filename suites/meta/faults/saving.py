"""Faults of saving: weights, names, configuration, shards."""

from __future__ import annotations

from suites.meta.edits import edit
from suites.meta.faults import Fault
from suites.meta.places import CONFIG

MODEL = "modeling_utils:PreTrainedModel."
GENERATION = "generation.configuration_utils:GenerationConfig."
SAVING = MODEL + "save_pretrained"
STATE = "state_dict = model_to_save.state_dict()"

FAULTS = [
    Fault(
        "file-of-generation-wins",
        "What from_pretrained is given for generation is overruled by the file.",
        edit(
            f"{GENERATION}from_dict",
            (
                "config = cls(**{**config_dict, **kwargs})",
                "config = cls(**{**kwargs, **config_dict})",
            ),
            ("config.update(**kwargs)", "config.update(**{**kwargs, **config_dict})"),
        ),
        ("test_generation_settings_of_every_kind_are_kept",),
        "gpt2-counting",
    ),
    Fault(
        "true-settings-of-generation-lost",
        "Settings of generation that are switches are not written.",
        edit(
            f"{GENERATION}to_diff_dict",
            (
                "serializable_config_dict[key] = value",
                "serializable_config_dict[key] = None if value is True else value",
            ),
        ),
        ("test_generation_settings_of_every_kind_are_kept",),
        "gpt2-counting",
    ),
    Fault(
        "updates-of-generation-not-counted",
        "update gives back what it took, too.",
        edit(f"{GENERATION}update", ("if key not in to_remove", "if key in kwargs")),
        ("test_generation_settings_of_every_kind_are_kept",),
        "gpt2-counting",
    ),
    Fault(
        "pickle-beside",
        "Saving leaves a pickle beside the safetensors.",
        edit(
            SAVING,
            (STATE, STATE + "; torch.save({}, os.path.join(save_directory, 'pytorch_model.bin'))"),
        ),
        ("test_saved_files_are_safetensors",),
        "bert-masked",
    ),
    Fault(
        "saving-rounds",
        "Saving writes weights with fewer digits than they have.",
        edit(
            SAVING,
            (
                STATE,
                "state_dict = {k: v.half().to(v.dtype) for k, v in model_to_save.state_dict().items()}",
            ),
        ),
        (
            "test_saved_weights_equal_the_files",
            "test_reloaded_state_equals_the_saved_state",
            "test_reloaded_outputs_are_equal",
        ),
        "gpt2-random",
    ),
    Fault(
        "saving-drops-a-prefix",
        "Saving writes names without the first module's.",
        edit(
            SAVING,
            (STATE, "state_dict = {'net.' + k: v for k, v in model_to_save.state_dict().items()}"),
        ),
        ("test_saved_names_are_the_stored_names", "test_reloading_is_complete"),
        "gpt2-random",
    ),
    Fault(
        "saving-writes-the-class-late",
        "config.json is saved without the architecture's name.",
        edit(SAVING, ('[model_to_save.__class__.__name__.removeprefix("FSDP")]', "None")),
        ("test_saved_configuration_keeps_every_field",),
        "bert-sentiment",
    ),
    Fault(
        "tying-is-not-saved",
        "The saved configuration forgets whether the embeddings are tied.",
        edit(
            CONFIG + "to_diff_dict",
            (
                "return serializable_config_dict",
                "serializable_config_dict.pop('tie_word_embeddings', None); return serializable_config_dict",
            ),
        ),
        ("test_tying_survives_saving",),
        "llama-chat",
    ),
    Fault(
        "saving-drops-fields",
        "Saving a configuration leaves out whole numbers.",
        edit(
            CONFIG + "to_diff_dict",
            (
                "return serializable_config_dict",
                "return {k: v for k, v in serializable_config_dict.items() if type(v) is not float}",
            ),
        ),
        ("test_reloaded_configuration_is_the_same", "test_saved_configuration_keeps_every_field"),
        "bert-random",
    ),
    Fault(
        "generation-not-saved",
        "Generation settings are not saved with the model.",
        edit(
            "generation.configuration_utils:GenerationConfig.to_diff_dict",
            ("return serializable_config_dict", "return {'transformers_version': '0'}"),
        ),
        ("test_reloaded_generation_settings_are_the_same",),
        "mbart-transliterate",
    ),
    Fault(
        "index-names-the-wrong-file",
        "The index of a sharded model lists every weight in the first file.",
        edit(
            SAVING,
            (
                '"weight_map": weight_map',
                '"weight_map": dict.fromkeys(weight_map, min(weight_map.values()))',
            ),
        ),
        ("test_sharded_weights_are_the_same",),
        "bert-masked",
    ),
    Fault(
        "saving-moves-the-model",
        "Saving shifts the model's own weights a little.",
        edit(
            SAVING,
            (
                STATE,
                "[p.data.mul_(1.001) for p in model_to_save.parameters()]\n        " + STATE,
            ),
        ),
        ("test_saving_changes_nothing",),
        "bert-masked",
    ),
    Fault(
        "shards-stay",
        "Saving leaves the files of an older save in several.",
        edit(SAVING, ("os.remove(full_filename)", "pass")),
        ("test_saving_takes_the_place_of_shards",),
        "bert-masked",
    ),
    Fault(
        "given-weights-ignored",
        "save_pretrained saves the model's own weights whatever it is given.",
        edit(SAVING, ("if state_dict is None:", "if True:")),
        ("test_given_weights_are_saved",),
        "gpt2-counting",
    ),
    Fault(
        "saved-as-they-lie",
        "A matrix that lies in memory column by column is saved transposed.",
        edit(
            SAVING,
            (
                "shard_state_dict[tensor_name] = tensor.contiguous()",
                "shard_state_dict[tensor_name] = torch.as_strided(tensor, tensor.shape, [tensor.shape[1], 1])"
                " if tensor.dim() == 2 else tensor.contiguous()",
            ),
        ),
        ("test_order_of_memory_is_not_saved",),
        "bert-masked",
    ),
    Fault(
        "dtype-as-loaded",
        "The saved configuration keeps the dtype that the model was loaded in.",
        edit(SAVING, ('model_to_save.config.dtype = str(dtype).split(".")[1]', "pass")),
        ("test_a_changed_dtype_is_written",),
        "llama-bytes",
    ),
    Fault(
        "tuples-as-words",
        "Numbers in a tuple of a configuration are saved as words.",
        edit(
            CONFIG + "to_dict",
            ("value = [to_list(item) for item in value]", "value = [str(item) for item in value]"),
        ),
        ("test_fields_of_a_users_are_saved",),
        "llama-bytes",
    ),
    Fault(
        "labels-in-capitals",
        "Names of labels are read in capitals.",
        edit(
            CONFIG + "__post_init__",
            (
                "self.id2label = {int(key): value for",
                "self.id2label = {int(key): str(value).upper() for",
            ),
        ),
        ("test_fields_of_a_users_are_saved",),
        "bert-masked",
    ),
    Fault(
        "yes-is-an-error",
        "update_from_string knows true and false alone.",
        edit(
            CONFIG + "update_from_string",
            ('if v.lower() in ["true", "1", "y", "yes"]:', 'if v.lower() in ["true"]:'),
        ),
        ("test_a_configuration_is_updated_from_text",),
        "bert-masked",
    ),
    Fault(
        "least-becomes-greatest",
        "A field of minus infinity is read back as infinity.",
        edit(
            "configuration_utils:PreTrainedConfig._encode_special_floats",
            ('{_FLOAT_TAG_KEY: "-Infinity"}', '{_FLOAT_TAG_KEY: "Infinity"}'),
        ),
        ("test_configuration_is_written_whole",),
        "bert-masked",
    ),
    Fault(
        "settings-of-nothing-left-out",
        "Generation settings of 0 and False are not written.",
        edit(
            "generation.configuration_utils:GenerationConfig.to_diff_dict",
            ("or value != default_config_dict[key]", "or value"),
        ),
        ("test_settings_of_nothing_are_saved",),
        "gpt2-counting",
    ),
]
