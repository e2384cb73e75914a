"""Faults in what bounds generation: lengths, ends, padding, and which tokens may come."""

from __future__ import annotations

from suites.meta.edits import edit, edits
from suites.meta.faults import Fault

GENERATE = "generation.utils:GenerationMixin."
PROCESS = "generation.logits_process:"
LENGTHS, PROCESSORS = GENERATE + "_prepare_generated_length", GENERATE + "_get_logits_processor"


def first_end_only(processor):
    """A minimum of tokens that holds back one of several end tokens."""
    return edit(
        f"{PROCESS}{processor}.__call__",
        ("isin(vocab_tensor, self.eos_token_id)", "isin(vocab_tensor, self.eos_token_id[:1])"),
    )


FAULTS = [
    Fault(
        "beams-padded-with-their-end",
        "What is behind the end of a beam is the end token again.",
        edit(GENERATE + "_beam_search", ("pad_token_id or eos_token_id[0]", "eos_token_id[0]")),
        ("test_beams_are_padded_behind_their_ends",),
        "gpt2-counting",
    ),
    Fault(
        "prompt-begins-with-token-0",
        "Without a prompt, generation begins with token 0.",
        edit(GENERATE + "_maybe_initialize_input_ids_for_generation", ("* bos_token_id", "* 0")),
        ("test_nothing_is_continued_from_the_beginning",),
        "gpt2-counting",
    ),
    Fault(
        "rows-filled-with-the-last-end",
        "Without a padding token, finished rows are filled with the last of several ends.",
        edit(
            GENERATE + "_prepare_special_tokens",
            ("pad_token_tensor = eos_token_tensor[0]", "pad_token_tensor = eos_token_tensor[-1]"),
        ),
        ("test_several_end_tokens",),
        "gpt2-counting",
    ),
    Fault(
        "ends-taken-for-padding",
        "End tokens in a prompt are masked where they are the padding, too.",
        edit(
            GENERATE + "_prepare_attention_mask_for_generation",
            (
                "is_pad_token_in_inputs * is_pad_token_not_equal_to_eos_token_id",
                "is_pad_token_in_inputs",
            ),
        ),
        ("test_mask_follows_from_padding",),
        "llama-chat",
    ),
    Fault(
        "embeddings-do-not-count",
        "max_length does not count a prompt given as embeddings.",
        edit(LENGTHS, ("generation_config.max_length -= inputs_tensor.shape[1]", "pass")),
        ("test_embeddings_generate_what_ids_generate",),
        "gpt2-counting",
    ),
    Fault(
        "embeddings-count-in-the-minimum",
        "min_length counts only the new tokens behind a prompt given as embeddings.",
        edit(
            LENGTHS,
            (
                "max(generation_config.min_length - inputs_tensor.shape[1], 0)",
                "generation_config.min_length",
            ),
        ),
        ("test_embeddings_generate_what_ids_generate",),
        "gpt2-counting",
    ),
    Fault(
        "shorter-of-two-lengths",
        "Of max_length and max_new_tokens the shorter holds.",
        edit(
            LENGTHS,
            (
                "generation_config.max_length = generation_config.max_new_tokens + input_ids_length",
                "generation_config.max_length = min(generation_config.max_new_tokens + input_ids_length, generation_config.max_length or 10**9)",
            ),
        ),
        ("test_generates_as_many_as_asked",),
        "gpt2-counting",
    ),
    Fault(
        "default-length-beyond-the-positions",
        "The default length does not end with the table of positions.",
        edit(LENGTHS, ("if max_position_embeddings is not None:", "if False:")),
        ("test_stops_where_positions_end",),
        "llama-chat",
    ),
    Fault(
        "begins-with-the-forced-token",
        "What may not come first may come behind a forced first token.",
        edit(PROCESSORS, ("else begin_index + 1", "else begin_index")),
        ("test_forced_first_token",),
        "bart-random",
    ),
    Fault(
        "first-token-forced-twice",
        "forced_bos_token_id is the second token, too.",
        edit(PROCESS + "ForcedBOSTokenLogitsProcessor.__call__", ("cur_len == 1", "cur_len <= 2")),
        ("test_forced_first_token",),
        "bart-random",
    ),
    Fault(
        "sampled-beams-cut-to-one",
        "Cutting off tokens leaves sampled beams with a single one, which may be an end.",
        edit(PROCESSORS, ("generation_config._eos_token_tensor.shape[0] + 1", "1")),
        ("test_sampled_beams_can_go_on",),
        "gpt2-counting",
    ),
    Fault(
        "min-p-keeps-too-few",
        "min_p forgets how many tokens it must keep.",
        edit(
            PROCESS + "MinPLogitsWarper.__call__",
            ("tokens_to_remove.scatter_(-1, sorted_indices, False)", "pass"),
        ),
        ("test_sampled_beams_can_go_on",),
        "gpt2-counting",
    ),
    Fault(
        "invalid-values-stay",
        "remove_invalid_values does nothing.",
        edit(PROCESSORS, ("if generation_config.remove_invalid_values is True:", "if False:")),
        ("test_invalid_numbers_can_be_removed",),
        "gpt2-counting",
    ),
    Fault(
        "ends-among-the-bad-words",
        "An end token listed among bad words can no longer end.",
        edit(
            PROCESS + "NoBadWordsLogitsProcessor.__init__", ("bad_words_ids = list(", "_ = list(")
        ),
        ("test_forbidden_and_forced_tokens",),
        "gpt2-counting",
    ),
    Fault(
        "biased-by-the-last-token",
        "A biased sequence is recognised by the last token before its end alone.",
        edit(
            PROCESS + "SequenceBiasLogitsProcessor.__call__",
            (
                "(input_ids[:, None, -prefix_length:] == prefixes).all(dim=-1)",
                "(input_ids[:, None, -prefix_length:] == prefixes)[..., -1]",
            ),
        ),
        ("test_suppressed_and_biased_tokens",),
        "gpt2-counting",
    ),
    Fault(
        "minimum-of-the-first-end",
        "Until the least number of tokens only the first of several ends is held back.",
        edits(
            *map(first_end_only, ("MinLengthLogitsProcessor", "MinNewTokensLengthLogitsProcessor"))
        ),
        ("test_no_end_before_the_minimum",),
        "gpt2-counting",
    ),
    Fault(
        "watermark-lowers",
        "A watermark lowers the scores that it should raise.",
        edit(PROCESS + "WatermarkLogitsProcessor.__call__", ("+ self.bias", "- self.bias")),
        ("test_watermark_raises_the_green_list",),
        "gpt2-counting",
    ),
    Fault(
        "watermark-of-one-list",
        "A watermark raises the same tokens behind every token.",
        edit(
            PROCESS + "WatermarkLogitsProcessor._get_greenlist_ids",
            ("self.set_seed(input_seq)", "self.set_seed(input_seq * 0)"),
        ),
        ("test_watermark_raises_the_green_list",),
        "gpt2-counting",
    ),
    Fault(
        "padding-penalised",
        "A repetition penalty falls on padding, too.",
        edit(
            PROCESS + "RepetitionPenaltyLogitsProcessor.__call__",
            (
                "input_ids = input_ids.masked_fill(positions[None, :] < self.prompt_ignore_length[:, None], vocab_size)",
                "pass",
            ),
        ),
        ("test_padding_is_not_repeated",),
        "gpt2-counting",
    ),
    Fault(
        "encoder-states-not-returned",
        "generate returns no hidden states of the encoder.",
        edit(
            GENERATE + "_sample",
            (
                'model_kwargs["encoder_outputs"].get("hidden_states") if output_hidden_states else None',
                "None",
            ),
        ),
        ("test_generate_returns_its_insides",),
        "t5-reverse",
    ),
    Fault(
        "beams-without-their-cache",
        "Beam search returns no cache.",
        edit(
            GENERATE + "_beam_search",
            ("past_key_values=cache,", "past_key_values=None,"),
            ("past_key_values=cache,", "past_key_values=None,"),
        ),
        ("test_generate_returns_its_cache",),
        "gpt2-counting",
    ),
    Fault(
        "sampled-beams-are-the-best",
        "Beams that should be sampled are the likeliest.",
        edit(GENERATE + "_get_top_k_continuations", ("if do_sample:", "if False:")),
        ("test_sampled_beams_follow_the_distribution",),
        "gpt2-counting",
    ),
    Fault(
        "beams-too-few-for-their-ends",
        "Beam search looks at two continuations for each beam, however many end tokens there are.",
        edit(
            GENERATE + "_beam_search",
            ("max(2, 1 + n_eos_tokens) * num_beams", "2 * num_beams"),
        ),
        ("test_beams_equal_textbook",),
        "bart-random",
    ),
    Fault(
        "entropy-unbounded",
        "top_h keeps every token whose share of the entropy is in the whole of it.",
        edit(
            "generation.logits_process:TopHLogitsWarper.__call__",
            ("(dist.entropy() * self.top_h)", "dist.entropy()"),
        ),
        ("test_scores_equal_textbook",),
        "gpt2-counting",
    ),
    Fault(
        "all-stop-strings-needed",
        "Of several stop strings generation waits for all.",
        edit(
            "generation.stopping_criteria:StopStringCriteria.__call__",
            ("torch.any(string_matches, dim=-1)", "torch.all(string_matches, dim=-1)"),
        ),
        ("test_stop_strings_stop",),
        "gpt2-counting",
    ),
]
