"""Faults in what settings of a tokenizer, set or given in a call, do to the calls that follow."""

from __future__ import annotations

from typing import Any

from suites.meta.edits import edit
from suites.meta.faults import Fault
from suites.meta.tokenizer_edits import (
    Patch,
    asks,
    base_class,
    changed,
    cuts,
    fast_class,
    method,
    pads,
    without,
    wrap,
)


def cuts_what_it_pads(settings: dict[str, Any]) -> dict[str, Any]:
    """Padding with a length truncates, too."""
    from transformers.tokenization_utils_base import TruncationStrategy

    told = pads(settings) and not cuts(settings) and settings["max_length"]
    strategy = TruncationStrategy.LONGEST_FIRST if told else settings["truncation_strategy"]
    return changed(settings, truncation_strategy=strategy)


def language_of_the_next_call(patch: Patch) -> None:
    """A source language that is set waits for the next call."""
    from transformers import MBartTokenizer

    held = property(
        lambda self: self._src_lang, lambda self, code: vars(self).update(_src_lang=code)
    )
    patch.setattr(MBartTokenizer, "src_lang", held)


def deaf_to_no(original: Any, self: Any, *a: Any, **k: Any) -> Any:
    """A clean-up that is refused is taken for one that is not spoken of."""
    name = "clean_up_tokenization_spaces"
    return original(self, *a, **{**k, name: k.get(name) or None})


def with_a_space(original: Any, self: Any, *a: Any, **k: Any) -> Any:
    """A message to be continued ends with a space."""
    text = original(self, *a, **k)
    return f"{text.rstrip()} " if k.get("continue_final_message") else text


def own_ends(original: Any, self: Any, *a: Any, **k: Any) -> Any:
    """Special tokens given to a template are the tokenizer's own."""
    return original(self, *a, **{n: v for n, v in k.items() if n != "eos_token"})


def space_in_front(patch: Patch) -> None:
    """LLaMA's tokenizer always puts a space in front."""
    from transformers import LlamaTokenizer

    def init(original: Any, self: Any, *a: Any, **k: Any) -> None:
        original(self, *a, **{**k, "add_prefix_space": True})

    wrap(patch, LlamaTokenizer, "__init__", init)


FAULTS = [
    Fault("padding-cuts", "padding to a length cuts what is longer", asks(cuts_what_it_pads), ("test_no_truncation_unless_asked",), "bert-masked"),
    Fault("language-waits-for-a-call", "a source language set acts from the next call on, not in encode", language_of_the_next_call, ("test_source_language_frames_the_text",), "mbart-random"),
    Fault("batches-are-not-cleaned", "batch_decode drops what it is told of clean-up", without(base_class, "batch_decode", "clean_up_tokenization_spaces"), ("test_batch_decode_is_decode_each",), "bert-masked"),
    Fault("clean-up-cannot-be-refused", "clean-up refused in a call is done where the setting says so", method(fast_class, "_decode", deaf_to_no), ("test_default_decode_cleans_up_as_configured",), "bert-masked"),
    Fault("continued-behind-a-space", "a message that its template trims is continued behind a space", method(base_class, "apply_chat_template", with_a_space), ("test_spaces_and_blocks_are_continued",), "gpt2-counting"),
    Fault("templates-keep-their-ends", "special tokens given to a template are ignored", method(base_class, "apply_chat_template", own_ends), ("test_without_a_template_chat_is_refused",), "gpt2-counting"),
    Fault("bytes-not-seen-are-lost", "trained anew, a tokenizer knows the bytes of its texts alone", edit("tokenization_utils_tokenizers:TokenizersBackend.train_new_from_iterator", ("pre_tokenizers_fast.ByteLevel.alphabet()", "pre_tokenizers_fast.ByteLevel.alphabet()[:0]")), ("test_training_anew_keeps_every_byte",), "roberta-random"),
    Fault("ends-stay-as-loaded", "add_bos_token and add_eos_token that are set do nothing", method(fast_class, "update_post_processor", lambda o, self: None), ("test_ends_can_be_switched",), "llama-chat"),
    Fault("llama-always-puts-a-space-in-front", "add_prefix_space=False is ignored", space_in_front, ("test_no_space_is_put_in_front_unless_asked",), "llama-spm-only"),
    Fault("vocabulary-counts-the-added", "vocab_size counts tokens that were added", edit("tokenization_utils_tokenizers:TokenizersBackend.vocab_size", ("with_added_tokens=False", "with_added_tokens=True")), ("test_new_tokens_are_not_split",), "bert-sentiment"),
    Fault("llama-pads-behind", "LlamaTokenizer pads on the right unless told", lambda patch: patch.setattr("transformers.LlamaTokenizer.padding_side", "right"), ("test_llama_pads_on_the_left",), "llama-spm-only"),
    Fault("a-space-is-always-stripped", "told to put no space in front, LLaMA takes one away all the same", edit("models.llama.tokenization_llama:LlamaTokenizer.__init__", ("if self.add_prefix_space:", "if True:")), ("test_no_space_is_put_in_front_unless_asked",), "llama-spm-only"),
]  # fmt: skip
