"""Faults in what tokenizers do with the options of a call and of loading."""

from __future__ import annotations

import pytest

from fixtures.lazy import transformers
from suites.meta.edits import edit
from suites.meta.faults import Fault

BACKEND = "tokenization_utils_tokenizers:TokenizersBackend."
BASE = "tokenization_utils_base:PreTrainedTokenizerBase."


def names_shared(patch: pytest.MonkeyPatch) -> None:
    """Names are added to the list of the class, which is as it was afterwards."""
    kind = transformers.PreTrainedTokenizerBase
    patch.setattr(kind, "SPECIAL_TOKENS_ATTRIBUTES", [*kind.SPECIAL_TOKENS_ATTRIBUTES])
    edit(
        f"{BASE}_set_model_specific_special_tokens",
        (
            "self.SPECIAL_TOKENS_ATTRIBUTES = self.SPECIAL_TOKENS_ATTRIBUTES + list(",
            "self.SPECIAL_TOKENS_ATTRIBUTES += list(",
        ),
    )(patch)


FAULTS = [
    Fault(
        "lists-of-anything",
        "The schema of a tool does not say what a list is of.",
        edit(
            "utils.chat_template_utils:_parse_type_hint",
            ('{"type": "array", "items": _parse_type_hint(args[0])}', '{"type": "array"}'),
        ),
        ("test_functions_are_described_as_tools",),
        "llama-chat",
    ),
    Fault(
        "no-ids-are-fractions",
        "Tensors of an empty text are of floating point numbers.",
        edit(
            "tokenization_utils_base:BatchEncoding.convert_to_tensors",
            ("if len(flatten(value)) == 0 and dtype is None", "if False"),
        ),
        ("test_tensors_of_no_text_are_whole_numbers",),
        "bert-masked",
    ),
    Fault(
        "second-text-begins-without-bos",
        "Of two texts only the first begins with the token that begins a text.",
        edit(
            "tokenization_utils_tokenizers:TokenizersBackend.update_post_processor",
            ("{(' ' + bos + ':1') if self.add_bos_token else ''} $B:1", " $B:1"),
        ),
        ("test_pair_stands_in_the_familys_frame",),
        "llama-spm-only",
    ),
    Fault(
        "sides-saved-as-loaded",
        "A side changed after loading is saved as it was loaded.",
        edit(
            f"{BASE}save_pretrained",
            ("if hasattr(self, k):", 'if hasattr(self, k) and not k.endswith("_side"):'),
        ),
        ("test_settings_given_at_loading_are_saved",),
        "gpt2-random",
    ),
    Fault(
        "pad-token-at-loading-ignored",
        "A padding token given to from_pretrained is dropped.",
        edit(
            f"{BASE}_from_pretrained",
            ("init_kwargs.update(kwargs)", 'init_kwargs.update(kwargs | {"pad_token": None})'),
        ),
        ("test_settings_given_at_loading_are_saved",),
        "gpt2-random",
    ),
    Fault(
        "arrays-padded-to-lists",
        "`pad` makes lists of rows that are arrays.",
        edit(
            f"{BASE}pad",
            (
                'return_tensors = "np" if return_tensors is None',
                "return_tensors = None if return_tensors is None",
            ),
        ),
        ("test_finished_rows_are_padded_as_asked",),
        "bert-masked",
    ),
    Fault(
        "batch-of-one-is-no-batch",
        "A batch of a single row of ids is not decoded as one.",
        edit(f"{BASE}decode", ("len(token_ids) > 0", "len(token_ids) > 1")),
        ("test_batch_decode_is_decode_each",),
        "bert-masked",
    ),
    Fault(
        "named-tokens-take-no-spaces",
        "A special token that is named loses its flags.",
        edit(
            f"{BASE}add_special_tokens",
            ("if isinstance(value, str):", "if value := str(value):"),
        ),
        ("test_named_tokens_take_the_spaces_they_claim",),
        "gpt2-random",
    ),
    Fault(
        "truncation-side-remembered",
        "A tokenizer told another truncation side goes on with the one before.",
        edit(
            BACKEND + "set_truncation_and_padding",
            (
                "if current != target:",
                "if current is None or {**current, 'direction': 0} != {**target, 'direction': 0}:",
            ),
        ),
        ("test_each_call_has_its_own_settings",),
        "bert-sentiment",
    ),
    Fault(
        "padding-length-remembered",
        "A call that pads to another length than the one before gets that one's.",
        edit(
            BACKEND + "set_truncation_and_padding",
            (
                "if _padding != target:",
                "if _padding is None or {**_padding, 'length': None} != {**target, 'length': None}:",
            ),
        ),
        ("test_each_call_has_its_own_settings",),
        "bert-sentiment",
    ),
    Fault(
        "overflow-has-the-first-offsets",
        "Overflowing rows have the offsets of the first one.",
        edit(
            BACKEND + "_convert_encoding",
            (
                'encoding_dict["offset_mapping"].append(e.offsets)',
                'encoding_dict["offset_mapping"].append(encodings[0].offsets[: len(e.ids)])',
            ),
        ),
        ("test_overflowing_rows_know_their_text",),
        "bert-sentiment",
    ),
    Fault(
        "length-without-padding",
        "return_length does not count padding.",
        edit(
            BACKEND + "_convert_encoding",
            (
                'encoding_dict["length"].append(len(e.ids))',
                'encoding_dict["length"].append(sum(e.attention_mask))',
            ),
        ),
        ("test_length_is_that_of_the_ids",),
        "bert-sentiment",
    ),
    Fault(
        "left-padding-types-right",
        "`pad` on the left puts the types of padding on the right.",
        edit(
            BASE + "_pad",
            (
                "[self.pad_token_type_id] * difference + encoded_inputs[",
                "[*encoded_inputs['token_type_ids'], *[self.pad_token_type_id] * difference] or encoded_inputs[",
            ),
        ),
        ("test_pad_equals_padding_at_once",),
        "bert-sentiment",
    ),
    Fault(
        "left-padding-is-not-special",
        "`pad` on the left does not mark padding as special.",
        edit(
            BASE + "_pad",
            (
                '[1] * difference + encoded_inputs["special_tokens_mask"]',
                '[0] * difference + encoded_inputs["special_tokens_mask"]',
            ),
        ),
        ("test_pad_equals_padding_at_once",),
        "bert-sentiment",
    ),
    Fault(
        "accents-not-asked-for",
        "BertTokenizer ignores strip_accents.",
        edit(
            "models.bert.tokenization_bert:BertTokenizer.__init__",
            ("strip_accents=strip_accents,", "strip_accents=None,"),
        ),
        ("test_text_is_normalised_as_asked",),
        "bert-sentiment",
    ),
    Fault(
        "prefix-space-not-asked-for",
        "GPT2Tokenizer ignores add_prefix_space.",
        edit(
            "models.gpt2.tokenization_gpt2:GPT2Tokenizer.__init__",
            ("ByteLevel(add_prefix_space=add_prefix_space)", "ByteLevel(add_prefix_space=False)"),
        ),
        ("test_prefix_space_is_added_when_asked",),
        "gpt2-random",
    ),
    Fault(
        "specials-skipped-at-the-start-only",
        "convert_ids_to_tokens skips special tokens before the text only.",
        edit(
            BACKEND + "convert_ids_to_tokens",
            ("if index in ids_to_skip:", "if index in ids_to_skip and not tokens:"),
        ),
        ("test_special_ids_are_skipped_in_conversion",),
        "llama-chat",
    ),
    Fault(
        "mask-token-not-special",
        "The mask of finished ids leaves out the mask token.",
        edit(
            BASE + "get_special_tokens_mask",
            (
                "1 if int(tid) in special_ids else 0",
                "1 if int(tid) in special_ids and tid != self.mask_token_id else 0",
            ),
        ),
        ("test_mask_of_finished_ids_marks_special_ones",),
        "bert-sentiment",
    ),
    Fault(
        "room-for-one-as-for-two",
        "max_len_single_sentence leaves room for the special tokens of a pair.",
        edit(BASE + "max_len_single_sentence", ("pair=False", "pair=True")),
        ("test_room_for_text_is_what_special_tokens_leave",),
        "bert-sentiment",
    ),
    Fault(
        "lists-lost-on-the-way",
        "Moving an encoded batch to a device loses what is no tensor.",
        edit(
            "tokenization_utils_base:BatchEncoding.to",
            ("callable(v.to) else v", "callable(v.to) else None"),
        ),
        ("test_moving_to_a_device_changes_nothing",),
        "gpt2-random",
    ),
    Fault(
        "second-text-without-words",
        "word_ids numbers the words of the first text only.",
        edit(
            "tokenization_utils_base:BatchEncoding.word_ids",
            (
                "return self._encodings[batch_index].word_ids",
                "return [None if of else word for word, of in zip("
                "self._encodings[batch_index].word_ids, self._encodings[batch_index].sequence_ids)]",
            ),
        ),
        ("test_words_of_a_pair_are_numbered_in_each_text",),
        "bert-sentiment",
    ),
    Fault(
        "spaces-in-offsets",
        "RobertaTokenizer counts the space before a word as part of it.",
        edit(
            "models.roberta.tokenization_roberta:RobertaTokenizer.__init__",
            ("        trim_offsets,\n", "        not trim_offsets,\n"),
        ),
        ("test_spaces_are_not_part_of_words",),
        "roberta-sentiment",
    ),
    Fault(
        "texts-not-kept-apart",
        "T5's tokenizer puts no end token between two texts.",
        edit(
            "models.t5.tokenization_t5:T5Tokenizer.__init__",
            ('pair=["$A", "</s>", "$B", "</s>"]', 'pair=["$A", "$B", "</s>"]'),
        ),
        ("test_pair_stands_in_the_familys_frame",),
        "t5-gated",
    ),
    Fault(
        "frame-of-the-old-ids",
        "A tokenizer trained anew frames its texts by the ids that its special tokens had before.",
        edit(
            "tokenization_utils_tokenizers:TokenizersBackend.train_new_from_iterator",
            ('if "special_tokens" in post_processor:', "if False:"),
        ),
        ("test_training_anew_keeps_the_frame",),
        "llama-yarn",
    ),
    Fault(
        "new-special-tokens-not-trained",
        "A tokenizer trained anew knows none of the special tokens it should add.",
        edit(
            "tokenization_utils_tokenizers:TokenizersBackend.train_new_from_iterator",
            ("special_tokens.extend(new_special_tokens)", "pass"),
            ("extra_special_tokens.extend(new_special_tokens)", "pass"),
        ),
        ("test_training_anew_keeps_the_frame",),
        "llama-yarn",
    ),
    Fault(
        "file-cuts-right-anyway",
        "The side that a tokenizer.json cuts is not looked at.",
        edit(
            BACKEND + "__init__",
            ('kwargs.setdefault("truncation_side", _truncation["direction"])', "pass"),
        ),
        ("test_sides_are_those_of_the_file",),
        "llama-yarn",
    ),
    Fault(
        "file-pads-right-anyway",
        "The side that a tokenizer.json pads is not looked at.",
        edit(
            BACKEND + "__init__",
            ('kwargs.setdefault("padding_side", _padding["direction"])', "pass"),
        ),
        ("test_sides_are_those_of_the_file",),
        "bert-random",
    ),
    Fault(
        "pads-a-whole-block",
        "tokenizer.pad adds a block where the longest row fills one already.",
        edit(
            f"{BASE}_pad",
            (" and (max_length % pad_to_multiple_of != 0)", ""),
        ),
        ("test_pad_equals_padding_at_once",),
        "bert-sentiment",
    ),
    Fault(
        "splitting-stays",
        "Special tokens that one call takes for text are text for the next.",
        edit(
            f"{BACKEND}_encode_plus",
            (
                "split_special_tokens = self.split_special_tokens",
                "split_special_tokens = self._tokenizer.encode_special_tokens",
            ),
        ),
        ("test_special_tokens_can_be_split",),
        "bert-masked",
    ),
    Fault(
        "given-masks-are-ones",
        "Padding replaces masks that rows have by ones.",
        edit(
            f"{BASE}_pad",
            (
                'return_attention_mask and "attention_mask" not in encoded_inputs',
                "return_attention_mask",
            ),
        ),
        ("test_finished_rows_are_padded_as_asked",),
        "bert-masked",
    ),
    Fault(
        "encode-pads-on-its-side",
        "encode pads on the tokenizer's side, whichever is asked for.",
        edit(f"{BASE}encode", ("padding_side=padding_side,", "")),
        ("test_finished_rows_are_padded_as_asked",),
        "bert-masked",
    ),
    Fault(
        "tokenizer-not-in-its-subfolder",
        "Files of a tokenizer are looked for in the directory, not in its subfolder.",
        edit(
            f"{BASE}from_pretrained",
            ("revision=revision,\n                    subfolder=subfolder,", "revision=revision,"),
        ),
        ("test_a_tokenizer_lies_in_a_subfolder",),
        "bert-sentiment",
    ),
    Fault(
        "names-of-all-tokenizers",
        "A name that one tokenizer has for a special token is every tokenizer's.",
        names_shared,
        ("test_named_special_tokens_are_its_own",),
        "bert-sentiment",
    ),
]
