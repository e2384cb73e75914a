"""Faults in attention: scores, heads, and what is attended to."""

from __future__ import annotations

from suites.meta.edits import edit
from suites.meta.faults import Fault
from suites.meta.places import BERT, GPT2, LLAMA, T5, VIT

SDPA = "integrations.sdpa_attention:"
REPEAT = (
    "hidden_states[:, :, None, :, :].expand(batch, num_key_value_heads, n_rep, slen, head_dim)",
    "hidden_states[:, None].expand(batch, n_rep, num_key_value_heads, slen, head_dim)",
)

FAULTS = [
    Fault(
        "bert-unscaled-attention",
        "BERT's attention scores are not divided by sqrt(head size).",
        edit(BERT + "BertSelfAttention.forward", ("scaling=self.scaling", "scaling=1.0")),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_half_precision_is_close",
        ),
        "bert-sentiment",
    ),
    Fault(
        "sdpa-forgets-the-scale",
        "The fused kernel divides by sqrt(head size) whatever scale it is given.",
        edit(SDPA + "sdpa_attention_forward", ("scale=scaling", "scale=None")),
        ("test_sdpa_outputs_equal_reference", "test_sdpa_equals_eager"),
        "t5-reverse",
    ),
    Fault(
        "sdpa-repeats-heads-in-turns",
        "The fused kernel pairs queries with key heads in turns instead of in groups.",
        edit(SDPA + "repeat_kv", REPEAT),
        ("test_sdpa_outputs_equal_reference", "test_cache_equals_whole", "test_sdpa_equals_eager"),
        "llama-chat",
    ),
    Fault(
        "sdpa-packs-one-query-wrongly",
        "With one query token the fused kernel assigns query heads to the wrong key heads.",
        edit(
            SDPA + "pack_gqa",
            (
                "hidden_states.reshape(batch, num_attention_heads // n_rep, n_rep, dim)",
                "hidden_states.reshape(batch, n_rep, num_attention_heads // n_rep, dim).transpose(1, 2)",
            ),
        ),
        ("test_cache_counts_positions_itself", "test_cache_equals_whole"),
        "mistral-sliding",
    ),
    Fault(
        "sdpa-shares-one-rows-bias",
        "The fused kernel adds T5's position bias of the first head to all heads.",
        edit(
            SDPA + "create_position_bias_mask",
            (
                "min_dtype = torch.finfo(key.dtype).min",
                "min_dtype = torch.finfo(key.dtype).min\n    position_bias = position_bias[:, :1].expand_as(position_bias)",
            ),
        ),
        ("test_sdpa_outputs_equal_reference", "test_sdpa_equals_eager"),
        "t5-reverse",
    ),
    Fault(
        "gqa-repeats-heads-in-turns",
        "Explicit attention pairs queries with key heads in turns instead of in groups.",
        edit(LLAMA + "repeat_kv", REPEAT),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "llama-spm-only",
    ),
    Fault(
        "softmax-over-queries",
        "LLaMA's attention weights are normalised over the queries.",
        edit(LLAMA + "eager_attention_forward", ("dim=-1", "dim=-2")),
        (
            "test_outputs_equal_reference",
            "test_attention_rows_are_distributions",
            "test_half_precision_is_close",
        ),
        "llama-yarn",
    ),
    Fault(
        "softmax-in-bfloat16",
        "LLaMA's attention weights are rounded to bfloat16.",
        edit(LLAMA + "eager_attention_forward", ("dtype=torch.float32", "dtype=torch.bfloat16")),
        (
            "test_outputs_equal_reference",
            "test_attention_rows_are_distributions",
            "test_left_padding_changes_nothing",
        ),
        "llama-dynamic",
    ),
    Fault(
        "attentions-before-the-softmax",
        "The attentions DistilBERT returns are the scores, not the weights.",
        edit(
            "models.distilbert.modeling_distilbert:eager_attention_forward",
            (
                "attn_weights = nn.functional.softmax",
                "scores = attn_weights\n    attn_weights = nn.functional.softmax",
            ),
            ("return attn_output, attn_weights", "return attn_output, scores"),
        ),
        (
            "test_outputs_equal_reference",
            "test_attention_rows_are_distributions",
            "test_half_precision_is_close",
        ),
        "distilbert-span",
    ),
    Fault(
        "heads-interleaved",
        "BERT's heads are put together feature by feature instead of one after the other.",
        edit(
            BERT + "BertSelfAttention.forward",
            (
                "attn_output.reshape(*input_shape, -1)",
                "attn_output.transpose(-1, -2).reshape(*input_shape, -1)",
            ),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "bert-cased-tagger",
    ),
    Fault(
        "queries-and-keys-swapped",
        "GPT-2 takes the first third of its projection for the keys.",
        edit(
            GPT2 + "GPT2Attention.forward",
            (
                "query_states, key_states, value_states = self.c_attn",
                "key_states, query_states, value_states = self.c_attn",
            ),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "gpt2-counting",
    ),
    Fault(
        "inverse-layer-scale-off-by-one",
        "GPT-2 with scores divided by the layer's number counts the layers from two.",
        edit(GPT2 + "GPT2Attention.__init__", ("self.layer_idx + 1", "self.layer_idx + 2")),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "gpt2-random",
    ),
    Fault(
        "gpt2-always-scales",
        "GPT-2 divides by sqrt(head size) although its configuration says not to.",
        edit(GPT2 + "GPT2Attention.__init__", ("if self.scale_attn_weights:", "if True:")),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "gpt2-random",
    ),
    Fault(
        "t5-attention-scaled",
        "T5's scores are divided by sqrt(head size), which T5 does not do.",
        edit(T5 + "T5Attention.forward", ("scaling=self.scaling", "scaling=None")),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_half_precision_is_close",
        ),
        "t5-gated",
    ),
    Fault(
        "t5-cross-attends-to-itself",
        "T5's cross-attention reads the decoder's states.",
        edit(
            T5 + "T5Attention.forward",
            ("key_value_states if is_cross_attention else hidden_states", "hidden_states"),
        ),
        (
            "test_outputs_equal_reference",
            "test_attention_rows_are_distributions",
            "test_inputs_are_left_alone",
            "test_cross_attention_reads_the_encoder",
        ),
        "t5-random",
    ),
    Fault(
        "deit-unscaled-attention",
        "DeiT's attention scores are not divided by sqrt(head size).",
        edit(
            "models.deit.modeling_deit:DeiTAttention.forward",
            ("scaling=self.scaling", "scaling=1.0"),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_half_precision_is_close",
        ),
        "deit-shapes",
    ),
    Fault(
        "vit-values-from-keys",
        "ViT's values are projected with the keys' matrix.",
        edit(
            VIT + "ViTAttention.forward",
            ("self.v_proj(hidden_states)", "self.k_proj(hidden_states)"),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_half_precision_is_close",
        ),
        "vit-random",
    ),
]
