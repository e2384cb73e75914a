"""Faults in what is asked for by name: activations, positions, fields, rows, gradients of inputs."""

from __future__ import annotations

import inspect
import textwrap

import pytest

from suites.meta.edits import compiled, edit
from suites.meta.faults import Fault

MODEL = "modeling_utils:PreTrainedModel."
CALLED = ("test_activations_are_what_they_are_called",)


def squared_relu_is_relu(patch: pytest.MonkeyPatch) -> None:
    """relu2 is relu."""
    from torch import nn
    from transformers.activations import ACT2FN

    patch.setitem(ACT2FN, "relu2", nn.ReLU)


def common_names_not_set(patch: pytest.MonkeyPatch) -> None:
    """Setting a field by its common name sets that name alone; below the wrapper of a strict dataclass."""
    from transformers import PreTrainedConfig

    (cell,) = PreTrainedConfig.__setattr__.__closure__
    function = cell.cell_contents
    source = textwrap.dedent(inspect.getsource(function))
    found = 'key = super().__getattribute__("attribute_map")[key]'
    assert found in source
    patch.setattr(function, "__code__", compiled(function, source.replace(found, "pass")))


FAULTS = [
    Fault(
        "relu2-is-relu",
        "The squared rectifier is the plain one.",
        squared_relu_is_relu,
        CALLED,
        "bert-masked",
    ),
    Fault(
        "gelu-10-unclipped",
        "The clipped GELU is not clipped.",
        edit(
            "activations:ClippedGELUActivation.forward",
            ("torch.clip(gelu(x), self.min, self.max)", "gelu(x)"),
        ),
        CALLED,
        "gpt2-counting",
    ),
    Fault(
        "mish-is-silu",
        "Mish is SiLU.",
        edit(
            "activations:MishActivation.__init__",
            ("nn.functional.mish", "nn.functional.silu"),
        ),
        CALLED,
        "vit-random",
    ),
    Fault(
        "chunks-reversed",
        "More than three chunks of a feed-forward come back last first.",
        edit(
            "pytorch_utils:apply_chunking_to_forward",
            (
                "torch.cat(output_chunks, dim=chunk_dim)",
                "torch.cat(output_chunks[::-1] if num_chunks > 3 else output_chunks, dim=chunk_dim)",
            ),
        ),
        ("test_chunks_change_nothing",),
        "bert-random",
    ),
    Fault(
        "named-positions-sorted",
        "Logits of named positions come in the order of the text.",
        edit(
            "modeling_utils:slice_logits_to_keep",
            (
                "    if isinstance(logits_to_keep, torch.Tensor)",
                "    if isinstance(logits_to_keep, torch.Tensor): logits_to_keep = logits_to_keep.sort().values\n"
                "    if isinstance(logits_to_keep, torch.Tensor)",
            ),
        ),
        ("test_kept_logits_are_those_named",),
        "llama-chat",
    ),
    Fault(
        "bfloat16-by-name-is-float32",
        "A dtype that a configuration names in words is read as float32.",
        edit(
            "modeling_utils:_get_dtype",
            (
                "dtype = getattr(torch, dtype) if isinstance(dtype, str) else dtype\n",
                "dtype = torch.float32 if isinstance(dtype, str) else dtype\n",
            ),
        ),
        ("test_a_dtype_may_be_named",),
        "llama-bytes",
    ),
    Fault(
        "inputs-without-gradients",
        "enable_input_require_grads does nothing.",
        edit(
            MODEL + "enable_input_require_grads",
            ("output.requires_grad_(True)", "pass"),
        ),
        ("test_inputs_can_ask_for_gradients",),
        "bert-masked",
    ),
    Fault(
        "common-names-are-not-set",
        "A field set under its common name is set under that name alone.",
        common_names_not_set,
        ("test_common_names_set_a_familys_own",),
        "distilbert-random",
    ),
    Fault(
        "tuples-without-a-loss",
        "The tuple of an output leaves out the loss.",
        edit(
            "utils.generic:ModelOutput.to_tuple",
            ("for k in self.keys()", "for k in self.keys() if k != 'loss'"),
        ),
        ("test_a_loss_comes_first",),
        "bert-sentiment",
    ),
    Fault(
        "new-rows-not-drawn",
        "New rows asked for without a mean have a spread of one.",
        edit(MODEL + "_get_resized_embeddings", ("self._init_weights(new_embeddings)", "pass")),
        ("test_new_rows_are_drawn_as_configured",),
        "bert-masked",
    ),
    Fault(
        "tied-one-way",
        "A tied matrix stored under the output's name is drawn anew.",
        edit(
            MODEL + "tie_weights",
            (
                "target_param_name, source_param_name = source_param_name, target_param_name",
                "pass",
            ),
        ),
        ("test_a_tied_matrix_is_found_under_either_name",),
        "gpt2-counting",
    ),
    Fault(
        "tied-against-the-files",
        "Two matrices of the files are made one.",
        edit(
            MODEL + "tie_weights",
            ("if not _tied_params_are_equal(source_param, target_param):", "if False:"),
        ),
        ("test_two_matrices_are_not_made_one",),
        "gpt2-counting",
    ),
    Fault(
        "vocabulary-size-as-it-was",
        "Resizing leaves the configuration's vocabulary size as it was.",
        edit(
            MODEL + "resize_token_embeddings",
            ("self.config.get_text_config().vocab_size = vocab_size", "pass"),
        ),
        ("test_resizing_keeps_old_rows",),
        "gpt2-counting",
    ),
    Fault(
        "last-rows-kept",
        "Fewer rows are the last ones there were.",
        edit(
            MODEL + "_get_resized_embeddings",
            (
                "else:\n        new_embeddings.weight.data[:n, :] = old_embeddings.weight.data[:n, :]",
                "else:\n        new_embeddings.weight.data[:n, :] = old_embeddings.weight.data[-n:, :]",
            ),
        ),
        ("test_resizing_keeps_old_rows",),
        "gpt2-counting",
    ),
]
