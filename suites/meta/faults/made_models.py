"""Faults in what a model begins with, and in configurations given, written and named."""

from __future__ import annotations

from typing import Any

from suites.meta.edits import edit
from suites.meta.faults import Fault
from suites.meta.tokenizer_edits import Patch, wrap


def padding_as_any_row(patch: Patch) -> None:
    """Rows of padding drawn like all others."""
    import torch

    def made(original: Any, self: Any, *a: Any, **k: Any) -> None:
        original(self, *a, **k)
        for module in self.modules():
            if isinstance(module, torch.nn.Embedding) and module.padding_idx is not None:
                module.weight.data[module.padding_idx] = 0.5

    from transformers import PreTrainedModel

    wrap(patch, PreTrainedModel, "init_weights", made)


def written_on(patch: Patch) -> None:
    """A configuration that is given is itself the model's, with what the call asks for."""
    from transformers import PreTrainedModel

    original = PreTrainedModel.from_pretrained.__func__

    def loads(cls: Any, path: Any, *a: Any, config: Any = None, **k: Any) -> Any:
        model = original(cls, path, *a, config=config, **k)
        if config is not None:
            vars(config).update(dtype="float16", torch_dtype="float16")
        return model

    patch.setattr(PreTrainedModel, "from_pretrained", classmethod(loads))


FAULTS = [
    Fault("padding-as-any-row", "a new table's row of padding is no zeros", padding_as_any_row, ("test_new_weights_are_drawn_as_configured",), "bert-random"),
    Fault("given-configuration-written-on", "loading changes the configuration it is given", written_on, ("test_configuration_can_be_given",), "gpt2-random"),
    Fault("switches-of-the-base-class-unsaved", "what differs from a class's default but not from all classes' is left out", edit("configuration_utils:PreTrainedConfig.to_diff_dict", ("value != class_config_dict.get(key, value)", "False")), ("test_every_switch_is_saved",), "bart-random"),
    Fault("full-multiple-filled-up", "a size that is a multiple grows by one more", edit("modeling_utils:PreTrainedModel._get_resized_embeddings", ("new_num_tokens + pad_to_multiple_of - 1", "new_num_tokens + pad_to_multiple_of")), ("test_new_rows_are_the_mean",), "gpt2-counting"),
    Fault("first-class-of-several", "an Auto class makes the first of several classes", edit("models.auto.auto_factory:_get_model_class", ("return name_to_model[arch]", "return supported_models[0]")), ("test_the_class_that_is_named_is_made",), "deit-shapes"),
    Fault("half-files-widened", "without a dtype, weights are held in float32", edit("modeling_utils:PreTrainedModel.from_pretrained", ('dtype = "auto"', "dtype = torch.float32")), ("test_default_dtype",), "llama-bytes"),
]  # fmt: skip
