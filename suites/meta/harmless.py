"""Changes of the library that nobody may mind, and a command that tries all on the whole default run.

python -m suites.meta.harmless            # every variation, every built-in checkpoint; an hour
python -m suites.meta.harmless NAME ...   # these variations only
"""

from __future__ import annotations

import functools
import gc
import logging
import random
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from fixtures.catalogue import default_checkpoints
from fixtures.lazy import torch, transformers
from suites.meta import arithmetic
from suites.meta.edits import edit, edits
from suites.meta.planting import run_checks

Patch = pytest.MonkeyPatch
SLIDING = "cache_utils:DynamicSlidingWindowLayer."


@dataclass(frozen=True)
class Variation:
    """One harmless change; the continuous build tries it on one checkpoint."""

    name: str
    says: str
    apply: Callable[[Patch], None]
    checkpoint: str


def around_calls(
    before: Callable[[], Any] = lambda: None, after: Callable[[Any], Any] = lambda out: out
):
    """A variation that does something around every call of a model."""

    def apply(patch: Patch) -> None:
        call = torch.nn.Module.__call__

        def __call__(self: Any, *args: Any, **options: Any) -> Any:
            before()
            return after(call(self, *args, **options))

        patch.setattr(transformers.PreTrainedModel, "__call__", __call__, raising=False)

    return apply


def around_loading(before: Callable[[], Any]) -> Callable[[Patch], None]:
    """A variation that does something before every load of a model or tokenizer."""

    def apply(patch: Patch) -> None:
        for cls in (transformers.PreTrainedModel, transformers.PreTrainedTokenizerBase):
            patch.setattr(
                cls, "from_pretrained", classmethod(preceded(cls.from_pretrained.__func__, before))
            )

    return apply


def preceded(function: Callable[..., Any], before: Callable[[], Any]) -> Callable[..., Any]:
    """The function, after something else."""

    @functools.wraps(function)
    def wrapper(*args: Any, **options: Any) -> Any:
        before()
        return function(*args, **options)

    return wrapper


def consume_randomness() -> None:
    """Draw from every generator a library might draw from."""
    torch.rand(3), random.random()


def grumble() -> None:
    """A warning, a log line and a line of output."""
    warnings.warn("this will be renamed in the next release", FutureWarning, stacklevel=2)
    logging.getLogger("transformers").error("something you need not mind")
    print("something printed")


def uncontiguous(outputs: Any) -> Any:
    """The same outputs, matrices stored column by column."""
    for name, value in list(outputs.items()) if hasattr(outputs, "items") else []:
        if isinstance(value, torch.Tensor) and value.dim() > 1:
            outputs[name] = value.transpose(-1, -2).contiguous().transpose(-1, -2)
    return outputs


def other_words(patch: Patch) -> None:
    """Errors of a model have another text."""
    call = torch.nn.Module.__call__

    def __call__(self: Any, *args: Any, **options: Any) -> Any:
        try:
            return call(self, *args, **options)
        except Exception as error:
            raise type(error)("other words") from error

    patch.setattr(transformers.PreTrainedModel, "__call__", __call__, raising=False)


def reversed_encoding(patch: Patch) -> None:
    """The keys of an encoding come in reverse order."""
    init = transformers.BatchEncoding.__init__

    def __init__(self: Any, data: Any = None, *args: Any, **options: Any) -> None:
        init(self, dict(reversed([*(data or {}).items()])), *args, **options)

    patch.setattr(transformers.BatchEncoding, "__init__", __init__)


def reversed_vocabulary(patch: Patch) -> None:
    """get_vocab lists the vocabulary from its end."""
    cls = transformers.PreTrainedTokenizerFast
    get = cls.get_vocab
    patch.setattr(cls, "get_vocab", lambda self: dict(reversed(get(self).items())))


def another_field(patch: Patch) -> None:
    """A configuration has one more field, with a default."""
    to_dict = transformers.PretrainedConfig.to_dict
    patch.setattr(
        transformers.PretrainedConfig, "to_dict", lambda self: {**to_dict(self), "new_field": False}
    )


def another_file(patch: Patch) -> None:
    """save_pretrained writes a model card beside the weights."""
    save = transformers.PreTrainedModel.save_pretrained

    def save_pretrained(self: Any, directory: Any, *args: Any, **options: Any) -> None:
        save(self, directory, *args, **options)
        with open(f"{directory}/README.md", "w", encoding="utf-8") as card:
            card.write("# A model\n")

    patch.setattr(transformers.PreTrainedModel, "save_pretrained", save_pretrained)


def another_argument(patch: Patch) -> None:
    """GPT-2 takes one more argument, with a default."""
    cls = transformers.GPT2LMHeadModel
    forward = cls.forward

    def forward_with(
        self: Any, input_ids: Any = None, *args: Any, new_option: Any = None, **options: Any
    ) -> Any:
        return forward(self, input_ids, *args, **options)

    patch.setattr(cls, "forward", functools.wraps(forward)(forward_with))


def renamed(patch: Patch) -> None:
    """The private method that samples has another name."""
    from transformers.generation import utils

    cls = transformers.GenerationMixin
    patch.setattr(cls, "_draw", cls._sample, raising=False)
    patch.delattr(cls, "_sample")
    for mode, name in list(utils.GENERATION_MODES_MAPPING.items()):
        patch.setitem(utils.GENERATION_MODES_MAPPING, mode, "_draw" if name == "_sample" else name)


def undocumented(patch: Patch) -> None:
    """Models have no docstrings."""
    for name in ("BertForSequenceClassification", "BertModel", "PreTrainedModel"):
        patch.setattr(getattr(transformers, name), "__doc__", None)
        patch.setattr(getattr(transformers, name).forward, "__doc__", None)


def hooked(patch: Patch) -> None:
    """Every model carries a buffer and a hook of somebody else's."""
    init = transformers.PreTrainedModel.post_init

    def post_init(self: Any) -> None:
        init(self)
        self.register_buffer("somebody_elses", torch.zeros(1), persistent=False)
        self.register_forward_hook(lambda module, args, output: None)

    patch.setattr(transformers.PreTrainedModel, "post_init", post_init)


class Threads:
    """The number of torch's threads as an attribute, so that a patch can set it and put it back."""

    @property
    def count(self) -> int:
        """How many there are now."""
        return torch.get_num_threads()

    @count.setter
    def count(self, value: int) -> None:
        torch.set_num_threads(value)


def two_threads(patch: Patch) -> None:
    """Another number of threads."""
    patch.setattr(Threads(), "count", 2 if torch.get_num_threads() == 1 else 1)


VARIATIONS = [
    Variation(
        "sums-in-halves",
        "Matrix products add their terms in another order.",
        arithmetic.halves,
        "bert-random",
    ),
    Variation(
        "sums-in-float64",
        "Matrix products add their terms in float64.",
        arithmetic.doubled,
        "llama-yarn",
    ),
    Variation(
        "rows-one-by-one",
        "Matrix products work on one row of the batch at a time.",
        arithmetic.by_row,
        "bart-random",
    ),
    Variation(
        "softmax-backwards",
        "Softmax adds its terms from the end.",
        arithmetic.softmax_backwards,
        "gpt2-random",
    ),
    Variation(
        "softmax-in-float64",
        "Softmax is computed in float64.",
        arithmetic.softmax_doubled,
        "mistral-random",
    ),
    Variation(
        "norm-by-its-formula",
        "LayerNorm is computed by its formula instead of a kernel.",
        arithmetic.norm,
        "roberta-random",
    ),
    Variation(
        "gelu-by-its-formula",
        "GELU is computed by its formula instead of a kernel.",
        arithmetic.gelu,
        "vit-shapes",
    ),
    Variation(
        "explicit-attention",
        "The fused attention kernel is computed by its definition.",
        arithmetic.attention,
        "t5-gated",
    ),
    Variation(
        "another-large-number",
        "Masked scores get half the smallest number.",
        edit(
            "masking_utils:eager_mask",
            ("min_dtype = torch.finfo(dtype).min", "min_dtype = torch.finfo(dtype).min / 2"),
        ),
        "distilbert-sentiment",
    ),
    Variation(
        "sliding-cache-keeps-more",
        "A sliding cache keeps one position more than the window needs, masked.",
        edits(
            edit(
                SLIDING + "update",
                (
                    "full_key_states[:, :, -self.sliding_window + 1 :",
                    "full_key_states[:, :, -self.sliding_window :",
                ),
                (
                    "full_value_states[:, :, -self.sliding_window + 1 :",
                    "full_value_states[:, :, -self.sliding_window :",
                ),
                ("num_visible = self.sliding_window - 1", "num_visible = self.sliding_window"),
            ),
            edit(SLIDING + "crop", *[("-self.sliding_window + 1", "-self.sliding_window")] * 4),
            edit(
                SLIDING + "get_mask_sizes",
                (
                    "self.cumulative_length - self.sliding_window + 1",
                    "self.cumulative_length - self.sliding_window",
                ),
                ("self.sliding_window - 1 + query_length", "self.sliding_window + query_length"),
            ),
        ),
        "mistral-sliding",
    ),
    Variation(
        "slow-forward",
        "Every call of a model takes a millisecond longer.",
        around_calls(lambda: time.sleep(0.001)),
        "distilbert-span",
    ),
    Variation(
        "slow-loading",
        "Every load takes 20 milliseconds longer.",
        around_loading(lambda: time.sleep(0.02)),
        "roberta-span",
    ),
    Variation("two-threads", "Another number of threads.", two_threads, "gpt2-random"),
    Variation(
        "uncontiguous-outputs",
        "Outputs are stored column by column.",
        around_calls(after=uncontiguous),
        "bert-masked",
    ),
    Variation(
        "randomness-consumed",
        "Loading and calling draw random numbers.",
        around_loading(consume_randomness),
        "llama-chat",
    ),
    Variation(
        "randomness-consumed-in-calls",
        "Every call of a model draws random numbers.",
        around_calls(consume_randomness),
        "distilbert-tagger",
    ),
    Variation(
        "noise-in-calls", "Every call warns, logs and prints.", around_calls(grumble), "t5-reverse"
    ),
    Variation(
        "noise-in-loading",
        "Every load warns, logs and prints.",
        around_loading(grumble),
        "mbart-random",
    ),
    Variation(
        "garbage-collected",
        "Every call collects garbage.",
        around_calls(lambda: gc.collect(0)),
        "deit-shapes",
    ),
    Variation("other-words", "Errors have another text.", other_words, "bart-topics"),
    Variation(
        "encoding-keys-reversed",
        "The keys of an encoding come in reverse order.",
        reversed_encoding,
        "bert-cased-tagger",
    ),
    Variation(
        "vocabulary-reversed",
        "get_vocab lists the vocabulary from its end.",
        reversed_vocabulary,
        "llama-bytes",
    ),
    Variation("another-field", "A configuration has one more field.", another_field, "vit-random"),
    Variation(
        "another-file", "save_pretrained writes a model card.", another_file, "roberta-sentiment"
    ),
    Variation(
        "another-argument", "GPT-2 takes one more argument.", another_argument, "gpt2-counting"
    ),
    Variation("private-name", "A private method has another name.", renamed, "llama-dynamic"),
    Variation("no-docstrings", "Models have no docstrings.", undocumented, "bert-sentiment"),
    Variation(
        "hooked", "Models carry a buffer and a hook of somebody else's.", hooked, "roberta-masked"
    ),
]


def main(names: list[str]) -> int:
    """Try variations on the whole default run; returns how many of them were minded."""
    checkpoints = [
        checkpoint.name
        for checkpoint in default_checkpoints()[0]
        if checkpoint.source == "built-in"
    ]
    minded = 0
    for variation in VARIATIONS:
        if names and variation.name not in names:
            continue
        failed = {
            f"{check}[{name}]"
            for name in checkpoints
            for check in run_checks(name, (), variation).failed
        }
        minded += bool(failed)
        print(f"{variation.name}: minded by {sorted(failed) or 'none'}", flush=True)
    return minded


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
