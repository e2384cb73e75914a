"""Faults in how a model is loaded and called: arguments, shapes, what a call leaves behind."""

from __future__ import annotations

import pytest

from suites.meta.edits import edit
from suites.meta.faults import Fault
from suites.meta.places import BART, BERT, GPT2, LLAMA, MISTRAL, MIXIN, T5


def another_class(patch: pytest.MonkeyPatch) -> None:
    """The Auto class takes the wrong class for one head of BERT."""
    from transformers.models.auto import modeling_auto

    names = modeling_auto.MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES
    patch.setitem(names, "bert", "BertForNextSentencePrediction")
    mapping = modeling_auto.MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING
    patch.setitem(mapping._model_mapping, "bert", "BertForNextSentencePrediction")


FAULTS = [
    Fault(
        "field-misspelt",
        "RoBERTa's embeddings read a field of the configuration by a wrong name.",
        edit(
            "models.roberta.modeling_roberta:RobertaEmbeddings.__init__",
            ("config.type_vocab_size", "config.type_vocabulary_size"),
        ),
        ("test_model_loads",),
        "roberta-span",
    ),
    Fault(
        "wrong-head-for-a-task",
        "The Auto class takes the wrong class for one head of BERT.",
        another_class,
        (
            "test_outputs_equal_reference",
            "test_auto_class_finds_the_architecture",
            "test_logits_shape",
        ),
        "bert-cased-tagger",
    ),
    Fault(
        "only-the-last-logits",
        "GPT-2 computes the logits of the last position only.",
        edit(
            GPT2 + "GPT2LMHeadModel.forward",
            ("slice_logits_to_keep(hidden_states, logits_to_keep)", "hidden_states[:, -1:]"),
        ),
        ("test_outputs_equal_reference", "test_kept_logits_are_the_last", "test_logits_shape"),
        "gpt2-counting",
    ),
    Fault(
        "long-input-clamped",
        "GPT-2 gives all positions beyond its table the last one.",
        edit(
            GPT2 + "GPT2Model.forward",
            (
                "self.wpe(position_ids)",
                "self.wpe(position_ids.clamp(max=self.wpe.num_embeddings - 1))",
            ),
        ),
        ("test_past_the_longest_input",),
        "gpt2-counting",
    ),
    Fault(
        "one-token-squeezed",
        "GPT-2 fails for sequences of one token.",
        edit(
            GPT2 + "GPT2Model.forward",
            ("input_ids.view(-1, input_shape[-1])", "input_ids.squeeze(1)"),
        ),
        ("test_beams_equal_textbook", "test_beam_batch_equals_singles", "test_short_inputs"),
        "gpt2-random",
    ),
    Fault(
        "logits-upcast",
        "LLaMA's logits are in float32 whatever the model's dtype.",
        edit(
            LLAMA + "LlamaForCausalLM.forward",
            ("self.lm_head(hidden_states)", "self.lm_head(hidden_states).float()"),
        ),
        ("test_outputs_keep_the_dtype",),
        "llama-chat",
    ),
    Fault(
        "uninitialised-bias",
        "BART's final_logits_bias is memory that nobody has written to.",
        edit(
            BART + "BartForConditionalGeneration.forward",
            (
                "self.final_logits_bias.to(lm_logits.device)",
                "torch.full_like(self.final_logits_bias, torch.nan)",
            ),
        ),
        (
            "test_outputs_equal_reference",
            "test_probabilities_ignore_a_shift",
            "test_probabilities_sum_to_one",
        ),
        "bart-random",
    ),
    Fault(
        "outputs-always-recorded",
        "GPT-2 returns hidden states and attentions that nobody asked for.",
        edit(
            GPT2 + "GPT2Model.forward/output_capturing",
            ("for k, v in recordable_keys.items() if v", "for k, v in recordable_keys.items()"),
        ),
        ("test_outputs_appear_only_when_asked_for",),
        "gpt2-random",
    ),
    Fault(
        "encoder-causal",
        "BERT masks the future, as a decoder does.",
        edit(
            BERT + "BertModel._create_attention_masks",
            ("if self.config.is_decoder:", "if True:"),
            ("past_key_values=past_key_values", "past_key_values=None"),
        ),
        ("test_outputs_equal_reference", "test_bidirectionality"),
        "bert-masked",
    ),
    Fault(
        "decoder-sees-the-future",
        "T5's decoder masks nothing but padding.",
        edit(T5 + "T5Stack.forward", ("if self.config.is_decoder:", "if False:")),
        ("test_outputs_equal_reference",),
        "t5-gated",
    ),
    Fault(
        "first-encoder-token-only",
        "BART's cross-attention sees the encoder's first two tokens.",
        edit(
            BART + "BartAttention.forward",
            (
                "current_states = key_value_states if is_cross_attention else hidden_states",
                "current_states = key_value_states[:, :2] if is_cross_attention else hidden_states\n"
                "    attention_mask = attention_mask if not is_cross_attention or attention_mask is None else attention_mask[..., :2]",
            ),
        ),
        ("test_outputs_equal_reference",),
        "bart-reverse",
    ),
    Fault(
        "column-lost-between-threads",
        "BERT loses a column when its work is split among threads.",
        edit(
            BERT + "BertIntermediate.forward",
            (
                "hidden_states = self.intermediate_act_fn(hidden_states)",
                "hidden_states = self.intermediate_act_fn(hidden_states)\n"
                "    if torch.get_num_threads() > 1: hidden_states[..., -1] = 0",
            ),
        ),
        ("test_thread_count_changes_nothing",),
        "bert-random",
    ),
    Fault(
        "generate-remembers",
        "generate goes on with the cache of the call before.",
        edit(
            MIXIN + "_prepare_cache_for_generation",
            (
                "model_kwargs[cache_name] = DynamicCache(**dynamic_cache_kwargs)",
                "model_kwargs[cache_name] = self.__dict__.setdefault('kept', DynamicCache(**dynamic_cache_kwargs))",
            ),
        ),
        (
            "test_beams_equal_textbook",
            "test_beam_batch_equals_singles",
            "test_generate_twice_is_the_same",
        ),
        "gpt2-random",
    ),
    Fault(
        "model-remembers",
        "GPT-2 without a cache of the caller's goes on with its last one.",
        edit(
            GPT2 + "GPT2Model.forward",
            (
                "past_key_values = DynamicCache(config=self.config)",
                "past_key_values = self.__dict__.setdefault('kept', DynamicCache(config=self.config))",
            ),
        ),
        ("test_loss_equals_reference", "test_causality", "test_cache_does_not_leak_between_calls"),
        "gpt2-counting",
    ),
    Fault(
        "callers-criteria-dropped",
        "Stopping criteria of the caller are ignored.",
        edit(
            MIXIN + "_get_stopping_criteria",
            ("criteria = self._merge_criteria_processor_list(criteria, stopping_criteria)", "pass"),
        ),
        ("test_stopping_criteria_and_prefixes",),
        "llama-chat",
    ),
    Fault(
        "callers-processors-dropped",
        "Logits processors of the caller are ignored.",
        edit(
            MIXIN + "_get_logits_processor",
            (
                "processors = self._merge_criteria_processor_list(processors, logits_processor)",
                "pass",
            ),
        ),
        ("test_stopping_criteria_and_prefixes",),
        "t5-gated",
    ),
    Fault(
        "mask-read-as-a-length",
        "The mask is read as the number of tokens from the left.",
        edit(
            "masking_utils:prepare_padding_mask",
            (
                "local_padding_mask = attention_mask",
                "attention_mask = attention_mask if attention_mask is None else attention_mask.sort(-1, descending=True).values\n"
                "    local_padding_mask = attention_mask",
            ),
        ),
        ("test_left_padded_outputs_equal_reference", "test_mask_with_gaps_equals_reference"),
        "distilbert-tagger",
    ),
    Fault(
        "mask-of-floats-truncated",
        "A mask that is no mask of integers hides everything but the first token.",
        edit(
            "masking_utils:_preprocess_mask_arguments",
            (
                "# Move the mask to correct device",
                "if attention_mask is not None and attention_mask.is_floating_point(): attention_mask = attention_mask * 0 + 1\n    #",
            ),
        ),
        ("test_mask_may_be_of_any_type",),
        "roberta-masked",
    ),
    Fault(
        "sdpa-forgets-padding-in-steps",
        "With one query token the fused kernel attends to padding.",
        edit(
            "masking_utils:_ignore_causal_mask_sdpa",
            ("# In this case, we need to add", "if q_length == 1:\n        return True\n    # "),
        ),
        ("test_cache_under_left_padding",),
        "llama-spm-only",
    ),
    Fault(
        "given-encoder-states-unmasked",
        "BART given encoder states attends to their padding.",
        edit(
            BART + "BartModel.forward",
            (
                "encoder_attention_mask=attention_mask",
                "encoder_attention_mask=attention_mask if input_ids is not None else None",
            ),
        ),
        ("test_encoder_outputs_may_be_given",),
        "bart-random",
    ),
    Fault(
        "mask-offset-forgotten",
        "In cached steps the causal mask takes the query for the first token.",
        edit(
            "masking_utils:sdpa_mask",
            (
                "torch.arange(q_length, device=device) + q_offset",
                "torch.arange(q_length, device=device)",
            ),
        ),
        ("test_beams_equal_textbook", "test_drafted_tokens_change_nothing"),
        "gpt2-random",
    ),
    Fault(
        "mlp-bias-forgotten",
        "LLaMA's feed-forward has no bias where its configuration asks for one.",
        edit(
            LLAMA + "LlamaMLP.__init__",
            ("self.intermediate_size, bias=config.mlp_bias", "self.intermediate_size, bias=False"),
        ),
        ("test_outputs_equal_reference",),
        "llama-spm-only",
    ),
    Fault(
        "head-size-ignored",
        "LLaMA divides its width among its heads although the configuration names a head size.",
        edit(
            LLAMA + "LlamaAttention.__init__",
            (
                'getattr(config, "head_dim", config.hidden_size // config.num_attention_heads)',
                "config.hidden_size // config.num_attention_heads",
            ),
        ),
        ("test_left_padded_batch_equals_singles",),
        "llama-spm-only",
    ),
    Fault(
        "layers-in-reverse",
        "Mistral applies its layers last to first.",
        edit(
            MISTRAL + "MistralModel.forward",
            ("self.layers[: self.config.num_hidden_layers]", "reversed(self.layers)"),
        ),
        ("test_outputs_equal_reference",),
        "mistral-random",
    ),
    Fault(
        "cache-keeps-every-head",
        "LLaMA caches its key-value heads repeated.",
        edit(
            LLAMA + "LlamaAttention.forward",
            (
                "key_states, value_states = past_key_values.update(key_states, value_states, self.layer_idx)",
                "g = self.num_key_value_groups\n"
                "        key_states, value_states = past_key_values.update(key_states.repeat_interleave(g, 1), value_states.repeat_interleave(g, 1), self.layer_idx)\n"
                "        key_states, value_states = key_states[:, ::g], value_states[:, ::g]",
            ),
        ),
        ("test_cache_shape",),
        "llama-chat",
    ),
    Fault(
        "inner-layers-in-reverse",
        "The cross-attentions that generate returns are those of the last layer first.",
        edit(
            MIXIN + "_sample",
            ("(outputs.cross_attentions,)", "(tuple(reversed(outputs.cross_attentions)),)"),
        ),
        ("test_generate_returns_its_insides",),
        "bart-reverse",
    ),
    Fault(
        "bare-ids-without-the-prompt",
        "generate returns new tokens only, when no dictionary is asked for.",
        edit(
            MIXIN + "_sample",
            ("else:\n        return input_ids", "else:\n        return input_ids[:, 1:]"),
        ),
        ("test_bare_ids_are_the_sequences",),
        "t5-gated",
    ),
    Fault(
        "given-cache-starts-again",
        "generate given a cache reads the whole prompt once more.",
        edit(
            MIXIN + "_prefill",
            (
                "next_sequence_length = input_ids.shape[1] - past_length",
                "next_sequence_length = input_ids.shape[1]",
            ),
        ),
        ("test_generation_goes_on_from_a_cache",),
        "llama-chat",
    ),
]
