"""Faults of tokenizers' classes: what they are built of when the files do not say all."""

from __future__ import annotations

from typing import Any

from suites.meta.faults import Fault
from suites.meta.tokenizer_edits import built

CUT = "test_families_cut_texts_as_released"
FRAMED = "test_families_frame_texts_as_released"
MASKED = "test_masks_take_the_space_before_them"


def digits_together(self: Any) -> None:
    """Runs of digits are words."""
    from tokenizers import Regex
    from tokenizers.pre_tokenizers import ByteLevel, Sequence, Split

    words = Split(Regex(r"\p{N}+|\p{L}+| ?[^\s\p{L}\p{N}]+|\s+"), "isolated")
    self._tokenizer.pre_tokenizer = Sequence(
        [words, ByteLevel(add_prefix_space=False, use_regex=False)]
    )


def compatible(self: Any) -> None:
    """Ligatures and the like folded."""
    from tokenizers.normalizers import NFKC

    self._tokenizer.normalizer = NFKC()


def never_lower(self: Any) -> None:
    """The normalizer replaced by one that keeps case."""
    from tokenizers.normalizers import BertNormalizer

    self._tokenizer.normalizer = BertNormalizer(lowercase=False)


def one_separator(self: Any) -> None:
    """One separator between two texts."""
    from tokenizers.processors import TemplateProcessing

    ends = [(token, self.convert_tokens_to_ids(token)) for token in ("<s>", "</s>")]
    self._tokenizer.post_processor = TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=ends
    )


def mask_keeps_spaces(self: Any) -> None:
    """The mask added once more, as a token like any other."""
    from tokenizers import AddedToken

    self._tokenizer.add_special_tokens([AddedToken(str(self.mask_token), normalized=False)])


FAULTS = [
    Fault("qwen2-digits-together", "Qwen2 keeps runs of digits together", built(digits_together, "Qwen2Tokenizer"), (CUT,), "bert-random"),
    Fault("neox-folds-ligatures", "GPT-NeoX folds compatibility characters", built(compatible, "GPTNeoXTokenizer"), (CUT,), "bert-random"),
    Fault("bert-keeps-case", "BERT's tokenizer keeps case", built(never_lower, "BertTokenizer"), (CUT,), "bert-random"),
    Fault("xlmr-one-separator", "XLM-R puts one separator between two texts", built(one_separator, "XLMRobertaTokenizer"), (FRAMED,), "bert-random"),
    Fault("camembert-mask-keeps-spaces", "CamemBERT's mask takes no space", built(mask_keeps_spaces, "CamembertTokenizer"), (MASKED,), "bert-random"),
]  # fmt: skip
