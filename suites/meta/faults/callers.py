"""Faults in what generate and its helpers make of what the caller says, and how precisely they compute."""

from __future__ import annotations

from typing import Any

import pytest

from suites.meta.edits import edit
from suites.meta.faults import Fault
from suites.meta.places import BART, LLAMA, MBART, MIXIN

SETTINGS = "generation.configuration_utils:GenerationConfig."
PROCESS = "generation.logits_process:"
DRAFT = "generation.candidate_generator:"


def undropped(patch: pytest.MonkeyPatch) -> None:
    """Give mBART's configuration another dropout where none is said."""
    from transformers import MBartConfig

    plain = MBartConfig.__init__

    def made(self: Any, *given: Any, **settings: Any) -> None:
        plain(self, *given, **{"dropout": 0.0, **settings})

    patch.setattr(MBartConfig, "__init__", made)


FAULTS = [
    Fault(
        "no-dropout-unless-said",
        "An mBART whose configuration does not say drops out nothing.",
        undropped,
        ("test_what_a_file_leaves_out_is_what_it_was",),
        "mbart-random",
    ),
    Fault(
        "two-labels-unless-said",
        "A BART whose configuration does not say has two labels instead of three.",
        edit(
            "models.bart.configuration_bart:BartConfig.__post_init__",
            ('_labels", 3', '_labels", 2'),
        ),
        ("test_what_a_file_leaves_out_is_what_it_was",),
        "bart-random",
    ),
    Fault(
        "ends-three-tokens-back",
        "An end token among the last three tokens ends generation.",
        edit(
            "generation.stopping_criteria:EosTokenCriteria.__call__",
            ("input_ids[:, -new_token_length:]", "input_ids[:, -new_token_length - 2 :]"),
        ),
        ("test_ends_of_the_prompt_end_nothing",),
        "gpt2-counting",
    ),
    Fault(
        "beams-in-half-precision",
        "Beams of a half-precision model are scored in its precision.",
        edit(
            MIXIN + "_beam_search",
            ("copy=True, dtype=torch.float32", "copy=True, dtype=model_outputs.logits.dtype"),
        ),
        ("test_half_precision_scores_are_not_rounded",),
        "gpt2-counting",
    ),
    Fault(
        "drafts-in-half-precision",
        "Drafts for a half-precision model are checked in its precision.",
        edit(
            MIXIN + "_assisted_decoding",
            ("dtype=torch.float32, device", "dtype=outputs.logits.dtype, device"),
        ),
        ("test_half_precision_scores_are_not_rounded",),
        "bart-random",
    ),
    Fault(
        "the-callers-own-comes-on-top",
        "A processor of the caller is used beside the one of its kind that the settings ask for.",
        edit(
            MIXIN + "_merge_criteria_processor_list",
            ("if type(custom) is type(default):", "if custom is default:"),
        ),
        ("test_the_callers_own_replaces_the_settings",),
        "bart-random",
    ),
    Fault(
        "misspelt-settings-pass",
        "Keywords that nobody knows are refused only where they end like inputs.",
        edit(
            MIXIN + "_validate_model_kwargs",
            ("unused_model_args.append(key)", "unused_model_args += [key] * key.endswith('_ids')"),
        ),
        ("test_misspelt_settings_are_refused",),
        "gpt2-counting",
    ),
    Fault(
        "zero-is-unset",
        "A zero in a configuration given to generate is filled from the model's.",
        edit(
            SETTINGS + "update", ("getattr(self, key) is None", "getattr(self, key) in (None, 0)")
        ),
        ("test_settings_of_nothing_win_over_the_models",),
        "gpt2-counting",
    ),
    Fault(
        "contradictions-are-saved",
        "Generation settings that contradict each other are saved.",
        edit(SETTINGS + "save_pretrained", ("strict=was_modified", "strict=False")),
        ("test_settings_are_kept_where_they_are_put",),
        "gpt2-counting",
    ),
    Fault(
        "negative-prompts-unmasked",
        "The mask of a negative prompt is replaced by ones.",
        edit(
            PROCESS + "UnbatchedClassifierFreeGuidanceLogitsProcessor.get_unconditional_logits",
            (
                '    attention_mask = self.unconditional_context["attention_mask"]',
                '    attention_mask = torch.ones_like(self.unconditional_context["attention_mask"])',
            ),
        ),
        ("test_guidance_heeds_the_other_prompts_mask",),
        "llama-chat",
    ),
    Fault(
        "ideographs-streamed-twice",
        "A streamer says an ideograph again with what follows it.",
        edit(
            "generation.streamers:TextStreamer.put",
            ("+= len(printable_text)", "+= len(printable_text) - 1"),
        ),
        ("test_streamed_text_is_the_decoded_one",),
        "gpt2-counting",
    ),
    Fault(
        "watermarks-look-back-too-little",
        "A watermark looks back one token less than told.",
        edit(
            PROCESS + "WatermarkLogitsProcessor.set_seed",
            ("[-self.context_width :]", "[-self.context_width + 1 :]"),
        ),
        ("test_watermark_looks_back_as_told",),
        "gpt2-counting",
    ),
    Fault(
        "drafts-beyond-the-length",
        "Of a draft that is right, one token beyond max_new_tokens is kept.",
        edit(
            MIXIN + "_assisted_decoding",
            ("valid_tokens[:, :tokens_budget]", "valid_tokens[:, : tokens_budget + 1]"),
        ),
        ("test_drafts_end_at_the_length",),
        "gpt2-counting",
    ),
    Fault(
        "drafts-never-shorter",
        "A draft that was wrong is followed by one as long.",
        edit(
            DRAFT + "AssistedCandidateGenerator.update_candidate_strategy",
            ("max(1, self.num_assistant_tokens - 1)", "self.num_assistant_tokens"),
        ),
        ("test_drafts_are_as_long_as_they_are_good",),
        "gpt2-counting",
    ),
    Fault(
        "draft-masks-extended-in-front",
        "The mask of a padded prompt is made longer at its beginning when drafts are checked.",
        edit(
            DRAFT + "_prepare_attention_mask",
            (
                "[mask, mask.new_ones((mask.shape[0], mask_length_diff))]",
                "[mask.new_ones((mask.shape[0], mask_length_diff)), mask]",
            ),
        ),
        ("test_drafts_behind_padding_change_nothing",),
        "gpt2-counting",
    ),
    Fault(
        "norms-in-half-precision",
        "LLaMA's norms of a half-precision model sum squares in its precision.",
        edit(
            LLAMA + "LlamaRMSNorm.forward",
            ("hidden_states = hidden_states.to(torch.float32)", "pass"),
        ),
        ("test_norms_do_not_overflow",),
        "llama-bytes",
    ),
    Fault(
        "training-keeps-a-cache",
        "mBART keeps a cache beside labels.",
        edit(
            MBART + "MBartForConditionalGeneration.forward",
            ("use_cache = False", "use_cache = None"),
        ),
        ("test_no_cache_beside_labels",),
        "mbart-random",
    ),
    Fault(
        "ignored-labels-read-as-one",
        "BART's decoder reads ignored labels as token 1, whichever its padding is.",
        edit(
            BART + "shift_tokens_right",
            ("== -100, pad_token_id)", "== -100, 1)"),
        ),
        ("test_shifted_labels_hold_the_configured_ids",),
        "bart-random",
    ),
    Fault(
        "given-states-not-handed-on",
        "Of two encoder outputs that the caller gives, mBART hands on the first only.",
        edit(
            MBART + "MBartModel.forward",
            ("if len(encoder_outputs) > 1", "if len(encoder_outputs) > 2"),
        ),
        ("test_encoder_outputs_may_be_given",),
        "mbart-random",
    ),
    Fault(
        "half-a-model-keeps-all-logits",
        "mBART's decoder alone computes logits of all positions, however few are wanted.",
        edit(
            MBART + "MBartForCausalLM.forward",
            ("slice_logits_to_keep(hidden_states, logits_to_keep)", "hidden_states"),
        ),
        ("test_heads_hand_on_what_they_are_given",),
        "mbart-random",
    ),
    Fault(
        "cross-cache-lost-on-the-way",
        "An encoder-decoder's cache made of another's tensors attends to the decoder's for the encoder's.",
        edit(
            "cache_utils:EncoderDecoderCache.__iter__",
            (
                "self_attention_layer + cross_attention_layer",
                "self_attention_layer + self_attention_layer",
            ),
        ),
        ("test_both_caches_follow_the_caller",),
        "bart-random",
    ),
    Fault(
        "cross-cache-counts-as-empty",
        "An encoder-decoder's cache made of two full ones reads the encoder's text again.",
        edit(
            "cache_utils:EncoderDecoderCache.__init__",
            ("get_seq_length(layer_idx) > 0", "get_seq_length(layer_idx) < 0"),
        ),
        ("test_both_caches_follow_the_caller",),
        "mbart-random",
    ),
]
