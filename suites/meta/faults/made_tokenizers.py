"""Faults in tokenizers made of files that say what is uncommon, and in those trained anew."""

from __future__ import annotations

from suites.meta.edits import edit
from suites.meta.faults import Fault

BACKEND = "tokenization_utils_tokenizers:TokenizersBackend."

FAULTS = [
    Fault(
        "unknown-words-by-the-usual-name",
        "BertTokenizer's model calls what it does not know [UNK], whatever the files call it.",
        edit(
            "models.bert.tokenization_bert:BertTokenizer.__init__",
            ("unk_token=str(unk_token))", 'unk_token="[UNK]")'),
        ),
        ("test_special_tokens_are_those_named",),
        "bert-random",
    ),
    Fault(
        "texts-end-as-they-begin",
        "GPT2Tokenizer takes its bos_token for its eos_token too.",
        edit(
            "models.gpt2.tokenization_gpt2:GPT2Tokenizer.__init__",
            ("eos_token=eos_token", "eos_token=bos_token"),
        ),
        ("test_special_tokens_are_those_named",),
        "bert-random",
    ),
    Fault(
        "a-hundred-sentinels-anyway",
        "T5's tokenizer ignores extra_ids.",
        edit(
            "convert_slow_tokenizer:T5Converter.convert_from_spm",
            ('kwargs.get("extra_ids", 100)', "100"),
        ),
        ("test_tokens_behind_the_pieces_are_as_many_as_told",),
        "bert-random",
    ),
    Fault(
        "mask-among-the-languages",
        "MBart50's mask stands before the languages that mBART has not.",
        edit(
            "convert_slow_tokenizer:MBart50Converter.convert_from_spm",
            (
                "for lang_code in MBART50_LANGUAGES)",
                "for lang_code in [*MBART50_LANGUAGES[:25], mask_token, *MBART50_LANGUAGES[25:]])",
            ),
            ("vocab_list.append((mask_token, 0.0))", ""),
        ),
        ("test_tokens_behind_the_pieces_are_as_many_as_told",),
        "bert-random",
    ),
    Fault(
        "symbols-are-all-special",
        "What the user of sentencepiece defined is skipped as special.",
        edit(
            "convert_slow_tokenizer:SentencePieceExtractor.extract",
            ("p.piece, p.type == 3)", "p.piece, p.type in [3, 4])"),
        ),
        ("test_symbols_of_the_user_are_text",),
        "bert-random",
    ),
    Fault(
        "first-piece-has-no-name",
        "Of a sentencepiece model alone, no tokenizer calls the first piece unknown.",
        edit(
            f"{BACKEND}_convert_from_sentencepiece",
            ("if proto_spec.unk_id >= 0:", "if proto_spec.unk_id:"),
        ),
        ("test_a_model_of_pieces_is_enough",),
        "llama-spm-only",
    ),
    Fault(
        "pieces-of-one-letter-stay-apart",
        "No merge made of a vocabulary begins with a single letter.",
        edit(
            "tokenization_utils_base:generate_merges",
            ("for index in range(1, len(merge)):", "for index in range(2, len(merge)):"),
        ),
        ("test_a_model_of_pieces_is_enough",),
        "llama-spm-only",
    ),
    Fault(
        "target-is-the-source",
        "MBartTokenizer is saved with its source language as the one to write.",
        edit(
            "models.mbart.tokenization_mbart:MBartTokenizer.__init__",
            ("tgt_lang=tgt_lang,", "tgt_lang=src_lang,"),
            ("self.tgt_lang = tgt_lang", "self._tgt_lang = tgt_lang"),
        ),
        ("test_languages_given_at_loading_are_saved",),
        "mbart-random",
    ),
    Fault(
        "flags-not-trained",
        "Special tokens of a tokenizer trained anew are as if no flag had been set.",
        edit(
            f"{BACKEND}train_new_from_iterator",
            (
                "special_tokens.append(AddedToken(**added_token))",
                'special_tokens.append(added_token["content"])',
            ),
        ),
        ("test_training_anew_keeps_flags",),
        "bert-masked",
    ),
]
