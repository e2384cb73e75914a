"""Faults in what attention may see: padding, the future, windows, packed sequences."""

from __future__ import annotations

from suites.meta.edits import edit
from suites.meta.faults import Fault
from suites.meta.places import BART, BERT, MBART, MISTRAL, T5, VIT

SDPA = "integrations.sdpa_attention:"
ADD_MASK = ("attn_weights = attn_weights + attention_mask", "pass")

FAULTS = [
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
    Fault(
        "sdpa-drops-a-prepared-mask",
        "T5's sdpa attention leaves out a float mask prepared by the caller.",
        edit(
            "integrations.sdpa_attention:create_position_bias_mask",
            (
                "position_bias_mask = position_bias + attention_mask",
                "position_bias_mask = position_bias",
            ),
        ),
        ("test_prepared_encoder_mask_equals_mask",),
        "t5-reverse",
    ),
]
