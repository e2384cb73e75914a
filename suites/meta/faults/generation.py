"""Faults in generate: the loop, its stopping, beams, and what it is given and gives back."""

from __future__ import annotations

from suites.meta.edits import edit
from suites.meta.faults import Fault
from suites.meta.places import MIXIN

STOP = "generation.stopping_criteria:"

FAULTS = [
    Fault(
        "greedy-takes-the-second",
        "Greedy decoding takes the second best token.",
        edit(
            MIXIN + "_sample",
            ("torch.argmax(next_token_scores, dim=-1)", "next_token_scores.topk(2).indices[:, 1]"),
        ),
        ("test_greedy_text",),
        "llama-bytes",
    ),
    Fault(
        "logits-of-the-first-position",
        "Generation reads the first position's logits.",
        edit(
            MIXIN + "_sample",
            ("outputs.logits[:, -1]", "outputs.logits[:, 0]"),
        ),
        ("test_processed_greedy_is_the_argmax",),
        "t5-reverse",
    ),
    Fault(
        "raw-logits-processed",
        "output_logits holds the processed scores.",
        edit(
            MIXIN + "_sample",
            ("raw_logits += (next_token_logits,)", "raw_logits += (next_token_scores - 1,)"),
        ),
        ("test_scores_are_the_logits",),
        "mistral-sliding",
    ),
    Fault(
        "finished-rows-not-padded",
        "A finished row goes on generating.",
        edit(MIXIN + "_sample", ("if has_eos_stopping_criteria:", "if False:")),
        ("test_stops_at_the_end_token",),
        "gpt2-counting",
    ),
    Fault(
        "finished-rows-padded-with-zero",
        "A finished row is filled with token 0.",
        edit(MIXIN + "_sample", ("+ pad_token_id * (1 - unfinished_sequences)", "")),
        ("test_stops_at_the_end_token",),
        "bart-reverse",
    ),
    Fault(
        "end-token-ignored",
        "The end token does not end generation.",
        edit(STOP + "EosTokenCriteria.__call__", (".any(dim=-1)", ".all(dim=-1) & False")),
        (
            "test_beams_equal_textbook",
            "test_forbidden_and_forced_tokens",
            "test_processed_greedy_is_the_argmax",
        ),
        "mbart-transliterate",
    ),
    Fault(
        "only-the-first-end-token",
        "Of several end tokens only the first ends generation.",
        edit(
            STOP + "EosTokenCriteria.__call__",
            ("self.eos_token_id).any", "self.eos_token_id[:1]).any"),
        ),
        ("test_greedy_text", "test_several_end_tokens"),
        "llama-bytes",
    ),
    Fault(
        "one-token-too-many",
        "max_length is exceeded by one.",
        edit(
            STOP + "MaxLengthCriteria.__call__",
            ("cur_len >= self.max_length", "cur_len > self.max_length"),
        ),
        (
            "test_beams_equal_textbook",
            "test_beam_batch_equals_singles",
            "test_generates_as_many_as_asked",
        ),
        "t5-reverse",
    ),
    Fault(
        "samples-are-the-best",
        "Sampling takes the most likely token.",
        edit(
            MIXIN + "_sample",
            ("torch.multinomial(probs, num_samples=1).squeeze(1)", "probs.argmax(-1)"),
        ),
        ("test_sampling_follows_the_distribution", "test_sampling_repeats_under_a_seed"),
        "gpt2-random",
    ),
    Fault(
        "samples-repeat-in-a-batch",
        "All rows of a batch draw the same number.",
        edit(
            MIXIN + "_sample",
            (
                "torch.multinomial(probs, num_samples=1).squeeze(1)",
                "torch.multinomial(probs[:1], num_samples=1).squeeze(1).expand(len(probs))",
            ),
        ),
        ("test_sampling_follows_the_distribution",),
        "gpt2-random",
    ),
    Fault(
        "wrong-decoder-start",
        "An encoder-decoder starts with the token after its start token.",
        edit(
            MIXIN + "_prepare_decoder_input_ids_for_generation",
            (
                "if decoder_input_ids is None:\n        decoder_input_ids = decoder_start_token_id",
                "if decoder_input_ids is None:\n        decoder_input_ids = decoder_start_token_id + 1",
            ),
        ),
        ("test_greedy_is_the_argmax",),
        "mbart-random",
    ),
    Fault(
        "mask-not-extended",
        "generate masks each new token.",
        edit(
            MIXIN + "_update_model_kwargs_for_generation",
            ("attention_mask.new_ones(", "attention_mask.new_zeros("),
        ),
        ("test_left_padded_batch_equals_singles",),
        "gpt2-counting",
    ),
    Fault(
        "batch-expanded-in-turns",
        "Several sequences per row are tiled instead of repeated row by row.",
        edit(
            MIXIN + "_expand_inputs_for_generation",
            (
                "input_ids = input_ids.repeat_interleave(expand_size, dim=0)",
                "input_ids = input_ids.repeat(expand_size, 1)",
            ),
        ),
        ("test_beam_batch_equals_singles",),
        "gpt2-counting",
    ),
    Fault(
        "beams-worst-first",
        "Beams are returned worst first.",
        edit(
            MIXIN + "_beam_search",
            (
                "sequences = self._flatten_beam_dim(sequences[:, :num_return_sequences, :])",
                "sequences = self._flatten_beam_dim(sequences.flip(1)[:, :num_return_sequences, :])",
            ),
            (
                "beam_scores[:, :num_return_sequences]",
                "beam_scores.flip(1)[:, :num_return_sequences]",
            ),
            (
                "beam_indices[:, :num_return_sequences, :]",
                "beam_indices.flip(1)[:, :num_return_sequences, :]",
            ),
        ),
        ("test_beams_equal_textbook", "test_beams_are_sorted_and_different"),
        "gpt2-counting",
    ),
    Fault(
        "beam-scores-not-accumulated",
        "A beam's score is that of its last token.",
        edit(
            MIXIN + "_beam_search",
            (
                "log_probs + running_beam_scores[:, :, None]",
                "log_probs + 0 * running_beam_scores[:, :, None]",
            ),
        ),
        ("test_beam_scores_are_their_transition_scores", "test_beams_are_sorted_and_different"),
        "t5-gated",
    ),
    Fault(
        "length-penalty-inverted",
        "A length penalty above zero shortens.",
        edit(MIXIN + "_update_finished_beams", ("** length_penalty)", "** -length_penalty)")),
        ("test_beams_equal_textbook", "test_beam_scores_are_their_transition_scores"),
        "llama-chat",
    ),
    Fault(
        "length-penalty-counts-the-prompt",
        "A beam's length includes its prompt.",
        edit(
            MIXIN + "_update_finished_beams",
            ("(cur_len + 1 - decoder_prompt_len)", "(cur_len + 1)"),
        ),
        ("test_beams_equal_textbook", "test_beam_scores_are_their_transition_scores"),
        "gpt2-counting",
    ),
    Fault(
        "beams-of-one-row",
        "Beams of a batch are scored from the first row's logits.",
        edit(
            MIXIN + "_beam_search",
            (
                "log_probs = self._unflatten_beam_dim(log_probs, batch_size, num_beams)",
                "log_probs = self._unflatten_beam_dim(log_probs, batch_size, num_beams)[:1].expand(batch_size, -1, -1)",
            ),
        ),
        ("test_beam_batch_equals_singles",),
        "mistral-sliding",
    ),
    Fault(
        "all-beams-start",
        "All beams start equal, so that they stay copies of each other.",
        edit(MIXIN + "_beam_search", ("running_beam_scores[:, 1:] = -1e9", "pass")),
        ("test_beams_equal_textbook", "test_beams_are_sorted_and_different"),
        "bart-reverse",
    ),
    Fault(
        "early-stopping-always",
        "Beam search always stops at the first full set of hypotheses.",
        edit(MIXIN + "_beam_search_has_unfinished_sequences", ("(early_stopping is True)", "True")),
        ("test_beams_equal_textbook",),
        "gpt2-counting",
    ),
    Fault(
        "transition-scores-not-normalised",
        "compute_transition_scores does not normalise.",
        edit(
            MIXIN + "compute_transition_scores",
            ("torch.nn.functional.log_softmax(stacked_scores, dim=1)", "stacked_scores"),
        ),
        ("test_transition_scores_are_log_probabilities",),
        "gpt2-random",
    ),
    Fault(
        "transition-scores-of-another-beam",
        "compute_transition_scores follows the wrong beam.",
        edit(
            MIXIN + "compute_transition_scores",
            (
                "beam_sequence_indices = beam_indices *",
                "beam_sequence_indices = 0 * beam_indices *",
            ),
        ),
        ("test_beam_scores_are_their_transition_scores",),
        "gpt2-counting",
    ),
    Fault(
        "prompt-not-streamed",
        "A streamer is not told of the tokens' end.",
        edit(MIXIN + "_sample", ("streamer.end()", "pass")),
        ("test_streamer_sees_what_is_generated",),
        "llama-chat",
    ),
    Fault(
        "stops-when-one-is-done",
        "A batch ends as soon as one of its rows does.",
        edit(
            MIXIN + "_sample",
            (
                "stop_check(unfinished_sequences,",
                "stop_check(unfinished_sequences.min() * unfinished_sequences,",
            ),
        ),
        ("test_stops_at_the_end_token",),
        "gpt2-random",
    ),
    Fault(
        "samples-from-logits",
        "Sampling draws from the square roots of the probabilities.",
        edit(MIXIN + "_sample", ("torch.multinomial(probs,", "torch.multinomial(probs.sqrt(),")),
        ("test_sampling_follows_the_distribution",),
        "llama-chat",
    ),
    Fault(
        "given-decoder-start-dropped",
        "decoder_input_ids given to generate are ignored.",
        edit(
            MIXIN + "_prepare_decoder_input_ids_for_generation",
            (
                'decoder_input_ids = model_kwargs.pop("decoder_input_ids")',
                'decoder_input_ids = None; model_kwargs.pop("decoder_input_ids")',
            ),
        ),
        ("test_decoder_prompt_is_continued",),
        "bart-reverse",
    ),
    Fault(
        "encoder-mask-lost-in-generate",
        "generate encodes a padded batch without its mask.",
        edit(
            MIXIN + "_prepare_text_encoder_decoder_kwargs_for_generation",
            (
                'encoder_kwargs["return_dict"] = True',
                'encoder_kwargs["return_dict"] = True; encoder_kwargs.pop("attention_mask", None)',
            ),
        ),
        ("test_padded_batch_equals_singles",),
        "t5-reverse",
    ),
    Fault(
        "cross-mask-lost-in-generate",
        "generate decodes a padded batch without the encoder's mask.",
        edit(
            MIXIN + "prepare_inputs_for_generation",
            ("if encoder_attention_mask is not None:", "if False:"),
            (
                'kwargs_to_avoid_forwarding = ("labels",',
                'kwargs_to_avoid_forwarding = ("attention_mask", "labels",',
            ),
        ),
        ("test_padded_batch_equals_singles",),
        "bart-reverse",
    ),
    Fault(
        "mask-not-inferred",
        "generate without a mask attends to padding.",
        edit(
            MIXIN + "_prepare_attention_mask_for_generation",
            ("if pad_token_id is None:", "if True:"),
        ),
        ("test_mask_follows_from_padding",),
        "llama-chat",
    ),
    Fault(
        "embeddings-backwards-in-generate",
        "generate given embeddings reads them last to first.",
        edit(
            MIXIN + "prepare_inputs_for_generation",
            ("prompt_embeds.clone(", "prompt_embeds.flip(1).clone("),
        ),
        ("test_embeddings_generate_what_ids_generate",),
        "llama-chat",
    ),
    Fault(
        "patience-forgets-the-penalty",
        "early_stopping='never' stops by the current length.",
        edit(
            MIXIN + "_check_early_stop_heuristic",
            ('early_stopping == "never" and length_penalty > 0.0', "False"),
        ),
        ("test_beams_equal_textbook",),
        "bart-random",
    ),
    Fault(
        "drafts-accepted-blindly",
        "Assisted decoding accepts every drafted token.",
        edit(
            MIXIN + "_assisted_decoding",
            (
                "n_matches = ((~(candidate_new_tokens == selected_tokens[:, :-1])).cumsum(dim=-1) < 1).sum()",
                "n_matches = candidate_new_tokens.new_tensor(candidate_new_tokens.shape[1])",
            ),
        ),
        ("test_drafted_tokens_change_nothing",),
        "gpt2-counting",
    ),
]
