"""Faults in what generation settings do to the scores of the next token."""

from __future__ import annotations

from suites.meta.edits import edit, edits
from suites.meta.faults import Fault

PROCESS = "generation.logits_process:"

FAULTS = [
    Fault(
        "temperature-inverted",
        "A higher temperature sharpens.",
        edit(
            PROCESS + "TemperatureLogitsWarper.__call__",
            ("scores / self.temperature", "scores * self.temperature"),
        ),
        ("test_scores_equal_textbook",),
        "gpt2-counting",
    ),
    Fault(
        "repetition-penalty-inverted",
        "A repetition penalty rewards repetition.",
        edit(
            PROCESS + "RepetitionPenaltyLogitsProcessor.__call__",
            (
                "score = torch.where(score < 0, score * self.penalty, score / self.penalty)",
                "score = torch.where(score < 0, score / self.penalty, score * self.penalty)",
            ),
        ),
        (
            "test_beams_equal_textbook",
            "test_processed_greedy_is_the_argmax",
            "test_scores_equal_textbook",
        ),
        "gpt2-counting",
    ),
    Fault(
        "repetition-penalty-of-one-sign",
        "A repetition penalty divides negative scores too.",
        edit(
            PROCESS + "RepetitionPenaltyLogitsProcessor.__call__",
            (
                "score = torch.where(score < 0, score * self.penalty, score / self.penalty)",
                "score = score / self.penalty",
            ),
        ),
        ("test_beams_equal_textbook",),
        "gpt2-random",
    ),
    Fault(
        "repetition-penalty-skips-the-prompt",
        "A repetition penalty looks at generated tokens only.",
        edit(
            PROCESS + "RepetitionPenaltyLogitsProcessor.__call__",
            (
                "vocab_size = scores.shape[-1]",
                "vocab_size = scores.shape[-1]; input_ids = input_ids[:, -1:]",
            ),
        ),
        ("test_processed_greedy_is_the_argmax", "test_scores_equal_textbook"),
        "gpt2-counting",
    ),
    Fault(
        "top-p-stops-short",
        "top_p leaves out the token that crosses the threshold.",
        edit(
            PROCESS + "TopPLogitsWarper.__call__",
            (
                "sorted_indices_to_remove = cumulative_probs <= (1 - self.top_p)",
                "sorted_indices_to_remove = cumulative_probs.roll(-1, -1) <= (1 - self.top_p)",
            ),
        ),
        ("test_scores_equal_textbook",),
        "gpt2-counting",
    ),
    Fault(
        "top-p-inverted",
        "top_p=p keeps the likeliest tokens up to 1 - p.",
        edit(PROCESS + "TopPLogitsWarper.__call__", ("(1 - self.top_p)", "self.top_p")),
        ("test_scores_equal_textbook",),
        "gpt2-counting",
    ),
    Fault(
        "min-p-absolute",
        "min_p is taken as a probability instead of a share of the best.",
        edit(
            PROCESS + "MinPLogitsWarper.__call__",
            ("self.min_p * top_probs", "self.min_p * torch.ones_like(top_probs)"),
        ),
        ("test_scores_equal_textbook",),
        "gpt2-counting",
    ),
    Fault(
        "no-repeat-off-by-one",
        "no_repeat_ngram_size=n forbids sequences of n + 1.",
        edit(
            PROCESS + "NoRepeatNGramLogitsProcessor.__init__",
            ("self.ngram_size = ngram_size", "self.ngram_size = ngram_size + 1"),
        ),
        ("test_processed_greedy_is_the_argmax",),
        "gpt2-counting",
    ),
    Fault(
        "first-token-not-forced",
        "forced_bos_token_id is ignored.",
        edit(
            PROCESS + "ForcedBOSTokenLogitsProcessor.__call__",
            ("if cur_len == 1:", "if cur_len == 0:"),
        ),
        ("test_forced_first_token", "test_greedy_text"),
        "mbart-transliterate",
    ),
    Fault(
        "last-token-not-forced",
        "forced_eos_token_id comes one token too late.",
        edit(
            PROCESS + "ForcedEOSTokenLogitsProcessor.__call__",
            ("self.max_length - 1", "self.max_length"),
        ),
        ("test_forbidden_and_forced_tokens",),
        "bart-reverse",
    ),
    Fault(
        "bad-words-allowed",
        "bad_words_ids forbids only words of several tokens.",
        edit(
            PROCESS + "SequenceBiasLogitsProcessor.__call__", ("bias += self.length_1_bias", "pass")
        ),
        ("test_forbidden_and_forced_tokens",),
        "llama-chat",
    ),
    Fault(
        "top-k-one-more",
        "top_k=n keeps n + 1 tokens.",
        edit(
            PROCESS + "TopKLogitsWarper.__init__",
            ("max(top_k, min_tokens_to_keep)", "max(top_k, min_tokens_to_keep) + 1"),
        ),
        ("test_rows_are_repeated_in_place",),
        "mistral-random",
    ),
    Fault(
        "typical-by-probability",
        "typical_p keeps the likeliest tokens instead of the typical ones.",
        edit(
            PROCESS + "TypicalLogitsWarper.__call__",
            ("torch.abs((-normalized) - ent)", "-normalized"),
        ),
        ("test_scores_equal_textbook",),
        "gpt2-counting",
    ),
    Fault(
        "epsilon-cutoff-ignored",
        "epsilon_cutoff cuts nothing off.",
        edit(
            PROCESS + "EpsilonLogitsWarper.__call__",
            ("probabilities < self.epsilon", "probabilities < 0"),
        ),
        ("test_scores_equal_textbook",),
        "gpt2-counting",
    ),
    Fault(
        "eta-cutoff-without-entropy",
        "eta_cutoff ignores the entropy.",
        edit(PROCESS + "EtaLogitsWarper.__call__", ("* torch.exp(-entropy)", "")),
        ("test_scores_equal_textbook",),
        "gpt2-counting",
    ),
    Fault(
        "min-length-ignored",
        "Nothing holds back the end token.",
        edits(
            edit(
                PROCESS + "MinNewTokensLengthLogitsProcessor.__call__",
                ("new_tokens_length < self.min_new_tokens", "False"),
            ),
            edit(
                PROCESS + "MinLengthLogitsProcessor.__call__",
                ("input_ids.shape[-1] < self.min_length", "False"),
            ),
        ),
        ("test_no_end_before_the_minimum",),
        "t5-reverse",
    ),
    Fault(
        "min-length-off-by-one",
        "min_length=n is met by n - 1 tokens.",
        edit(
            PROCESS + "MinLengthLogitsProcessor.__call__",
            ("input_ids.shape[-1] < self.min_length", "input_ids.shape[-1] < self.min_length - 1"),
        ),
        ("test_no_end_before_the_minimum",),
        "llama-chat",
    ),
    Fault(
        "long-bad-words-allowed",
        "bad_words_ids forbids only words of one token.",
        edit(
            PROCESS + "SequenceBiasLogitsProcessor.__call__",
            ("in self.multi_token_biases", "in []"),
        ),
        ("test_suppressed_and_biased_tokens",),
        "llama-chat",
    ),
    Fault(
        "prefix-function-of-another-row",
        "prefix_allowed_tokens_fn is always asked for the first row.",
        edit(
            PROCESS + "PrefixConstrainedLogitsProcessor.__call__",
            (
                "self._prefix_allowed_tokens_fn(batch_id, sent)",
                "self._prefix_allowed_tokens_fn(0, sent)",
            ),
        ),
        ("test_prefix_function_knows_its_row",),
        "gpt2-counting",
    ),
    Fault(
        "suppressed-tokens-allowed",
        "suppress_tokens suppresses nothing.",
        edit(
            PROCESS + "SuppressTokensLogitsProcessor.__call__",
            ('suppress_token_mask, -float("inf"), scores', "suppress_token_mask, scores, scores"),
        ),
        ("test_suppressed_and_biased_tokens",),
        "gpt2-counting",
    ),
    Fault(
        "first-tokens-not-suppressed",
        "begin_suppress_tokens acts one token too late.",
        edit(
            PROCESS + "SuppressTokensAtBeginLogitsProcessor.__call__",
            ("== self.begin_index", "== self.begin_index + 1"),
        ),
        ("test_suppressed_and_biased_tokens",),
        "gpt2-counting",
    ),
    Fault(
        "encoder-penalty-inverted",
        "encoder_repetition_penalty penalises the tokens of the input.",
        edit(
            PROCESS + "EncoderRepetitionPenaltyLogitsProcessor.__init__", ("1 / penalty", "penalty")
        ),
        ("test_processed_greedy_is_the_argmax",),
        "t5-reverse",
    ),
    Fault(
        "decay-starts-late",
        "exponential_decay_length_penalty does nothing.",
        edit(
            PROCESS + "ExponentialDecayLengthPenalty.__call__",
            ("cur_len > self.regulation_start", "False"),
        ),
        ("test_scores_equal_textbook",),
        "gpt2-counting",
    ),
    Fault(
        "scores-not-renormalised",
        "renormalize_logits does not normalise.",
        edit(PROCESS + "LogitNormalization.__call__", ("scores.log_softmax(dim=-1)", "scores")),
        ("test_scores_equal_textbook",),
        "gpt2-counting",
    ),
    Fault(
        "decay-grows-linearly",
        "exponential_decay_length_penalty grows linearly.",
        edit(
            PROCESS + "ExponentialDecayLengthPenalty.__call__",
            (
                "(pow(self.regulation_factor, penalty_idx) - 1)",
                "(self.regulation_factor - 1) * penalty_idx",
            ),
        ),
        ("test_scores_equal_textbook",),
        "gpt2-counting",
    ),
    Fault(
        "repetition-penalty-per-occurrence",
        "A repetition penalty punishes a token once for each time it was said.",
        edit(
            PROCESS + "RepetitionPenaltyLogitsProcessor.__call__",
            (
                "score = torch.where(score < 0, score * self.penalty, score / self.penalty)",
                "counts = (input_ids.unsqueeze(2) == input_ids.unsqueeze(1)).sum(-1); score = torch.where(score < 0, score * self.penalty**counts, score / self.penalty**counts)",
            ),
        ),
        ("test_scores_equal_textbook",),
        "gpt2-counting",
    ),
    Fault(
        "bias-of-one-length",
        "Of biased sequences of two lengths, those of the second are ignored.",
        edit(
            PROCESS + "SequenceBiasLogitsProcessor._prepare_bias_variables",
            (
                "in sequences_by_prefix_length.values()",
                "in list(sequences_by_prefix_length.values())[:1]",
            ),
        ),
        ("test_suppressed_and_biased_tokens",),
        "gpt2-counting",
    ),
    Fault(
        "first-forced-end-only",
        "Of several forced end tokens only the first may come.",
        edit(
            PROCESS + "ForcedEOSTokenLogitsProcessor.__call__",
            ("self.eos_token_id] = 0", "self.eos_token_id[:1]] = 0"),
        ),
        ("test_forbidden_and_forced_tokens",),
        "bart-reverse",
    ),
    Fault(
        "pairs-of-the-beginning-allowed",
        "no_repeat_ngram_size forbids nothing before the third token.",
        edit(
            PROCESS + "NoRepeatNGramLogitsProcessor.__call__",
            ("if cur_len < self.ngram_size:", "if cur_len < max(3, self.ngram_size):"),
        ),
        ("test_scores_equal_textbook",),
        "gpt2-counting",
    ),
    Fault(
        "one-continuation-of-the-input-forbidden",
        "Of several continuations of what the encoder read, only the first is forbidden.",
        edit(
            PROCESS + "_get_ngrams",
            (
                "generated_ngram.get(prev_ngram_tuple, []) + [ngram[-1]]",
                "generated_ngram.get(prev_ngram_tuple, [ngram[-1]])",
            ),
        ),
        ("test_scores_equal_textbook",),
        "bart-random",
    ),
    Fault(
        "biases-want-more-text",
        "A biased sequence that begins where the text does is overlooked.",
        edit(
            PROCESS + "SequenceBiasLogitsProcessor.__call__",
            ("prefix_length > input_ids", "prefix_length + 1 > input_ids"),
        ),
        ("test_scores_equal_textbook",),
        "gpt2-counting",
    ),
    Fault(
        "long-sequence-ends-the-list",
        "A biased sequence longer than the text keeps those behind it from being looked at.",
        edit(f"{PROCESS}SequenceBiasLogitsProcessor.__call__", ("continue", "break")),
        ("test_scores_equal_textbook",),
        "gpt2-counting",
    ),
    Fault(
        "one-of-two-ends-is-bad",
        "Of two ends, one that is a bad word never comes.",
        edit(
            f"{PROCESS}NoBadWordsLogitsProcessor.__init__",
            ("all(bad_token_seq != [i]", "any(bad_token_seq != [i]"),
        ),
        ("test_forbidden_and_forced_tokens",),
        "gpt2-counting",
    ),
]
