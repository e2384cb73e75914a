"""A GGUF file loads to its dequantised weights and its own tokens."""

from __future__ import annotations

import pytest

from fixtures import packaged
from fixtures.applicability import Predicate, applies_to, trait
from fixtures.lazy import torch, transformers
from fixtures.loading import SAFE, fresh_model, fresh_tokenizer
from fixtures.packaged import CONVERTED
from fixtures.stored import stored

PROMPTS = ("The capital of France is", "def add(a, b):\n    return", "In 2026 it's 12345.6")

converted = Predicate(
    "converted without the library",
    lambda c: c.source == "packaged" and packaged.cached_path(CONVERTED) is not None,
)


@pytest.mark.slow
@applies_to(trait("gguf"), converted)
def test_gguf_equals_its_conversion(checkpoint, expect, observe):
    """Loaded from GGUF, weights and logits are those of the file dequantised independently."""
    files = stored(packaged.cached_path(CONVERTED))
    model = fresh_model(checkpoint, auto_class="AutoModelForCausalLM")
    state = model.state_dict()
    output = state["lm_head.weight"]
    expect.true(
        bool(
            torch.equal(
                output, files.get("lm_head.weight", files["model.embed_tokens.weight"]).float()
            )
        ),
        output,
        "the output embedding of the file",
        "model.lm_head.weight",
    )
    differing = [n for n, t in files.items() if n in state and not torch.equal(state[n], t.float())]
    expect.true(
        not differing, differing, "no weight that differs from the file", "model.state_dict()"
    )
    lost = sorted(files.keys() - state.keys())
    expect.true(not lost, lost, "every weight of the file", "model.state_dict()")
    ids = torch.tensor([[504, 3575, 282, 4649, 314]])
    answer = int(model(input_ids=ids).logits[0, -1].argmax())
    observe("persistence/gguf next id", answer, input=PROMPTS[0], group="load")


@pytest.mark.slow
@applies_to(trait("gguf"), converted)
def test_gguf_tokens_equal_its_conversion(checkpoint, expect):
    """The tokenizer of a GGUF file gives the ids of its vocabulary and merges read independently."""
    directory = packaged.cached_path(CONVERTED)
    own = transformers.AutoTokenizer.from_pretrained(directory, **SAFE)
    tokenizer = fresh_tokenizer(checkpoint)
    for text in PROMPTS:
        expect.equal(
            tokenizer(text)["input_ids"],
            own(text)["input_ids"],
            "tokenizer(text)['input_ids']",
            text=text,
        )
