"""Faults of loading: weights, names, ties, configuration, broken and hostile files."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from suites.meta.edits import edit
from suites.meta.faults import Fault
from suites.meta.places import CONFIG

MODEL = "modeling_utils:PreTrainedModel."
LOADING = "core_model_loading:"
FROM_PRETRAINED = MODEL + "from_pretrained.__func__"
ARRIVAL = "    return loading_info"
UNUSED = 'return_unused_kwargs = kwargs.pop("return_unused_kwargs", False)'


def before_use(code: str) -> Callable[[pytest.MonkeyPatch], None]:
    """Code that runs when a model is loaded, and before anybody has it."""
    return edit(FROM_PRETRAINED, ("    model.eval()", f"    {code}\n    model.eval()"))


def without(condition: str) -> Callable[[pytest.MonkeyPatch], None]:
    """Fields of config.json, k and v, that do not arrive."""
    kept = f"config_dict = {{k: v for k, v in config_dict.items() if not ({condition})}}"
    return edit(CONFIG + "from_dict.__func__", (UNUSED, f"{UNUSED}\n    {kept}"))


def mend_cut_files(patch: pytest.MonkeyPatch) -> None:
    """A file of weights that ends too early is filled up with zeros."""
    from transformers import modeling_utils

    original = modeling_utils.safe_open

    def lenient(path, *arguments, **options):
        content = Path(path).read_bytes()
        length = int.from_bytes(content[:8], "little")
        with contextlib.suppress(ValueError):
            entries = json.loads(content[8 : 8 + length]).values()
            end = (
                8
                + length
                + max((e["data_offsets"][1] for e in entries if "data_offsets" in e), default=0)
            )
            if len(content) < end:
                Path(path).write_bytes(content.ljust(end, b"\0"))
        return original(path, *arguments, **options)

    patch.setattr(modeling_utils, "safe_open", lenient)


def refuses(auto_class: str) -> Callable[[pytest.MonkeyPatch], None]:
    """An Auto class that loads nothing."""

    def refuse(*_arguments, **_options):
        raise ValueError("refused")

    def apply(patch: pytest.MonkeyPatch) -> None:
        import transformers

        patch.setattr(getattr(transformers, auto_class), "from_pretrained", refuse)

    return apply


FAULTS = [
    Fault(
        "models-refused",
        "No model with this head loads.",
        refuses("AutoModelForSequenceClassification"),
        ("test_model_loads",),
        "bert-sentiment",
    ),
    Fault(
        "tokenizers-refused",
        "No tokenizer loads.",
        refuses("AutoTokenizer"),
        ("test_tokenizer_loads",),
        "bert-sentiment",
    ),
    Fault(
        "processors-refused",
        "No image processor loads.",
        refuses("AutoImageProcessor"),
        ("test_processor_loads",),
        "vit-shapes",
    ),
    Fault(
        "cut-files-mended",
        "A file of weights that ends too early is filled up with zeros.",
        mend_cut_files,
        ("test_damaged_weights_are_refused",),
        "bert-masked",
    ),
    Fault(
        "state-without-biases",
        "A model's state dict leaves out the biases.",
        before_use(
            "def without(module, state, *_): [state.pop(k) for k in list(state) if k.endswith('bias')]\n"
            "    model._register_state_dict_hook(without)"
        ),
        ("test_state_dict_goes_in_and_out", "test_no_weight_is_lost_in_saving"),
        "bert-masked",
    ),
    Fault(
        "biases-are-not-loaded",
        "A bias of the files is left out, and newly initialised instead.",
        edit(
            LOADING + "set_param_for_module",
            (
                "    ref = getattr(module_obj, param_name)",
                "    if param_name == 'bias' and 'dense' in target_name: return\n"
                "    ref = getattr(module_obj, param_name)",
            ),
        ),
        (
            "test_nothing_is_missing_or_unexpected",
            "test_every_parameter_comes_from_the_files",
            "test_reloading_is_complete",
        ),
        "bert-random",
    ),
    Fault(
        "left-in-training-mode",
        "from_pretrained forgets to switch dropout off.",
        edit(FROM_PRETRAINED, ("    model.eval()", "    model.train()")),
        ("test_loaded_in_eval_mode",),
        "bert-random",
    ),
    Fault(
        "never-tied",
        "Weights that belong together are not tied after loading.",
        edit(MODEL + "tie_weights", ("tied_keys = list(tied_keys.items())", "tied_keys = []")),
        (
            "test_tied_embeddings_are_one_matrix",
            "test_loaded_weights_are_real",
            "test_changing_tied_embeddings_changes_both",
        ),
        "gpt2-counting",
    ),
    Fault(
        "tied-although-untied",
        "The output embedding of a model that keeps one of its own is tied to the input's.",
        before_use(
            "output = model.get_output_embeddings()\n"
            "    if output is not None: output.weight = model.get_input_embeddings().weight"
        ),
        ("test_untied_embeddings_are_two_matrices", "test_every_weight_of_the_files_is_in_memory"),
        "llama-bytes",
    ),
    Fault(
        "configuration-loses-numbers",
        "Loading a configuration drops its floating-point fields.",
        without("isinstance(v, float)"),
        ("test_configuration_keeps_every_field", "test_saved_configuration_keeps_every_field"),
        "bert-random",
    ),
    Fault(
        "rope-base-lost",
        "The base of rotary positions is taken from the class, not from the files.",
        without("k == 'rope_theta'"),
        ("test_configuration_keeps_rope_settings",),
        "mistral-random",
    ),
    Fault(
        "labels-lost",
        "id2label of the files is forgotten for LABEL_0 and so on.",
        without("k in ('id2label', 'label2id')"),
        ("test_labels_keep_their_names", "test_sentences_get_their_labels"),
        "bert-sentiment",
    ),
    Fault(
        "generation-file-ignored",
        "generation_config.json is not read.",
        edit(
            "generation.configuration_utils:GenerationConfig.from_dict.__func__",
            ("config = cls(**{**config_dict, **kwargs})", "config = cls()"),
        ),
        ("test_generation_settings_are_read", "test_generation_settings_come_from_the_files"),
        "mbart-transliterate",
    ),
    Fault(
        "missing-weights-unreported",
        "A weight that is not in the files is initialised in silence.",
        edit(
            MODEL + "_finalize_model_loading",
            (ARRIVAL, "    loading_info.missing_keys = set()\n    return loading_info"),
        ),
        ("test_a_missing_weight_is_reported",),
        "bert-masked",
    ),
    Fault(
        "unexpected-weights-unreported",
        "A weight the model has no place for is ignored in silence.",
        edit(
            MODEL + "_finalize_model_loading",
            (ARRIVAL, "    loading_info.unexpected_keys = set()\n    return loading_info"),
        ),
        ("test_an_unexpected_weight_is_reported",),
        "bert-masked",
    ),
    Fault(
        "wrong-shapes-accepted",
        "Weights of another shape are replaced by new ones instead of being refused.",
        edit(
            FROM_PRETRAINED,
            ("ignore_mismatched_sizes=ignore_mismatched_sizes", "ignore_mismatched_sizes=True"),
        ),
        ("test_a_weight_of_another_shape_is_refused",),
        "bert-masked",
    ),
    Fault(
        "base-prefix-forgotten",
        "A base model's weights are not recognised by a model with a head.",
        edit(
            LOADING + "rename_source_key",
            (
                'elif meta_state_dict.get(f"{base_model_prefix}.{renamed_key}") is not None:',
                "elif False:",
            ),
        ),
        ("test_base_weights_load_into_a_head",),
        "bert-masked",
    ),
    Fault(
        "remote-code-trusted",
        "Code beside config.json is trusted unless one forbids it.",
        edit(
            "dynamic_module_utils:resolve_trust_remote_code",
            (
                "        if has_local_code:\n            trust_remote_code = False",
                "        if has_local_code:\n            trust_remote_code = True",
            ),
        ),
        ("test_code_in_a_directory_is_not_run",),
        "bert-masked",
    ),
    Fault(
        "pickles-trusted",
        "A pickle is loaded with everything it asks for.",
        edit(
            "modeling_utils:load_state_dict",
            ("weights_only=weights_only, **extra_args", "weights_only=False"),
        ),
        ("test_pickled_weights_are_not_run",),
        "bert-masked",
    ),
    Fault(
        "models-share-their-weights",
        "A second load hands out the first one's tensors.",
        before_use(
            "cls.kept = getattr(cls, 'kept', None) or {}\n"
            "    for n, p in model.named_parameters():\n"
            "        p.data = cls.kept.setdefault((str(p.dtype), n), p.data)"
        ),
        ("test_loading_leaves_the_files_alone",),
        "bert-masked",
    ),
    Fault(
        "loading-is-noisy",
        "Every load adds a little noise to the weights.",
        before_use("[p.data.add_(1e-6 * torch.randn_like(p)) for p in model.parameters()]"),
        (
            "test_loading_is_repeatable",
            "test_weights_in_memory_equal_the_files",
            "test_reloaded_state_equals_the_saved_state",
        ),
        "bert-masked",
    ),
    Fault(
        "half-a-model-stays-empty",
        "Layer norms are never read: they hold no numbers.",
        before_use(
            "[p.data.fill_(float('nan')) for n, p in model.named_parameters() if 'LayerNorm' in n]"
        ),
        ("test_model_loads",),
        "bert-masked",
    ),
    Fault(
        "rotary-table-stays-empty",
        "Rotary frequencies are never computed: they hold no numbers.",
        before_use("[b.fill_(float('nan')) for n, b in model.named_buffers() if 'inv_freq' in n]"),
        ("test_loaded_weights_are_real",),
        "llama-chat",
    ),
    Fault(
        "resizing-shifts-rows",
        "Resized embeddings keep the old rows one place further.",
        edit(
            MODEL + "_get_resized_embeddings",
            (
                "    new_embeddings.weight.data[:n, :] = old_embeddings.weight.data[:n, :]",
                "    new_embeddings.weight.data[:n, :] = old_embeddings.weight.data[:n, :].roll(1, 0)",
            ),
            (
                "    new_embeddings.weight.data[:n, :] = old_embeddings.weight.data[:n, :]\n\n",
                "    new_embeddings.weight.data[:n, :] = old_embeddings.weight.data[:n, :].roll(1, 0)\n\n",
            ),
        ),
        ("test_resizing_keeps_old_rows",),
        "gpt2-counting",
    ),
    Fault(
        "subfolder-ignored",
        "A subfolder is not looked into for weights.",
        edit(
            FROM_PRETRAINED,
            (
                'subfolder = kwargs.pop("subfolder", "")',
                'subfolder = kwargs.pop("subfolder", "") and ""',
            ),
        ),
        ("test_a_path_may_be_text_or_a_subfolder",),
        "bert-masked",
    ),
    Fault(
        "shapes-told-in-the-wrong-order",
        "Of a weight that does not fit, the model's shape is called the file's.",
        edit(
            "core_model_loading:set_param_for_module",
            ("param_value.shape, expected_shape))", "expected_shape, param_value.shape))"),
        ),
        ("test_a_weight_of_another_shape_is_refused",),
        "bert-masked",
    ),
    Fault(
        "missing-norms-left-empty",
        "The weights of a root-mean-square norm that are not in the files are whatever the memory held.",
        edit(
            "modeling_utils:PreTrainedModel._init_weights",
            (
                'or "RMSNorm" in module.__class__.__name__',
                'or "RMSNorm" == module.__class__.__name__',
            ),
        ),
        ("test_a_missing_norm_is_even",),
        "llama-bytes",
    ),
]
