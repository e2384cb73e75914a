"""Faults of tokenizers: what a change to the library's padding, decoding, saving, ... could break."""

from __future__ import annotations

from typing import Any

from suites.meta.faults import Fault
from suites.meta.tokenizer_edits import (
    Patch,
    asks,
    base_class,
    batch_class,
    beyond,
    built,
    changed,
    confused_threads,
    cuts,
    encodes,
    fast_class,
    forgotten,
    greedy_tokens,
    last_zero,
    lower_cased,
    mapped_to_first,
    method,
    no_accents,
    no_specials,
    one_type,
    other_strategy,
    pads,
    prefixed,
    properties,
    result,
    saved_normalizer,
    saved_settings,
    shifted,
    swapped_ends,
    templates,
    tensors_of_floats,
    truncates_wrong_side,
    undecoded,
    unsaved_template,
    without,
    wrap,
    wrong_length,
)

BERT, GPT2, CHAT = "bert-sentiment", "gpt2-random", "llama-chat"


def language_last(patch: Patch) -> None:
    """mBART's code put before the text, mBART-50's behind it."""
    import transformers

    for name in (
        "MBartTokenizer",
        "MBartTokenizerFast",
        "MBart50Tokenizer",
        "MBart50TokenizerFast",
    ):
        owner = getattr(transformers, name, None)
        if owner is not None:
            for setter in ("set_src_lang_special_tokens", "set_tgt_lang_special_tokens"):
                wrap(patch, owner, setter, swapped_language)


def swapped_language(original: Any, self: Any, code: str) -> None:
    """The special tokens of a language at the wrong ends."""
    from tokenizers.processors import TemplateProcessing

    original(self, code)
    before, behind = [*self.suffix_tokens], [*self.prefix_tokens]
    tokens = self.convert_ids_to_tokens([*before, *behind])
    parts = [*tokens[: len(before)], "$A", *tokens[len(before) :]]
    pair = [*tokens[: len(before)], "$A", "$B", *tokens[len(before) :]]
    self._tokenizer.post_processor = TemplateProcessing(
        single=parts, pair=pair, special_tokens=list(zip(tokens, [*before, *behind], strict=True))
    )


def stays_target(patch: Patch) -> None:
    """The target language stays after labels were encoded."""
    import transformers

    for name in (
        "MBartTokenizer",
        "MBartTokenizerFast",
        "MBart50Tokenizer",
        "MBart50TokenizerFast",
    ):
        owner = getattr(transformers, name, None)
        if owner is not None:
            patch.setattr(owner, "_switch_to_input_mode", lambda self: None)


def languages_forgotten(patch: Patch) -> None:
    """mBART's languages of the files are ignored."""
    import transformers

    for name in ("MBartTokenizer", "MBartTokenizerFast"):
        owner = getattr(transformers, name, None)
        if owner is not None:
            wrap(
                patch,
                owner,
                "__init__",
                lambda o, self, *a, **k: o(
                    self, *a, **{**k, "src_lang": "fr_XX", "tgt_lang": None}
                ),
            )


FAULTS = [
    Fault("length-counts-one-more", "a tokenizer's length is one too many", result(fast_class, "__len__", lambda n: n + 1), ("test_vocabulary_size_facts",), BERT),
    Fault("tokens-without-their-spaces", "tokenize strips the marks of continued words", result(fast_class, "tokenize", lambda tokens: [t.removeprefix("##") for t in tokens]), ("test_token_facts",), "bert-cased-tagger"),
    Fault("chat-in-capitals", "a rendered conversation is in capitals", result(base_class, "apply_chat_template", lambda text: text.upper() if isinstance(text, str) else text), ("test_chat_facts",), "llama-chat"),
    Fault("added-tokens-eat-spaces", "special tokens swallow the space behind them", built(greedy_tokens), ("test_added_tokens_in_text_encode_as_the_files_say",), GPT2),
    Fault("batch-of-one-unpacked", "a list of one text is taken for the text", method(fast_class, "_encode_plus", lambda o, self, text, *a, **k: o(self, text[0] if isinstance(text, list) and len(text) == 1 else text, *a, **k)), ("test_batch_of_one_has_one_row", "test_batch_is_singles"), BERT),
    Fault("batch-loses-pairs", "in a batch the second texts are dropped", method(fast_class, "_encode_plus", lambda o, self, text, text_pair=None, *a, **k: o(self, text, None if isinstance(text, list) else text_pair, *a, **k)), ("test_batch_of_pairs_is_pairs",), BERT),
    Fault("bos-dropped", "the beginning of a sequence is not marked", built(lambda self: setattr(self._tokenizer, "post_processor", None)), ("test_bos_and_eos_are_added_as_configured", "test_encoding_equals_the_files", "test_encoding_facts"), "llama-yarn"),
    Fault("languages-forgotten", "src_lang of the files is ignored", languages_forgotten, ("test_default_languages_are_the_files",), "mbart-random"),
    Fault("ids-beyond", "an id outside the vocabulary is added", encodes(beyond), ("test_fixed_texts_are_recorded", "test_fixed_texts_encode_as_the_files_say", "test_long_text_equals_the_files"), BERT),
    Fault("decodes-to-bytes", "decoding gives bytes", result(fast_class, "_decode", lambda text: text.encode()), ("test_fixed_decodings_are_recorded",), BERT),
    Fault("language-codes-kept", "language codes are not skipped", method(fast_class, "_decode", lambda o, self, ids, skip_special_tokens=False, **k: o(self, ids, skip_special_tokens=False, **k)), ("test_language_codes_are_special",), "mbart-random"),
    Fault("size-too-large", "vocab_size counts ids that do not exist", properties(fast_class, "vocab_size", lambda n, self: n + 7), ("test_length_counts_the_vocabulary",), BERT),
    Fault("id-without-row", "the vocabulary has an id beyond the embedding table", result(fast_class, "get_vocab", lambda v: {**v, "zz": 10**6}), ("test_every_id_has_an_embedding", "test_vocabulary_is_the_files"), BERT),
    Fault("adding-changes-text", "adding tokens resets the normalizer", method(fast_class, "_add_tokens", lambda o, self, tokens, special_tokens=False: (o(self, tokens, special_tokens=special_tokens), setattr(self._tokenizer, "normalizer", None) if isinstance(tokens[0], str) else None)[0]), ("test_new_tokens_leave_other_text_alone",), BERT),
    Fault("overflow-mapped-to-first", "all overflowing rows are said to be of the first text", method(batch_class, "__init__", mapped_to_first), ("test_overflowing_rows_know_their_text",), BERT),
    Fault("pad-is-unknown", "the padding token is the unknown token", method(base_class, "__init__", lambda o, self, **k: o(self, **{**k, "pad_token": "[UNK]"})), ("test_padding_is_told_from_text", "test_special_tokens_are_the_files"), BERT),
    Fault("special-ids-off", "special tokens have the id of their neighbour", method(base_class, "convert_tokens_to_ids", lambda o, self, tokens: o(self, tokens) + 1 if isinstance(tokens, str) and tokens in self.all_special_tokens else o(self, tokens)), ("test_special_ids_are_the_files", "test_special_id_facts", "test_decoding_facts"), BERT),
    Fault("padding-flipped-without-pad", "the default padding side is the other one", asks(lambda s: changed(s, padding_side=s["padding_side"] or "left")), ("test_padding_needs_a_pad_token",), GPT2),
    Fault("pickle-forgets-side", "pickling forgets the padding side", forgotten("padding_side", "nowhere"), ("test_pickled_tokenizer_is_the_same",), BERT),
    Fault("pieces-lower-cased", "text is lower-cased before sentencepiece's pieces are looked up", built(lower_cased), ("test_pieces_equal_sentencepiece",), "llama-spm-only"),
    Fault("saved-lower-case", "the saved file lower-cases", saved_normalizer, ("test_saved_tokenizer_is_the_same", "test_saved_file_encodes_alike"), "llama-yarn"),
    Fault("padding-saved", "padding stays on, also when saved and loaded", asks(lambda s: s if pads(s) or cuts(s) else None), ("test_saving_leaves_no_padding_behind",), BERT),
    Fault("special-tokens-split", "special tokens in a text are split by default", method(base_class, "__init__", lambda o, self, **k: o(self, **{**k, "split_special_tokens": True})), ("test_special_tokens_in_text_are_one_id", "test_added_tokens_in_text_encode_as_the_files_say"), BERT),
    Fault("split-ignored", "split_special_tokens does nothing", without(fast_class, "_encode_plus", "split_special_tokens"), ("test_special_tokens_can_be_split",), BERT),
    Fault("threads-share-text", "the text of a call is kept where another thread replaces it", method(fast_class, "_encode_plus", confused_threads), ("test_threads_with_the_same_settings_agree",), BERT),
    Fault("added-vocabulary-empty", "get_added_vocab is empty", result(fast_class, "get_added_vocab", lambda v: {}), ("test_declared_added_tokens_are_known",), BERT),
    Fault("padding-side-argument-ignored", "a call's padding_side is dropped", asks(lambda s: changed(s, padding_side=None)), ("test_padding_side_can_be_asked_for",), BERT),
    Fault("padding-always-right", "batches are padded on the right whatever the tokenizer says", asks(lambda s: changed(s, padding_side="right")), ("test_padding_is_exact", "test_padding_side_can_be_asked_for"), BERT),
    Fault("padding-default-flipped", "the default padding side is the other one", asks(lambda s: changed(s, padding_side=s["padding_side"] or "left")), ("test_default_padding_side", "test_padding_is_exact", "test_pad_equals_padding_at_once"), BERT),
    Fault("pad-multiple-ignored", "pad_to_multiple_of is dropped", asks(lambda s: changed(s, pad_to_multiple_of=None)), ("test_padding_is_exact", "test_pad_equals_padding_at_once"), BERT),
    Fault("padding-leaks", "padding stays on for calls that ask for none", asks(lambda s: s if pads(s) or cuts(s) else None), ("test_settings_do_not_leak_between_calls",), BERT),
    Fault("truncation-off-by-one", "one id fewer than max_length", asks(lambda s: changed(s, max_length=s["max_length"] - 1) if cuts(s) else s), ("test_truncation_cuts_one_side", "test_short_text_is_not_truncated", "test_masks_are_truncated_too", "test_default_truncation_is_to_the_maximum"), BERT),
    Fault("truncation-wrong-side", "the end that should stay is cut", truncates_wrong_side, ("test_truncation_cuts_one_side", "test_overflowing_rows_reassemble"), BERT),
    Fault("stride-ignored", "overflowing rows do not overlap", asks(lambda s: changed(s, stride=0)), ("test_overflowing_rows_reassemble",), BERT),
    Fault("strategies-confused", "longest_first cuts only the first text", asks(other_strategy), ("test_pair_truncation_strategies",), BERT),
    Fault("truncates-unasked", "texts are cut at model_max_length without being asked", method(base_class, "_get_padding_truncation_strategies", lambda o, self, padding=False, truncation=None, max_length=None, *a, **k: o(self, padding, True if truncation is None else truncation, max_length, *a, **k)), ("test_long_text_is_not_cut",), BERT),
    Fault("truncation-forced", "truncation=False is read as nothing said, and max_length then cuts", method(base_class, "_get_padding_truncation_strategies", lambda o, self, padding=False, truncation=None, max_length=None, *a, **k: o(self, padding, True if truncation is False and max_length else truncation, max_length, *a, **k)), ("test_no_truncation_unless_asked",), BERT),
    Fault("offsets-shifted", "offsets are one character too far", encodes(shifted), ("test_offsets_equal_the_files", "test_offsets_slice_the_text", "test_offsets_lie_in_the_text"), BERT),
    Fault("attention-mask-short", "the last token is masked", encodes(last_zero("attention_mask")), ("test_masks_without_padding_are_ones", "test_encoding_equals_the_files"), BERT),
    Fault("special-mask-short", "the last special token is not marked", encodes(last_zero("special_tokens_mask")), ("test_special_tokens_mask_marks_what_was_added", "test_encoding_equals_the_files", "test_special_tokens_have_empty_offsets"), BERT),
    Fault("token-types-lost", "the second text of a pair has type 0", encodes(one_type), ("test_pairs_equal_the_files",), BERT),
    Fault("length-wrong", "return_length counts one too many", encodes(wrong_length), ("test_asked_for_keys_are_returned",), BERT),
    Fault("ends-swapped", "[CLS] and [SEP] change places", built(swapped_ends, "BertTokenizer"), ("test_encoding_equals_the_files", "test_fixed_texts_encode_as_the_files_say", "test_pairs_equal_the_files", "test_long_text_equals_the_files"), BERT),
    Fault("lower-cased", "text is lower-cased whatever the files say", built(lower_cased), ("test_encoding_equals_the_files", "test_round_trip_is_exact"), GPT2),
    Fault("accents-stripped", "accents are stripped whatever the files say", built(no_accents), ("test_encoding_equals_the_files", "test_round_trip_is_exact"), GPT2),
    Fault("prefix-space", "a byte-level tokenizer puts a space before every text", built(prefixed), ("test_encoding_equals_the_files", "test_round_trip_is_exact", "test_offsets_equal_the_files"), GPT2),
    Fault("pieces-not-joined", "decoding leaves the pieces as they are", built(undecoded), ("test_decoding_equals_the_files", "test_single_spaces_come_back"), "t5-random"),
    Fault("skip-ignored", "skip_special_tokens does nothing", method(fast_class, "_decode", lambda o, self, ids, skip_special_tokens=False, **k: o(self, ids, skip_special_tokens=False, **k)), ("test_skipped_special_tokens_leave_the_text", "test_decoding_equals_the_files", "test_new_special_tokens_are_skipped"), BERT),
    Fault("always-skips", "special tokens are never spelled out", method(fast_class, "_decode", lambda o, self, ids, skip_special_tokens=False, **k: o(self, ids, skip_special_tokens=True, **k)), ("test_kept_special_tokens_are_spelled_out", "test_decoding_equals_the_files"), BERT),
    Fault("clean-up-drops-letters", "cleaning up removes apostrophes", method(fast_class, "_decode", lambda o, self, ids, *a, **k: o(self, ids, *a, **k).replace("'", "") if k.get("clean_up_tokenization_spaces") else o(self, ids, *a, **k)), ("test_clean_up_only_joins", "test_clean_up_joins_what_is_documented"), BERT),
    Fault("clean-up-default-flipped", "decoding cleans up exactly when the setting says not to", method(fast_class, "_decode", lambda o, self, ids, *a, **k: o(self, ids, *a, **{**k, "clean_up_tokenization_spaces": k.get("clean_up_tokenization_spaces") if k.get("clean_up_tokenization_spaces") is not None else True}).replace("  ", " ").replace(" ,", ",") if k.get("clean_up_tokenization_spaces") is None else o(self, ids, *a, **k)), ("test_default_decode_cleans_up_as_configured",), GPT2),
    Fault("batch-decode-forgets", "batch_decode drops skip_special_tokens", method(base_class, "batch_decode", lambda o, self, rows, skip_special_tokens=False, *a, **k: o(self, rows, False, *a, **k)), ("test_batch_decode_is_decode_each",), BERT),
    Fault("decodes-one-id-as-token", "a single id is decoded with its neighbour", method(fast_class, "_decode", lambda o, self, ids, *a, **k: o(self, [ids, ids] if isinstance(ids, int) else ids, *a, **k)), ("test_decode_takes_tensors_and_one_id",), GPT2),
    Fault("encode-always-special", "encode adds special tokens although told not to", method(base_class, "encode", lambda o, self, text, *a, add_special_tokens=True, **k: o(self, text, *a, add_special_tokens=True, **k)), ("test_ways_to_encode_agree",), BERT),
    Fault("tokenize-never-special", "tokenize is deaf to add_special_tokens", without(fast_class, "tokenize", "add_special_tokens"), ("test_tokenize_can_add_special_tokens",), BERT),
    Fault("tensors-of-floats", "return_tensors gives floats", method(batch_class, "convert_to_tensors", tensors_of_floats), ("test_tensors_hold_the_lists", "test_padded_tensors"), BERT),
    Fault("empty-text-is-a-space", "an empty text is encoded as an unknown token", method(fast_class, "_encode_plus", lambda o, self, text, *a, **k: o(self, text or "\u2603", *a, **k)), ("test_empty_text_is_only_special_tokens", "test_encoding_equals_the_files"), BERT),
    Fault("batch-reversed", "a batch comes back in reverse", method(fast_class, "_encode_plus", lambda o, self, text, *a, **k: o(self, text[::-1] if isinstance(text, list) and len(text) > 2 and not k.get("is_split_into_words") else text, *a, **k)), ("test_batch_is_singles", "test_rows_of_a_batch_keep_their_own_words"), BERT),
    Fault("wordless", "words given split are joined", method(fast_class, "_encode_plus", lambda o, self, text, *a, **k: o(self, ["".join(text)] if k.get("is_split_into_words") else text, *a, **k)), ("test_split_words_encode_word_by_word",), BERT),
    Fault("char-to-token-off", "char_to_token finds the next token", result(batch_class, "char_to_token", lambda i: i if i is None else i + 1), ("test_characters_and_tokens_map_to_each_other", "test_characters_of_the_second_text_are_its_own"), BERT),
    Fault("word-ids-off", "word_ids counts from one", result(batch_class, "word_ids", lambda words: [w if w is None else w + 1 for w in words]), ("test_words_and_tokens_map_to_each_other", "test_split_words_encode_word_by_word"), BERT),
    Fault("sequence-ids-lost", "sequence_ids says 0 for both texts", result(batch_class, "sequence_ids", lambda owners: [o and 0 for o in owners]), ("test_pairs_hold_both_texts_in_order",), BERT),
    Fault("row-confused", "word_ids of a row are those of the first", method(batch_class, "word_ids", lambda o, self, row=0: o(self, 0)), ("test_rows_of_a_batch_keep_their_own_words",), BERT),
    Fault("slices-off", "a slice of a batch begins one row late", method(batch_class, "__getitem__", lambda o, self, item: o(self, slice(item.start + 1, item.stop) if isinstance(item, slice) else item)), ("test_rows_of_a_batch_can_be_taken",), BERT),
    Fault("special-count-off", "num_special_tokens_to_add forgets one", result(fast_class, "num_special_tokens_to_add", lambda n: n - 1), ("test_number_of_special_tokens",), BERT),
    Fault("special-list-short", "all_special_tokens forgets the last", properties(base_class, "all_special_tokens", lambda tokens, self: tokens[:-1]), ("test_all_special_tokens_are_listed",), BERT),
    Fault("unknown-is-zero", "a token outside the vocabulary has id 0", method(base_class, "convert_tokens_to_ids", lambda o, self, tokens: 0 if isinstance(tokens, str) and tokens not in self.get_vocab() else o(self, tokens)), ("test_unknown_tokens_have_the_unknown_id",), BERT),
    Fault("ids-off", "convert_ids_to_tokens gives the next token", method(fast_class, "convert_ids_to_tokens", lambda o, self, ids, *a, **k: o(self, [i + 1 for i in ids] if isinstance(ids, list) and len(ids) > 300 else ids, *a, **k)), ("test_ids_and_tokens_are_inverse",), BERT),
    Fault("conversion-keeps-special", "convert_ids_to_tokens is deaf to skip_special_tokens", without(fast_class, "convert_ids_to_tokens", "skip_special_tokens"), ("test_conversion_skips_special_tokens",), BERT),
    Fault("conversion-of-one", "one id converts to a list", method(fast_class, "convert_ids_to_tokens", lambda o, self, ids, *a, **k: o(self, [ids] if isinstance(ids, int) else ids, *a, **k)), ("test_conversion_takes_one_or_many",), BERT),
    Fault("length-forgets-added", "len(tokenizer) leaves added tokens out", method(fast_class, "__len__", lambda o, self: self._tokenizer.get_vocab_size(with_added_tokens=False)), ("test_new_tokens_are_not_split",), BERT),
    Fault("vocabulary-forgets-added", "get_vocab leaves the last token out", result(fast_class, "get_vocab", lambda v: {t: i for t, i in v.items() if i != max(v.values())}), ("test_vocabulary_is_the_files",), BERT),
    Fault("added-special-is-ordinary", "tokens added as special are ordinary", method(fast_class, "_add_tokens", no_specials), ("test_new_special_tokens_are_skipped", "test_added_token_flags_survive_loading"), BERT),
    Fault("added-tokens-dropped", "add_tokens adds nothing", method(fast_class, "_add_tokens", lambda o, self, tokens, special_tokens=False: 0), ("test_new_tokens_are_not_split", "test_new_ids_convert_to_their_tokens"), BERT),
    Fault("added-twice-counts", "adding known tokens counts them", method(base_class, "add_tokens", lambda o, self, tokens, *a, **k: (o(self, tokens, *a, **k), len(tokens))[1]), ("test_new_tokens_are_not_split",), BERT),
    Fault("special-not-set", "add_special_tokens adds a token but does not make it the mask", method(base_class, "add_special_tokens", lambda o, self, tokens, *a, **k: self.add_tokens(list(tokens.values()), special_tokens=True)), ("test_special_token_can_be_replaced",), BERT),
    Fault("keys-missing", "the attention mask is not returned by default", method(base_class, "__init__", lambda o, self, **k: (o(self, **k), setattr(self, "model_input_names", [*self.model_input_names, "position_ids"]))[0]), ("test_keys_are_the_models",), BERT),
    Fault("limit-ignored", "model_max_length of the files is ignored", method(base_class, "__init__", lambda o, self, **k: o(self, **{**k, "model_max_length": None})), ("test_maximum_length_is_the_files",), BERT),
    Fault("clean-up-setting-ignored", "clean_up_tokenization_spaces of the files is ignored", method(base_class, "__init__", lambda o, self, **k: o(self, **{**k, "clean_up_tokenization_spaces": not k.get("clean_up_tokenization_spaces")})), ("test_clean_up_setting_is_the_files",), BERT),
    Fault("sides-ignored", "padding_side given at loading is ignored", method(base_class, "__init__", lambda o, self, **k: o(self, **{key: v for key, v in k.items() if key not in ("padding_side", "truncation_side")})), ("test_settings_given_at_loading_are_saved",), BERT),
    Fault("saved-without-limit", "model_max_length is not saved", saved_settings(lambda s: s.pop("model_max_length", None)), ("test_saved_settings_are_the_same", "test_changes_are_saved"), BERT),
    Fault("saved-without-mask", "the mask token is not saved", saved_settings(lambda s: s.update(mask_token="[PAD]")), ("test_saved_settings_are_the_same",), BERT),
    Fault("saved-without-pad", "a new padding token is not saved", saved_settings(lambda s: s.update(pad_token="[UNK]")), ("test_new_pad_token_is_saved",), BERT),
    Fault("chat-messages-stripped", "messages lose the white space at their ends", method(base_class, "apply_chat_template", lambda o, self, chat, *a, **k: o(self, [{**m, "content": m["content"].replace("<", "&lt;")} for m in chat] if isinstance(chat[0], dict) else chat, *a, **k)), ("test_chat_renders_as_the_template_says", "test_tools_and_variables_reach_the_template"), CHAT),
    Fault("chat-double-special", "a tokenized chat gets special tokens of its own", method(base_class, "apply_chat_template", lambda o, self, chat, *a, tokenize=True, return_dict=False, **k: o(self, chat, *a, tokenize=False, **k) if not tokenize else self(o(self, chat, *a, tokenize=False, **{n: v for n, v in k.items() if n != "return_tensors"}))["input_ids"]), ("test_chat_ids_are_the_rendered_text",), CHAT),
    Fault("chat-prompt-ignored", "add_generation_prompt does nothing", templates("apply_chat_template", lambda k: k.update(add_generation_prompt=False)), ("test_without_a_template_chat_is_refused",), BERT),
    Fault("chat-template-ignored", "a template given in the call is ignored", templates("apply_chat_template", lambda k: k.update(chat_template=None)), ("test_given_template_wins",), CHAT),
    Fault("chat-not-continued", "continue_final_message does nothing", templates("apply_chat_template", lambda k: k.update(continue_final_message=False)), ("test_final_message_can_be_continued",), CHAT),
    Fault("chat-batch-first", "of several chats the first is rendered", method(base_class, "apply_chat_template", lambda o, self, chats, *a, **k: o(self, chats, *a, **k) if not isinstance(chats[0], list) else o(self, chats, *a, **k)[:1]), ("test_batch_of_chats_is_each_chat",), CHAT),
    Fault("chat-without-template", "without a template something is rendered all the same", method(base_class, "get_chat_template", lambda o, self, chat_template=None, tools=None: chat_template or self.chat_template or "{{ messages }}"), ("test_without_a_template_chat_is_refused",), BERT),
    Fault("chat-template-not-saved", "saving drops the chat template", unsaved_template, ("test_saved_chat_template_is_the_same",), CHAT),
    Fault("normalizer-rewrites", "a sentencepiece tokenizer is built with a normalizer of its own", built(lower_cased, "T5Tokenizer"), ("test_round_trip",), "t5-random"),
    Fault("special-mask-of-ids-short", "get_special_tokens_mask forgets the last", result(base_class, "get_special_tokens_mask", lambda mask: [*mask[:-1], 0]), ("test_mask_of_finished_ids_marks_special_ones",), BERT),
    Fault("saved-cls-wrong", "the saved cls token is another", saved_settings(lambda s: s.update(cls_token="[SEP]")), ("test_saved_settings_are_the_same",), BERT),
    Fault("language-at-the-wrong-end", "mBART's language code changes ends", language_last, ("test_source_language_frames_the_text",), "mbart-random"),
    Fault("language-stays-target", "after labels the target language stays", stays_target, ("test_target_text_has_the_target_language",), "mbart-random"),
]  # fmt: skip
