"""Faults that need two settings at once, and in decoders a call that few make."""

from __future__ import annotations

import pytest

from fixtures.lazy import transformers
from suites.meta.edits import edit, edits
from suites.meta.faults import Fault
from suites.meta.places import BART, BERT, GPT2, LLAMA, MISTRAL, T5

GENERIC = "modeling_layers:Generic"
MASKS = "masking_utils:"
ROPE = "modeling_rope_utils:"
TOGETHER = ("test_settings_act_together",)
ENDS = ("test_a_text_is_classified_at_its_end",)
BOTH_WAYS = ("test_both_ways_equal_reference",)
FIRST_PADDING = ("(token_indices * non_pad_mask).argmax(-1)", "non_pad_mask.argmin(-1) - 1")


def untied_double_heads(patch: pytest.MonkeyPatch) -> None:
    """GPT-2's model of two heads says no longer which matrices are one."""
    patch.setattr(transformers.GPT2DoubleHeadsModel, "_tied_weights_keys", {})


def answers_under_another_name(patch: pytest.MonkeyPatch) -> None:
    """The model below LLaMA's question answering head is called as below every other."""
    patch.setattr(transformers.LlamaForQuestionAnswering, "base_model_prefix", "model")


FAULTS = [
    Fault(
        "gpt2-layer-scale-instead-of-width",
        "GPT-2 that flattens attention layer by layer no longer divides by the root of a head's width.",
        edit(
            GPT2 + "GPT2Attention.__init__",
            (
                "if self.scale_attn_weights:",
                "if self.scale_attn_weights and not self.scale_attn_by_inverse_layer_idx:",
            ),
        ),
        TOGETHER,
        "gpt2-random",
    ),
    Fault(
        "gpt2-looks-across-causally",
        "Where nothing is masked, GPT-2's fused kernel attends across as if what it reads were its own past.",
        edit(
            GPT2 + "GPT2Attention.__init__",
            ("self.is_causal = not is_cross_attention", "self.is_causal = True"),
        ),
        TOGETHER,
        "gpt2-random",
    ),
    Fault(
        "gpt2-across-keys-are-values",
        "GPT-2 takes the values of its cross-attention for keys, and its keys for values.",
        edit(
            GPT2 + "GPT2Attention.forward",
            (
                "key_states, value_states = self.c_attn(encoder_hidden_states)",
                "value_states, key_states = self.c_attn(encoder_hidden_states)",
            ),
        ),
        TOGETHER,
        "gpt2-random",
    ),
    Fault(
        "gpt2-reports-both-attentions-as-one",
        "GPT-2's own attentions are listed among those to another model.",
        edit(
            GPT2 + "GPT2LMHeadModel.forward",
            (
                "cross_attentions=transformer_outputs.cross_attentions",
                "cross_attentions=transformer_outputs.attentions",
            ),
        ),
        TOGETHER,
        "gpt2-random",
    ),
    Fault(
        "llama-bias-by-the-other-field",
        "LLaMA's feed-forward has a bias where attention should have one.",
        edit(
            LLAMA + "LlamaMLP.__init__",
            (
                "self.hidden_size, bias=config.mlp_bias",
                "self.hidden_size, bias=config.attention_bias",
            ),
        ),
        TOGETHER,
        "llama-bytes",
    ),
    Fault(
        "mistral-window-for-few-groups",
        "Mistral's window acts only where key heads are shared.",
        edit(
            MISTRAL + "MistralModel.forward",
            (
                "if self.config.sliding_window is None",
                "if self.config.sliding_window is None or self.config.num_key_value_heads == 4",
            ),
        ),
        TOGETHER,
        "mistral-random",
    ),
    Fault(
        "bart-encoder-counts-the-decoders-heads",
        "BART's encoder has as many heads as its decoder.",
        edit(
            BART + "BartEncoderLayer.__init__",
            ("config.encoder_attention_heads", "config.decoder_attention_heads"),
        ),
        TOGETHER,
        "bart-random",
    ),
    Fault(
        "t5-distances-by-the-buckets",
        "T5 told fewer buckets takes distances to end there, too.",
        edit(
            T5 + "T5Attention.__init__",
            (
                "self.relative_attention_max_distance = config.relative_attention_max_distance",
                "self.relative_attention_max_distance = max(config.relative_attention_max_distance, 4 * config.relative_attention_num_buckets)",
            ),
        ),
        TOGETHER,
        "t5-random",
    ),
    Fault(
        "bert-norm-of-its-head-by-default",
        "The norm in BERT's head for words adds what the published model does, whatever the configuration says.",
        edit(
            BERT + "BertPredictionHeadTransform.__init__",
            ("eps=config.layer_norm_eps", "eps=1e-12"),
        ),
        TOGETHER,
        "bert-random",
    ),
    Fault(
        "classified-before-the-first-padding",
        "A text is classified at the token before its first padding token, wherever that is.",
        edits(
            edit(GPT2 + "GPT2ForSequenceClassification.forward", FIRST_PADDING),
            edit(GENERIC + "ForSequenceClassification.forward", FIRST_PADDING),
        ),
        ENDS,
        "gpt2-random",
    ),
    Fault(
        "classified-by-the-number-of-tokens",
        "A text is classified at the place that its number of tokens names.",
        edit(
            GENERIC + "ForSequenceClassification.forward",
            ("(token_indices * non_pad_mask).argmax(-1)", "non_pad_mask.sum(-1) - 1"),
        ),
        ENDS,
        "mistral-random",
    ),
    Fault(
        "cache-not-counted-unless-kept",
        "LLaMA that is to return no cache counts positions from zero, whatever cache it reads.",
        edit(
            LLAMA + "LlamaModel.forward",
            ("get_seq_length() if past_key_values is not None", "get_seq_length() if use_cache"),
        ),
        ("test_a_cache_is_read_where_none_is_kept",),
        "llama-chat",
    ),
    Fault(
        "checkpointing-forgets-the-cache",
        "A model told to checkpoint its activations has no cache in evaluation, either.",
        edit(
            LLAMA + "LlamaDecoderLayer.forward/modeling_layers",
            ("if self.gradient_checkpointing and self.training", "if self.gradient_checkpointing"),
        ),
        ("test_checkpointing_spares_the_cache",),
        "llama-bytes",
    ),
    Fault(
        "kept-positions-of-the-first-row",
        "Positions named for each row are those of the first for all.",
        edit(
            "modeling_utils:slice_logits_to_keep",
            ("logits_to_keep[..., None]", "logits_to_keep[:1, :, None]"),
        ),
        ("test_kept_logits_may_differ_by_row",),
        "gpt2-random",
    ),
    Fault(
        "kept-mask-of-any-row",
        "A position masked in one row is kept in all.",
        edit(
            "modeling_utils:slice_logits_to_keep",
            (
                "hidden_states[logits_to_keep]",
                "hidden_states[:, logits_to_keep.any(0)].flatten(0, 1)",
            ),
        ),
        ("test_kept_logits_may_differ_by_row",),
        "llama-chat",
    ),
    Fault(
        "ignored-label-is-fixed",
        "The loss ignores -100, whatever label it is told to ignore.",
        edit(
            "loss.loss_utils:fixed_cross_entropy",
            ("ignore_index=ignore_index", "ignore_index=-100"),
        ),
        ("test_shifted_labels_may_be_given",),
        "llama-chat",
    ),
    Fault(
        "padding-is-embedded",
        "Mistral draws and trains an embedding for padding.",
        edit(
            MISTRAL + "MistralModel.__init__",
            ("config.hidden_size, self.padding_idx", "config.hidden_size"),
        ),
        ("test_padding_is_embedded_as_nothing",),
        "mistral-random",
    ),
    Fault(
        "new-padding-is-drawn",
        "A new model's padding row is drawn like any other.",
        edit(
            "modeling_utils:PreTrainedModel._init_weights",
            ("init.zeros_(module.weight[module.padding_idx])", "pass"),
        ),
        ("test_padding_is_embedded_as_nothing",),
        "bert-random",
    ),
    Fault(
        "no-dropout-is-some",
        "A classifier told a dropout of zero drops out a tenth.",
        edit(
            GENERIC + "ForTokenClassification.__init__",
            (
                'getattr(config, "classifier_dropout", None) is not None',
                'getattr(config, "classifier_dropout", None)',
            ),
        ),
        ("test_heads_drop_out_what_they_read",),
        "llama-bytes",
    ),
    Fault(
        "both-ways-unheard",
        "A decoder told to look both ways looks back only.",
        edit(
            MASKS + "create_causal_mask",
            ('if not getattr(config, "is_causal", True):', "if False:"),
        ),
        BOTH_WAYS,
        "gpt2-counting",
    ),
    Fault(
        "both-ways-unheard-by-the-kernel",
        "The fused kernel looks back only, whatever it is told.",
        edit(
            "integrations.sdpa_attention:sdpa_attention_forward",
            (
                "is_causal = is_causal if is_causal is not None else",
                "is_causal = is_causal or",
            ),
        ),
        BOTH_WAYS,
        "llama-bytes",
    ),
    Fault(
        "both-ways-window-narrower",
        "A window both ways is one token short on either side.",
        edit(
            MASKS + "create_bidirectional_sliding_window_mask",
            (
                "sliding_window_bidirectional_mask_function(sliding_window)",
                "sliding_window_bidirectional_mask_function(sliding_window - 1)",
            ),
        ),
        BOTH_WAYS,
        "mistral-random",
    ),
    Fault(
        "one-token-is-no-sequence",
        "A packed sequence of one token is taken for the beginning of the next.",
        edit(MASKS + "find_packed_sequence_indices", ("position_diff != 1", "position_diff < 0")),
        ("test_packed_sequences_are_apart",),
        "llama-chat",
    ),
    Fault(
        "longrope-scores-as-computed",
        "Longrope computes what scores are scaled by, whatever the configuration says.",
        edit(
            ROPE + "_compute_longrope_parameters",
            ('rope_parameters_dict.get("attention_factor")', "None"),
        ),
        ("test_each_rotary_number_acts",),
        "mistral-random",
    ),
    Fault(
        "choices-end-at-the-number-of-choices",
        "GPT-2 told no place scores each choice at the token whose place is the number of choices.",
        edit(
            GPT2 + "GPT2SequenceSummary.forward",
            ("hidden_states.shape[-2] - 1", "hidden_states.shape[-3] - 1"),
        ),
        ("test_double_heads_are_the_two_heads",),
        "gpt2-counting",
    ),
    Fault(
        "choices-always-scored-once",
        "GPT-2's summary is one number, even where it should be as wide as a state.",
        edit(
            GPT2 + "GPT2SequenceSummary.__init__",
            ("num_classes = config.hidden_size", "num_classes = config.num_labels"),
        ),
        ("test_choices_are_summarised_as_configured",),
        "gpt2-random",
    ),
    Fault(
        "double-heads-untied",
        "GPT-2's model of two heads scores words by a matrix of its own.",
        untied_double_heads,
        ("test_each_head_that_writes_is_tied_as_configured",),
        "gpt2-random",
    ),
    Fault(
        "answers-stored-under-another-name",
        "LLaMA's question answering stores its weights under another name than those that are published.",
        answers_under_another_name,
        ("test_other_heads_equal_reference",),
        "llama-bytes",
    ),
    Fault(
        "uneven-heads-accepted",
        "BART takes a width that its heads cannot share, and rounds.",
        edit(
            "models.bart.modeling_bart:BartAttention.__init__",
            ("(self.head_dim * num_heads) != self.embed_dim", "False"),
        ),
        ("test_uneven_heads_are_refused",),
        "bart-random",
    ),
]
