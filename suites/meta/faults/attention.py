"""Faults in attention: masks, windows, scores."""

from __future__ import annotations

import pytest

from fixtures.lazy import torch
from suites.meta.faults import Fault


def no_scaling_in_bert(patch: pytest.MonkeyPatch) -> None:
    """Scores are not divided by the square root of the head size."""
    from transformers.models.bert import modeling_bert

    original = modeling_bert.BertSelfAttention.__init__

    def init(self, *args, **options):
        original(self, *args, **options)
        self.scaling = 1.0

    patch.setattr(modeling_bert.BertSelfAttention, "__init__", init)


def sdpa_ignores_the_mask(patch: pytest.MonkeyPatch) -> None:
    """The fused kernel is called without the mask."""
    kernel = torch.nn.functional.scaled_dot_product_attention

    def unmasked(query, key, value, attn_mask=None, **options):
        return kernel(query, key, value, attn_mask=None, **options)

    patch.setattr(torch.nn.functional, "scaled_dot_product_attention", unmasked)


FAULTS = [
    Fault(
        "bert-unscaled-attention",
        "BERT's attention scores are not divided by sqrt(head size).",
        no_scaling_in_bert,
        ("test_outputs_equal_reference",),
        "bert-sentiment",
    ),
    Fault(
        "sdpa-ignores-the-mask",
        "The fused attention kernel is called without the attention mask.",
        sdpa_ignores_the_mask,
        ("test_masked_tokens_change_nothing", "test_sdpa_outputs_equal_reference"),
        "bert-sentiment",
    ),
]
