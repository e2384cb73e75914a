"""Faults in the ways to ask a tokenizer, and in what makes a token special."""

from __future__ import annotations

from suites.meta.edits import edit
from suites.meta.faults import Fault

BACKEND = "tokenization_utils_tokenizers:TokenizersBackend."
BASE = "tokenization_utils_base:PreTrainedTokenizerBase."
ENCODED = "tokenization_utils_base:BatchEncoding."

FAULTS = [
    Fault(
        "first-character-of-the-first-row",
        "The first character of any row is looked for in the first row.",
        edit(f"{ENCODED}char_to_token", ("if char_index is not None:", "if char_index:")),
        ("test_rows_answer_as_they_do_alone",),
        "bert-sentiment",
    ),
    Fault(
        "first-token-of-the-first-row",
        "The first token of any row is that of the first row.",
        edit(f"{ENCODED}token_to_chars", ("if token_index is not None:", "if token_index:")),
        ("test_rows_answer_as_they_do_alone",),
        "gpt2-random",
    ),
    Fault(
        "tokenize-drops-the-second-text",
        "tokenize gives the tokens of the first of two texts.",
        edit(f"{BACKEND}tokenize", ("text_pair=pair,", "")),
        ("test_tokens_are_those_of_the_call",),
        "bert-sentiment",
    ),
    Fault(
        "tokens-always-framed",
        "tokenize adds special tokens, asked or not.",
        edit(
            f"{BACKEND}tokenize",
            ("add_special_tokens=add_special_tokens", "add_special_tokens=True"),
        ),
        ("test_tokens_are_those_of_the_call",),
        "bert-sentiment",
    ),
    Fault(
        "encode-pads-to-no-multiple",
        "encode does not pad to a multiple.",
        edit(
            f"{BASE}encode",
            (
                "kwargs.update(kwargs_updated)",
                "kwargs = {**kwargs_updated, 'pad_to_multiple_of': None}",
            ),
        ),
        ("test_encode_gives_the_ids_of_the_call",),
        "bert-sentiment",
    ),
    Fault(
        "pads-where-no-maximum-is",
        "Padding to a maximum length that is not known pads to the longest row.",
        edit(
            f"{BASE}_get_padding_truncation_strategies",
            (
                "LARGE_INTEGER:\n                padding_strategy = PaddingStrategy.DO_NOT_PAD",
                "LARGE_INTEGER:\n                padding_strategy = PaddingStrategy.LONGEST",
            ),
        ),
        ("test_without_a_maximum_nothing_is_fitted",),
        "bert-sentiment",
    ),
    Fault(
        "pad-knows-arrays-alone",
        "`pad` makes arrays of arrays, whatever it is asked for.",
        edit(
            f"{BASE}pad",
            ('return_tensors = "np" if return_tensors is None else', 'return_tensors = "np" or'),
        ),
        ("test_pad_returns_what_it_is_asked_for",),
        "bert-sentiment",
    ),
    Fault(
        "pad-makes-tensors-again",
        "`pad` makes tensors of tensors, whatever it is asked for.",
        edit(
            f"{BASE}pad",
            ('return_tensors = "pt" if return_tensors is None else', 'return_tensors = "pt" or'),
        ),
        ("test_pad_returns_what_it_is_asked_for",),
        "bert-sentiment",
    ),
    Fault(
        "cuts-where-it-pads",
        "A tokenizer cuts on the side on which it pads.",
        edit(
            f"{BASE}__init__",
            (
                'kwargs.pop("truncation_side", self.truncation_side)',
                'kwargs.pop("truncation_side", self.padding_side)',
            ),
        ),
        ("test_sides_are_told_apart",),
        "bert-sentiment",
    ),
    Fault(
        "first-id-is-no-id",
        "The token with the first id cannot be made special by its id.",
        edit(
            f"{BASE}__setattr__",
            (
                "if key != key_without_id and value is not None:",
                "if key != key_without_id and value:",
            ),
        ),
        ("test_special_tokens_are_set_by_id",),
        "bert-sentiment",
    ),
    Fault(
        "own-names-are-not-special",
        "Special tokens with names of their own are not listed.",
        edit(
            f"{BASE}all_special_tokens",
            (
                "for attr in self.SPECIAL_TOKENS_ATTRIBUTES:",
                "for attr in type(self).SPECIAL_TOKENS_ATTRIBUTES:",
            ),
        ),
        ("test_tokens_named_at_loading_are_special",),
        "bert-sentiment",
    ),
    Fault(
        "new-names-are-words",
        "A new token that loading names is added as a word.",
        edit(
            f"{BACKEND}__init__",
            ("token = AddedToken(token, special=True)", "token = AddedToken(token, special=False)"),
        ),
        ("test_tokens_named_at_loading_are_special",),
        "bert-sentiment",
    ),
    Fault(
        "old-words-are-special",
        "Every token of an added_tokens.json is special.",
        edit(
            f"{BASE}_from_pretrained",
            ("is_special = str_token in special_tokens", "is_special = True"),
        ),
        ("test_added_words_of_old_files_are_words",),
        "bert-random",
    ),
    Fault(
        "second-text-begins-in-the-first",
        "What is put before the second of two texts has the type of the first.",
        edit(
            f"{BACKEND}update_post_processor",
            ("{(' ' + bos + ':1') if", "{(' ' + bos + ':0') if"),
        ),
        ("test_ends_are_of_their_text",),
        "llama-chat",
    ),
    Fault(
        "second-text-ends-in-the-first",
        "What is put behind the second of two texts has the type of the first.",
        edit(
            f"{BACKEND}update_post_processor",
            ("{(' ' + eos + ':1') if", "{(' ' + eos + ':0') if"),
        ),
        ("test_ends_are_of_their_text",),
        "llama-chat",
    ),
]
