"""Changes to what the library's tokenizers are given, do and return, for faults of theirs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Patch = pytest.MonkeyPatch


def fast_class() -> Any:
    """The class over the Rust implementation, under its name in the installed version."""
    import transformers

    return getattr(transformers, "TokenizersBackend", None) or transformers.PreTrainedTokenizerFast


def base_class() -> Any:
    """The class that all tokenizers share."""
    from transformers.tokenization_utils_base import PreTrainedTokenizerBase

    return PreTrainedTokenizerBase


def batch_class() -> Any:
    """What a call returns."""
    from transformers import BatchEncoding

    return BatchEncoding


def wrap(patch: Patch, owner: Any, name: str, change: Callable[..., Any]) -> None:
    """Replace a method by change(original, self, ...)."""
    original = getattr(owner, name)
    patch.setattr(owner, name, lambda self, *a, **k: change(original, self, *a, **k))


def asks(change: Callable[[dict[str, Any]], dict[str, Any] | None]) -> Callable[[Patch], None]:
    """Change what the Rust tokenizer is told about padding and truncation; None: tell it nothing."""

    def apply(patch: Patch) -> None:
        def told(original: Any, self: Any, **settings: Any) -> None:
            changed = change(settings)
            if changed is not None:
                original(self, **changed)

        wrap(patch, fast_class(), "set_truncation_and_padding", told)

    return apply


def encodes(change: Callable[[dict[str, Any]], None]) -> Callable[[Patch], None]:
    """Change the lists made of a Rust encoding."""

    def apply(patch: Patch) -> None:
        def converted(original: Any, self: Any, *a: Any, **k: Any) -> Any:
            made, encodings = original(self, *a, **k)
            change(made)
            return made, encodings

        wrap(patch, fast_class(), "_convert_encoding", converted)

    return apply


def method(
    where: Callable[[], Any], name: str, change: Callable[..., Any]
) -> Callable[[Patch], None]:
    """Wrap one method of a class of the library."""
    return lambda patch: wrap(patch, where(), name, change)


def result(
    where: Callable[[], Any], name: str, change: Callable[[Any], Any]
) -> Callable[[Patch], None]:
    """Change what a method returns."""
    return method(where, name, lambda original, self, *a, **k: change(original(self, *a, **k)))


def without(where: Callable[[], Any], name: str, *options: str) -> Callable[[Patch], None]:
    """Make a method deaf to some of its keywords."""

    def deaf(original: Any, self: Any, *a: Any, **k: Any) -> Any:
        return original(self, *a, **{key: value for key, value in k.items() if key not in options})

    return method(where, name, deaf)


def built(change: Callable[[Any], None], *names: str) -> Callable[[Patch], None]:
    """Change the Rust tokenizer behind tokenizers of these classes, or all, when they are built."""

    def apply(patch: Patch) -> None:
        import transformers

        def init(original: Any, self: Any, *a: Any, **k: Any) -> None:
            original(self, *a, **k)
            change(self)

        found = [
            getattr(transformers, name, None) for name in (*names, *(f"{n}Fast" for n in names))
        ]
        for owner in dict.fromkeys(found if names else [fast_class()]):
            if owner is not None:
                wrap(patch, owner, "__init__", init)

    return apply


def shifted(made: dict[str, Any]) -> None:
    """Offsets one too far."""
    if "offset_mapping" in made:
        made["offset_mapping"] = [
            [(a + 1, b + 1) for a, b in row] for row in made["offset_mapping"]
        ]


def last_zero(name: str) -> Callable[[dict[str, Any]], None]:
    """The last entry of a mask is zero."""

    def change(made: dict[str, Any]) -> None:
        if name in made:
            made[name] = [[*row[:-1], 0] for row in made[name]]

    return change


def one_type(made: dict[str, Any]) -> None:
    """All tokens of type 0."""
    if "token_type_ids" in made:
        made["token_type_ids"] = [[0] * len(row) for row in made["token_type_ids"]]


def wrong_length(made: dict[str, Any]) -> None:
    """Lengths one too large."""
    if "length" in made:
        made["length"] = [n + 1 for n in made["length"]]


def swapped_ends(self: Any) -> None:
    """[CLS] behind the text and [SEP] before it."""
    from tokenizers.processors import TemplateProcessing

    if self.cls_token and self.sep_token:
        ends = [(self.cls_token, self.cls_token_id), (self.sep_token, self.sep_token_id)]
        self._tokenizer.post_processor = TemplateProcessing(
            single=f"{self.sep_token} $A {self.cls_token}",
            pair=f"{self.sep_token} $A {self.cls_token} $B:1 {self.cls_token}:1",
            special_tokens=ends,
        )


def lower_cased(self: Any) -> None:
    """Everything lower-cased, whatever the files say."""
    from tokenizers.normalizers import Lowercase, Sequence

    self._tokenizer.normalizer = Sequence(
        [n for n in (self._tokenizer.normalizer, Lowercase()) if n]
    )


def prefixed(self: Any) -> None:
    """A space before every text of a byte-level tokenizer."""
    from tokenizers.pre_tokenizers import ByteLevel

    if self._tokenizer.decoder and "ByteLevel" in type(self._tokenizer.decoder).__name__:
        self._tokenizer.pre_tokenizer = ByteLevel(add_prefix_space=True)


def no_accents(self: Any) -> None:
    """Accents stripped."""
    from tokenizers.normalizers import NFD, Sequence, StripAccents

    parts = (self._tokenizer.normalizer, NFD(), StripAccents())
    self._tokenizer.normalizer = Sequence([n for n in parts if n])


def undecoded(self: Any) -> None:
    """A decoder that joins pieces with spaces."""
    from tokenizers.decoders import Sequence

    self._tokenizer.decoder = Sequence([])


def saved_settings(change: Callable[[dict[str, Any]], None]) -> Callable[[Patch], None]:
    """Change tokenizer_config.json right after it is saved."""

    def apply(patch: Patch) -> None:
        def saved(original: Any, self: Any, folder: Any, *a: Any, **k: Any) -> Any:
            import json
            from pathlib import Path

            files = original(self, folder, *a, **k)
            path = Path(folder) / "tokenizer_config.json"
            settings = json.loads(path.read_text(encoding="utf-8"))
            change(settings)
            path.write_text(json.dumps(settings), encoding="utf-8")
            return files

        wrap(patch, base_class(), "save_pretrained", saved)
        if "save_pretrained" in vars(fast_class()):
            wrap(patch, fast_class(), "save_pretrained", saved)

    return apply


def templates(name: str, change: Callable[[dict[str, Any]], None]) -> Callable[[Patch], None]:
    """Change the keywords with which a template is rendered."""

    def apply(patch: Patch) -> None:
        def asked(original: Any, self: Any, messages: Any, *a: Any, **k: Any) -> Any:
            change(k)
            return original(self, messages, *a, **k)

        wrap(patch, base_class(), name, asked)

    return apply


def unsaved_template(patch: Patch) -> None:
    """Saving drops the chat template."""

    def saved(original: Any, self: Any, folder: Any, *a: Any, **k: Any) -> Any:
        template, self.chat_template = self.chat_template, None
        try:
            return original(self, folder, *a, **k)
        finally:
            self.chat_template = template

    wrap(patch, fast_class(), "save_pretrained", saved)


def properties(
    where: Callable[[], Any], name: str, value: Callable[[Any, Any], Any]
) -> Callable[[Patch], None]:
    """Change a property's value."""

    def apply(patch: Patch) -> None:
        owner = where()
        original = getattr(owner, name).fget
        patch.setattr(owner, name, property(lambda self: value(original(self), self)))

    return apply


def changed(settings: dict[str, Any], **new: Any) -> dict[str, Any]:
    """Settings with some replaced."""
    return {**settings, **new}


def pads(settings: dict[str, Any]) -> bool:
    """Whether padding was asked for."""
    return str(settings["padding_strategy"].value) != "do_not_pad"


def cuts(settings: dict[str, Any]) -> bool:
    """Whether truncation was asked for."""
    return str(settings["truncation_strategy"].value) != "do_not_truncate"


def other_strategy(settings: dict[str, Any]) -> dict[str, Any]:
    """only_first and longest_first confused."""
    from transformers.tokenization_utils_base import TruncationStrategy as T

    swap = {
        T.LONGEST_FIRST: T.ONLY_FIRST,
        T.ONLY_FIRST: T.LONGEST_FIRST,
        T.ONLY_SECOND: T.LONGEST_FIRST,
    }
    strategy = settings["truncation_strategy"]
    return changed(settings, truncation_strategy=swap.get(strategy, strategy))


def truncates_wrong_side(patch: Patch) -> None:
    """Truncation cuts the side it should keep."""

    def told(original: Any, self: Any, **settings: Any) -> None:
        side = self.truncation_side
        self.truncation_side = "left" if side == "right" else "right"
        try:
            original(self, **settings)
        finally:
            self.truncation_side = side

    wrap(patch, fast_class(), "set_truncation_and_padding", told)


def no_specials(original: Any, self: Any, tokens: Any, special_tokens: bool = False) -> int:
    """Special tokens added as ordinary ones."""
    from tokenizers import AddedToken

    plain = [AddedToken(str(token), special=False) for token in tokens]
    return int(original(self, plain, special_tokens=False))


def tensors_of_floats(original: Any, self: Any, *a: Any, **k: Any) -> Any:
    """Tensors of the wrong type."""
    made = original(self, *a, **k)
    for name, value in list(made.items()):
        if hasattr(value, "float"):
            made[name] = value.float()
    return made


def greedy_tokens(self: Any) -> None:
    """Special tokens swallow the space behind them."""
    from tokenizers import AddedToken

    self._tokenizer.add_special_tokens(
        [AddedToken(str(t), rstrip=True) for t in self.all_special_tokens]
    )


def confused_threads(original: Any, self: Any, text: Any, *a: Any, **k: Any) -> Any:
    """The text of a call kept on the tokenizer, where another thread replaces it."""
    import time

    self.__dict__["_text"] = [*text, threading_name()] if isinstance(text, list) else text
    time.sleep(0.001)
    kept = self.__dict__["_text"]
    return (
        original(
            self,
            kept[:-1]
            if kept[-1:] == [threading_name()] or not isinstance(kept, list)
            else kept[:1],
            *a,
            **k,
        )
        if isinstance(kept, list)
        else original(self, text, *a, **k)
    )


def threading_name() -> str:
    """The name of the running thread."""
    import threading

    return threading.current_thread().name


def saved_normalizer(patch: Patch) -> None:
    """The tokenizer.json that is saved lower-cases."""

    def saved(original: Any, self: Any, folder: Any, *a: Any, **k: Any) -> Any:
        import json
        from pathlib import Path

        files = original(self, folder, *a, **k)
        path = Path(folder) / "tokenizer.json"
        raw = json.loads(path.read_text(encoding="utf-8"))
        raw["normalizer"] = {"type": "Lowercase"}
        path.write_text(json.dumps(raw), encoding="utf-8")
        return files

    wrap(patch, fast_class(), "save_pretrained", saved)


def mapped_to_first(original: Any, self: Any, data: Any = None, *a: Any, **k: Any) -> None:
    """All overflowing rows said to be of the first text."""
    if data and "overflow_to_sample_mapping" in data:
        data["overflow_to_sample_mapping"] = [0] * len(data["overflow_to_sample_mapping"])
    original(self, data, *a, **k)


def beyond(made: dict[str, Any]) -> None:
    """Ids outside the vocabulary."""
    made["input_ids"] = [[*row, 10**7] for row in made["input_ids"]]


def forgotten(name: str, value: Any) -> Callable[[Patch], None]:
    """An attribute is lost in pickling."""

    def apply(patch: Patch) -> None:
        patch.setattr(
            base_class(), "__getstate__", lambda self: {**self.__dict__, name: value}, raising=False
        )

    return apply
