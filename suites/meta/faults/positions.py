"""Faults in positions: learned tables, offsets, relative buckets, patches."""

from __future__ import annotations

from suites.meta.edits import edit, edits
from suites.meta.faults import Fault
from suites.meta.places import BART, BERT, DISTILBERT, GPT2, LLAMA, MBART, MISTRAL

ROBERTA = "models.roberta.modeling_roberta:RobertaEmbeddings."
T5 = "models.t5.modeling_t5:T5Attention."
VIT = "models.vit.modeling_vit:ViTEmbeddings."
DEIT = "models.deit.modeling_deit:DeiTEmbeddings."
GENERATE = "generation.utils:GenerationMixin."
SEEN = ("+ past_seen_tokens", "+ 0 * past_seen_tokens")

FAULTS = [
    Fault(
        "default-positions-forget-the-cache",
        "LLaMA without position ids counts from zero in every cached step.",
        edit(LLAMA + "LlamaModel.forward", SEEN),
        ("test_cache_counts_positions_itself",),
        "llama-chat",
    ),
    Fault(
        "gpt2-default-positions-forget-the-cache",
        "GPT-2 without position ids counts from zero in every cached step.",
        edit(GPT2 + "GPT2Model.forward", SEEN),
        ("test_cache_counts_positions_itself",),
        "gpt2-counting",
    ),
    Fault(
        "mistral-default-positions-forget-the-cache",
        "Mistral without position ids counts from zero in every cached step.",
        edit(MISTRAL + "MistralModel.forward", SEEN),
        ("test_cache_counts_positions_itself",),
        "mistral-sliding",
    ),
    Fault(
        "gpt2-position-twice",
        "GPT-2's position embedding is added twice.",
        edit(
            GPT2 + "GPT2Model.forward",
            ("inputs_embeds + position_embeds", "inputs_embeds + 2 * position_embeds"),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "gpt2-counting",
    ),
    Fault(
        "bert-positions-off-by-one",
        "BERT's positions start at one.",
        edit(
            BERT + "BertEmbeddings.forward",
            ("past_key_values_length : seq_length + past_key_values_length", "1 : seq_length + 1"),
        ),
        ("test_outputs_equal_reference", "test_base_model_equals_reference", "test_longest_input"),
        "bert-masked",
    ),
    Fault(
        "bert-token-types-ignored",
        "BERT takes every token for one of the first segment.",
        edit(
            BERT + "BertEmbeddings.forward",
            (
                "self.token_type_embeddings(token_type_ids)",
                "self.token_type_embeddings(0 * token_type_ids)",
            ),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_half_precision_is_close",
        ),
        "bert-random",
    ),
    Fault(
        "bert-default-token-type",
        "Without token types BERT takes every token for one of the second segment.",
        edit(
            BERT + "BertEmbeddings.forward",
            (
                "token_type_ids = buffered_token_type_ids.expand(batch_size, seq_length)",
                "token_type_ids = buffered_token_type_ids.expand(batch_size, seq_length) + 1",
            ),
        ),
        ("test_single_sequence_equals_reference",),
        "bert-sentiment",
    ),
    Fault(
        "roberta-offset-missing",
        "RoBERTa's positions do not start behind the padding id.",
        edit(ROBERTA + "create_position_ids_from_input_ids", ("+ padding_idx", "+ 0")),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_half_precision_is_close",
        ),
        "roberta-random",
    ),
    Fault(
        "roberta-counts-padding",
        "RoBERTa counts padding as positions.",
        edit(
            ROBERTA + "create_position_ids_from_input_ids",
            ("mask = input_ids.ne(padding_idx).int()", "mask = torch.ones_like(input_ids).int()"),
        ),
        ("test_left_padded_outputs_equal_reference",),
        "roberta-masked",
    ),
    Fault(
        "roberta-embeds-offset",
        "RoBERTa given embeddings starts its positions at zero.",
        edit(
            ROBERTA + "create_position_ids_from_inputs_embeds",
            ("padding_idx + 1, sequence_length + padding_idx + 1", "0, sequence_length"),
        ),
        ("test_embeddings_equal_ids",),
        "roberta-sentiment",
    ),
    Fault(
        "distilbert-positions-backwards",
        "DistilBERT counts its positions backwards.",
        edit(
            DISTILBERT + "Embeddings.forward",
            ("self.position_ids[:, :seq_length]", "self.position_ids[:, :seq_length].flip(1)"),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "distilbert-random",
    ),
    Fault(
        "bart-offset-missing",
        "BART's position table is read without its offset of two.",
        edit(
            BART + "BartLearnedPositionalEmbedding.forward",
            ("position_ids + self.offset", "position_ids"),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "bart-random",
    ),
    Fault(
        "bart-cached-position",
        "BART's decoder counts from zero in every cached step.",
        edit(
            BART + "BartDecoder.forward",
            (
                "device=inputs_embeds.device) + past_key_values_length",
                "device=inputs_embeds.device)",
            ),
        ),
        (
            "test_beams_equal_textbook",
            "test_decoder_cache_equals_whole",
            "test_processed_greedy_is_the_argmax",
        ),
        "bart-reverse",
    ),
    Fault(
        "mbart-cached-position",
        "mBART's decoder counts from zero in every cached step.",
        edit(
            MBART + "MBartDecoder.forward",
            (
                "device=inputs_embeds.device) + past_key_values_length",
                "device=inputs_embeds.device)",
            ),
        ),
        ("test_decoder_cache_equals_whole",),
        "mbart-transliterate",
    ),
    Fault(
        "t5-bias-missing",
        "T5's relative position bias is left out of the scores.",
        edit(
            "models.t5.modeling_t5:eager_attention_forward",
            ("attn_weights = attn_weights + position_bias", "pass"),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_left_padded_outputs_equal_reference",
        ),
        "t5-reverse",
    ),
    Fault(
        "t5-bias-in-the-first-layer-only",
        "T5's position bias is not shared with the later layers.",
        edit(
            "models.t5.modeling_t5:T5Stack.forward",
            (
                "position_bias = self_attention_position_bias",
                "position_bias = 0 * self_attention_position_bias",
            ),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_half_precision_is_close",
        ),
        "t5-random",
    ),
    Fault(
        "t5-distance-ignored",
        "T5's farthest bucket always starts at 128.",
        edit(
            T5 + "compute_bias",
            ("max_distance=self.relative_attention_max_distance", "max_distance=128"),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_half_precision_is_close",
        ),
        "t5-random",
    ),
    Fault(
        "t5-directions-swapped",
        "T5's encoder has one-sided buckets and its decoder two-sided ones.",
        edit(
            T5 + "compute_bias",
            ("bidirectional=(not self.is_decoder)", "bidirectional=self.is_decoder"),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_half_precision_is_close",
        ),
        "t5-gated",
    ),
    Fault(
        "t5-distance-sign",
        "T5's relative positions have the opposite sign.",
        edit(
            T5 + "compute_bias",
            ("memory_position - context_position", "context_position - memory_position"),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_half_precision_is_close",
        ),
        "t5-reverse",
    ),
    Fault(
        "t5-cached-bias",
        "T5's bias takes a cached step for the first position.",
        edit(T5 + "compute_bias", SEEN),
        ("test_decoder_cache_equals_whole",),
        "t5-reverse",
    ),
    Fault(
        "deit-tokens-swapped",
        "DeiT's class and distillation tokens change places.",
        edit(
            DEIT + "forward",
            (
                "(cls_tokens, distillation_tokens, embeddings)",
                "(distillation_tokens, cls_tokens, embeddings)",
            ),
        ),
        (
            "test_outputs_equal_reference",
            "test_base_model_equals_reference",
            "test_half_precision_is_close",
        ),
        "deit-shapes",
    ),
    Fault(
        "generate-counts-padding",
        "generate numbers the positions of a left-padded prompt from its first padding.",
        edit(
            GENERATE + "_prepare_position_ids_for_generation",
            (
                "attention_mask.long().cumsum(-1) - 1",
                "torch.ones_like(attention_mask).long().cumsum(-1) - 1",
            ),
        ),
        ("test_left_padded_batch_equals_singles",),
        "gpt2-counting",
    ),
    Fault(
        "generate-repeats-a-position",
        "generate gives each new token the position of the one before.",
        edit(
            GENERATE + "_update_model_kwargs_for_generation",
            ("+ position_ids[..., -1:]\n            + 1", "+ position_ids[..., -1:]"),
        ),
        ("test_drafted_tokens_change_nothing",),
        "llama-bytes",
    ),
    Fault(
        "bert-positions-ignored",
        "BERT ignores the position ids it is given.",
        edit(BERT + "BertEmbeddings.forward", ("if position_ids is None:", "if True:")),
        ("test_given_positions_equal_reference",),
        "bert-masked",
    ),
    Fault(
        "t5-exact-buckets-one-less",
        "T5's exact buckets end one position too early.",
        edit(
            T5 + "_relative_position_bucket",
            (
                "is_small = relative_position < max_exact",
                "is_small = relative_position < max_exact - 1",
            ),
        ),
        ("test_outputs_equal_reference",),
        "t5-random",
    ),
    Fault(
        "vit-no-positions",
        "ViT's position embedding is not added.",
        edit(
            VIT + "forward",
            ("embeddings + self.position_embeddings", "embeddings + 0 * self.position_embeddings"),
        ),
        ("test_outputs_equal_reference",),
        "vit-shapes",
    ),
    Fault(
        "vit-class-token-last",
        "ViT puts its class token behind the patches.",
        edit(VIT + "forward", ("(cls_tokens, embeddings)", "(embeddings, cls_tokens)")),
        ("test_outputs_equal_reference",),
        "vit-random",
    ),
    Fault(
        "vit-patches-by-column",
        "ViT reads its patches column by column.",
        edit(
            "models.vit.modeling_vit:ViTPatchEmbeddings.forward",
            (".flatten(2)", ".transpose(2, 3).flatten(2)"),
        ),
        ("test_outputs_equal_reference",),
        "vit-random",
    ),
    Fault(
        "vit-channels-reversed",
        "ViT reads blue as red.",
        edit(
            "models.vit.modeling_vit:ViTPatchEmbeddings.forward",
            ("self.projection(pixel_values)", "self.projection(pixel_values.flip(1))"),
        ),
        ("test_outputs_equal_reference",),
        "vit-shapes",
    ),
    Fault(
        "interpolation-bilinear",
        "ViT's positions are interpolated bilinearly for another image size.",
        edits(
            edit(VIT + "interpolate_pos_encoding", ('mode="bicubic"', 'mode="bilinear"')),
            edit(DEIT + "interpolate_pos_encoding", ('mode="bicubic"', 'mode="bilinear"')),
        ),
        ("test_interpolated_positions",),
        "vit-shapes",
    ),
]
