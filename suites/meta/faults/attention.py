"""Faults in attention: masks, windows, scores, heads, and what is attended to."""

from __future__ import annotations

from suites.meta.edits import edit
from suites.meta.faults import Fault

BERT = "models.bert.modeling_bert:"
GPT2 = "models.gpt2.modeling_gpt2:"
LLAMA = "models.llama.modeling_llama:"
MISTRAL = "models.mistral.modeling_mistral:"
T5 = "models.t5.modeling_t5:"
BART = "models.bart.modeling_bart:"
MBART = "models.mbart.modeling_mbart:"
VIT = "models.vit.modeling_vit:"
SDPA = "integrations.sdpa_attention:"
REPEAT = (
    "hidden_states[:, :, None, :, :].expand(batch, num_key_value_heads, n_rep, slen, head_dim)",
    "hidden_states[:, None].expand(batch, n_rep, num_key_value_heads, slen, head_dim)",
)
ADD_MASK = ("attn_weights = attn_weights + attention_mask", "pass")

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
        "sdpa-ignores-the-mask",
        "The fused attention kernel is called without the attention mask.",
        edit(SDPA + "sdpa_attention_forward", ("attn_mask=attention_mask", "attn_mask=None")),
        (
            "test_sdpa_outputs_equal_reference",
            "test_masked_tokens_change_nothing",
            "test_sdpa_equals_eager",
        ),
        "bert-sentiment",
    ),
    Fault(
        "sdpa-ignores-the-mask-across",
        "The fused kernel drops the mask in cross-attention, where queries and keys differ in number.",
        edit(
            SDPA + "sdpa_attention_forward",
            (
                "sdpa_kwargs = {}",
                "sdpa_kwargs = {}\n    if query.shape[2] < key.shape[2] and query.shape[2] > 1: attention_mask = None",
            ),
        ),
        (
            "test_sdpa_outputs_equal_reference",
            "test_masked_tokens_change_nothing",
            "test_sdpa_equals_eager",
        ),
        "bart-reverse",
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
        "sdpa-skips-the-window",
        "Sliding windows are left to is_causal when the fused kernel is used.",
        edit(
            "masking_utils:_ignore_causal_mask_sdpa", ("kv_length >= local_attention_size", "False")
        ),
        ("test_cache_counts_positions_itself", "test_cache_equals_whole"),
        "mistral-sliding",
    ),
    Fault(
        "bert-eager-ignores-the-mask",
        "BERT's explicit attention adds no mask.",
        edit(BERT + "eager_attention_forward", ADD_MASK),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_masked_keys_get_no_attention",
            "test_mask_with_gaps_equals_reference",
            "test_right_padding_changes_nothing",
        ),
        "bert-random",
    ),
    Fault(
        "roberta-eager-ignores-the-mask",
        "RoBERTa's explicit attention adds no mask.",
        edit("models.roberta.modeling_roberta:eager_attention_forward", ADD_MASK),
        (
            "test_outputs_equal_reference",
            "test_a_batch_of_sentences_gets_its_labels",
            "test_masked_keys_get_no_attention",
        ),
        "roberta-sentiment",
    ),
    Fault(
        "distilbert-eager-ignores-the-mask",
        "DistilBERT's explicit attention adds no mask.",
        edit("models.distilbert.modeling_distilbert:eager_attention_forward", ADD_MASK),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_masked_keys_get_no_attention",
        ),
        "distilbert-tagger",
    ),
    Fault(
        "mistral-eager-ignores-the-mask",
        "Mistral's explicit attention adds no mask, so that the future leaks.",
        edit(MISTRAL + "eager_attention_forward", ADD_MASK),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "mistral-random",
    ),
    Fault(
        "padding-mask-off-by-one",
        "The padding mask is read one position to the left.",
        edit(
            "masking_utils:padding_mask_function",
            (
                "padding_mask[batch_idx, kv_idx]",
                "padding_mask[batch_idx, (kv_idx - 1).clamp(min=0)]",
            ),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_masked_keys_get_no_attention",
        ),
        "distilbert-sentiment",
    ),
    Fault(
        "padding-mask-of-the-first-row",
        "All rows of a batch are masked like the first.",
        edit(
            "masking_utils:padding_mask_function",
            ("[batch_idx, kv_idx]", "[batch_idx * 0, kv_idx]"),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "roberta-span",
    ),
    Fault(
        "soft-mask",
        "Masked positions get a score of -10 instead of the smallest number.",
        edit(
            "masking_utils:eager_mask", ("min_dtype = torch.finfo(dtype).min", "min_dtype = -10.0")
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_half_precision_is_close",
        ),
        "gpt2-counting",
    ),
    Fault(
        "causal-leak",
        "A causal mask lets each token see the next one.",
        edit("masking_utils:causal_mask_function", ("kv_idx <= q_idx", "kv_idx <= q_idx + 1")),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_future_keys_get_no_attention",
        ),
        "llama-bytes",
    ),
    Fault(
        "causal-blind-to-itself",
        "A causal mask hides each token from itself.",
        edit("masking_utils:causal_mask_function", ("kv_idx <= q_idx", "kv_idx < q_idx")),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_half_precision_is_close",
        ),
        "gpt2-random",
    ),
    Fault(
        "window-too-wide",
        "A sliding window of n reaches n + 1 tokens.",
        edit("masking_utils:sliding_window_overlay", ("kv_idx > q_idx", "kv_idx >= q_idx")),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_half_precision_is_close",
            "test_sliding_window_reach",
        ),
        "mistral-sliding",
    ),
    Fault(
        "window-too-narrow",
        "A sliding window of n reaches n - 1 tokens.",
        edit(
            "masking_utils:sliding_window_overlay",
            ("q_idx - sliding_window", "q_idx - sliding_window + 1"),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "mistral-random",
    ),
    Fault(
        "window-ignored",
        "Mistral masks causally, whatever its window.",
        edit(
            MISTRAL + "MistralModel.forward", ("if self.config.sliding_window is None", "if True")
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_half_precision_is_close",
            "test_sliding_window_reach",
        ),
        "mistral-sliding",
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
        "t5-cross-attention-unmasked",
        "T5's decoder attends to the encoder's padding.",
        edit(
            T5 + "T5Block.forward",
            ("attention_mask=encoder_attention_mask", "attention_mask=None"),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "t5-reverse",
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
        "bart-cross-attention-unmasked",
        "BART's decoder attends to the encoder's padding.",
        edit(
            BART + "BartDecoderLayer.forward",
            ("attention_mask=encoder_attention_mask", "attention_mask=None"),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "bart-random",
    ),
    Fault(
        "mbart-cross-attention-unmasked",
        "mBART's decoder attends to the encoder's padding.",
        edit(
            MBART + "MBartDecoderLayer.forward",
            ("attention_mask=encoder_attention_mask", "attention_mask=None"),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "mbart-random",
    ),
    Fault(
        "bart-encoder-unmasked",
        "BART's encoder attends to padding.",
        edit(
            BART + "BartEncoderLayer.forward",
            ("attention_mask=attention_mask", "attention_mask=None"),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "bart-topics",
    ),
    Fault(
        "decoder-padding-ignored",
        "A mask for the decoder's input is not used.",
        edit(
            BART + "BartModel.forward",
            ("attention_mask=decoder_attention_mask", "attention_mask=None"),
        ),
        ("test_decoder_mask_hides_a_token",),
        "bart-reverse",
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
    Fault(
        "sdpa-masks-like-a-decoder",
        "The fused kernel treats an encoder without padding as causal.",
        edit(
            SDPA + "sdpa_attention_forward",
            ('else getattr(module, "is_causal", True)', "else True"),
        ),
        ("test_sdpa_without_padding_equals_reference",),
        "roberta-span",
    ),
    Fault(
        "packed-sequences-everywhere",
        "Consecutive positions are taken for the boundaries of packed sequences.",
        edit(
            "masking_utils:find_packed_sequence_indices",
            ("(position_diff != 1)", "(position_diff == 1)"),
        ),
        ("test_beams_equal_textbook", "test_default_positions_count_from_zero"),
        "llama-chat",
    ),
    Fault(
        "prepared-mask-dropped",
        "A mask of four dimensions, already prepared, is ignored.",
        edit(
            "masking_utils:_preprocess_mask_arguments",
            ("return True, attention_mask, None, None, None, None, None", "attention_mask = None"),
        ),
        ("test_prepared_mask_equals_mask",),
        "llama-chat",
    ),
    Fault(
        "vit-causal-in-sdpa",
        "ViT's patches see only the patches before them when the fused kernel is used.",
        edit(VIT + "ViTAttention.__init__", ("self.is_causal = False", "self.is_causal = True")),
        ("test_sdpa_outputs_equal_reference", "test_sdpa_equals_eager"),
        "vit-shapes",
    ),
]
