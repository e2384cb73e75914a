"""Faults in the tokenizer that is written in Python, and in BERT's of that kind."""

from __future__ import annotations

from suites.meta.edits import edit
from suites.meta.faults import Fault

MODULE = "tokenization_python"
CLASS = f"{MODULE}:PythonBackend."
CUT = f"{CLASS}truncate_sequences"
LENGTH = ("test_python_truncates_to_the_length",)

FAULTS = [
    Fault(
        "added-tokens-share-an-id",
        "Tokens added in one call to a Python tokenizer have one id.",
        edit(
            f"{CLASS}_add_tokens",
            ("token_index = new_idx + added_tokens", "token_index = new_idx"),
        ),
        ("test_python_finds_added_tokens",),
        "bert-masked",
    ),
    Fault(
        "trie-needs-a-letter-first",
        "A Python tokenizer overlooks an added token at the very start of a text.",
        edit(
            f"{MODULE}:Trie.split",
            ("if current >= skip and current_char", "if current > skip and current_char"),
        ),
        ("test_python_finds_added_tokens",),
        "bert-cased-tagger",
    ),
    Fault(
        "strips-on-the-other-side",
        "A token added to a Python tokenizer to strip the space on its right strips none.",
        edit(f"{CLASS}tokenize", ("if tok_extended.rstrip and right:", "if False:")),
        ("test_added_tokens_strip_as_they_say",),
        "bert-masked",
    ),
    Fault(
        "odd-token-stays",
        "Two texts cut by a Python tokenizer are one token too long where an odd number is to go.",
        edit(
            CUT,
            (
                "pair_ids_to_move = second_remove - second_remove // 2",
                "pair_ids_to_move = second_remove // 2",
            ),
        ),
        LENGTH,
        "bert-masked",
    ),
    Fault(
        "cut-on-the-other-side",
        "Two texts cut by a Python tokenizer lose their beginnings, whatever its side.",
        edit(CUT, ('if self.truncation_side == "right":', "if False:")),
        LENGTH,
        "bert-cased-tagger",
    ),
    Fault(
        "overflow-without-stride",
        "What a Python tokenizer gives back of a long text does not overlap what it kept.",
        edit(CUT, ("min(len(ids), stride + num_tokens_to_remove)", "num_tokens_to_remove")),
        ("test_python_gives_back_what_overflows",),
        "bert-masked",
    ),
    Fault(
        "accents-stay",
        "BERT's Python tokenizer keeps accents where it lower-cases.",
        edit(
            "models.bert.tokenization_bert_legacy:BasicTokenizer.tokenize",
            ("if self.strip_accents is not False:", "if self.strip_accents:"),
        ),
        ("test_python_cuts_texts_as_fast",),
        "bert-masked",
    ),
    Fault(
        "special-only-where-text-ends",
        "Padding of a Python tokenizer on the left counts as text in its special tokens' mask.",
        edit(
            "tokenization_utils_base:PreTrainedTokenizerBase._pad",
            (
                'encoded_inputs["special_tokens_mask"] = [1] * difference + encoded_inputs["special_tokens_mask"]',
                'encoded_inputs["special_tokens_mask"] = [0] * difference + encoded_inputs["special_tokens_mask"]',
            ),
        ),
        ("test_python_pads_to_the_longest",),
        "bert-masked",
    ),
    Fault(
        "additions-looked-for-a-letter-far",
        "Of two added tokens that begin alike the longer is found only if it is one letter longer.",
        edit(
            f"{MODULE}:Trie.split",
            ("while next_char in looktrie_pointer", "if next_char in looktrie_pointer"),
        ),
        ("test_python_tells_longer_additions_apart",),
        "bert-masked",
    ),
    Fault(
        "additions-share-ids",
        "Tokens added later have the ids of those added before.",
        edit(f"{CLASS}_add_tokens", ("new_idx = len(current_vocab)", "new_idx = self.vocab_size")),
        ("test_python_tells_longer_additions_apart",),
        "bert-masked",
    ),
    Fault(
        "room-for-nobody",
        "Room is left for special tokens that are not asked for.",
        edit(
            f"{CLASS}prepare_for_model",
            (
                "self.num_special_tokens_to_add(pair=pair) if add_special_tokens else 0",
                "self.num_special_tokens_to_add(pair=pair)",
            ),
        ),
        ("test_python_tells_longer_additions_apart",),
        "bert-masked",
    ),
]
