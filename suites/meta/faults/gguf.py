"""Faults in reading GGUF files."""

from __future__ import annotations

import pytest

from suites.meta.edits import edit
from suites.meta.faults import Fault


def usual_base(patch: pytest.MonkeyPatch) -> None:
    """Read every setting of a LLaMA but its rope_theta."""
    from transformers.integrations.ggml import GGUF_CONFIG_MAPPING

    patch.setitem(GGUF_CONFIG_MAPPING["llama"], "rope.freq_base", None)


FAULTS = [
    Fault(
        "gguf-heads-left-permuted",
        "Query and key weights of a GGUF file are left in llama.cpp's order.",
        edit(
            "modeling_gguf_pytorch_utils:LlamaTensorProcessor._reverse_permute_weights",
            ("return w.swapaxes(2, 1).reshape(weights.shape)", "return weights"),
        ),
        ("test_gguf_equals_its_conversion",),
        "smollm2-gguf",
    ),
    Fault(
        "gguf-base-of-positions-usual",
        "The base of rotary positions in a GGUF file is not read.",
        usual_base,
        ("test_gguf_settings_equal_its_conversion",),
        "smollm2-gguf",
    ),
    Fault(
        "gguf-merges-forgotten",
        "The tokenizer of a GGUF file knows only the first thousand merges.",
        edit(
            "integrations.gguf.gguf_tokenizer_mapping:get_merges",
            ('tokenizer_dict["merges"]]', 'tokenizer_dict["merges"][:1000]]'),
        ),
        ("test_gguf_tokens_equal_its_conversion",),
        "smollm2-gguf",
    ),
]
