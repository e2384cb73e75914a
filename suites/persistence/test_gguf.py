"""A GGUF file loads to its dequantised weights and its own tokens."""

from __future__ import annotations

import pytest

from fixtures import packaged
from fixtures.applicability import Predicate, applies_to, trait
from fixtures.checkpoint import read_json
from fixtures.gguf_file import TEXTS, loaded, settings, special
from fixtures.lazy import transformers
from fixtures.loading import SAFE
from fixtures.packaged import CONVERTED
from fixtures.stored import fingerprints, stored

converted = Predicate(
    "converted without the library",
    lambda c: c.source == "packaged" and packaged.cached_path(CONVERTED) is not None,
)


@pytest.mark.slow
@applies_to(trait("gguf"), converted)
def test_gguf_equals_its_conversion(checkpoint, expect, observe):
    """Loaded from GGUF, weights are those of the file dequantised independently."""
    result, wanted = loaded(checkpoint), fingerprints(stored(packaged.cached_path(CONVERTED)))
    wanted.setdefault("lm_head.weight", wanted["model.embed_tokens.weight"])
    differing = [n for n, kept in wanted.items() if result["weights"].get(n) != kept]
    expect.true(not differing, differing, "no weight unlike the file's", "model.state_dict()")
    observe("persistence/gguf next id", result["next"], input=TEXTS[0], group="load")


@pytest.mark.slow
@applies_to(trait("gguf"), converted)
def test_gguf_settings_equal_its_conversion(checkpoint, expect):
    """Loaded from GGUF, a model is configured as the file read independently says."""
    wanted = settings(read_json(packaged.cached_path(CONVERTED) / "config.json"))
    result = loaded(checkpoint)["settings"]
    found = {name: result.get(name) for name in wanted}
    expect.equal(found, wanted, "model.config.to_dict()")


@pytest.mark.slow
@applies_to(trait("gguf"), converted)
def test_gguf_tokens_equal_its_conversion(checkpoint, expect):
    """The tokenizer of a GGUF file gives the ids of its vocabulary and merges read independently."""
    own = transformers.AutoTokenizer.from_pretrained(packaged.cached_path(CONVERTED), **SAFE)
    result, wanted = loaded(checkpoint), [own(text)["input_ids"] for text in TEXTS]
    call = "[tokenizer(text)['input_ids'] for text in texts]"
    expect.equal(result["ids"], wanted, call, texts=TEXTS)
    expect.equal(result["special"], special(own), "the special ids of tokenizer")
