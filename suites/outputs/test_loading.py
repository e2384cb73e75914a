"""Loading: each Auto class finds the right architecture, tokenizer and head from the files alone."""

from __future__ import annotations

import pytest

from fixtures.applicability import any_model, applies_to, named, processor, tokenizer, trait
from fixtures.errors import UnloadableError, one_line
from fixtures.loading import load_model, load_processor, load_tokenizer
from fixtures.plugin import loaded


def judged(load, checkpoint, *options):
    """Load; a checkpoint that does not is red, in a line."""
    reason = None
    try:
        loaded(load, checkpoint, *options)
    except UnloadableError as error:
        reason = str(error)
    # outside the handler: what the library said at length would be shown, too
    if reason is not None:
        where = one_line(str(checkpoint.path), 500)
        pytest.fail(f"{where} does not load: {reason}", pytrace=False)


@applies_to(trait("config"), trait("weights"))
def test_model_loads(checkpoint, device, dtype):
    """A checkpoint with weights loads through its Auto class without remote code or pickle."""
    judged(load_model, checkpoint, "eager", dtype, device)


@applies_to(tokenizer)
def test_tokenizer_loads(checkpoint):
    """A checkpoint with tokenizer files loads through AutoTokenizer without remote code."""
    judged(load_tokenizer, checkpoint)


@applies_to(processor)
def test_processor_loads(checkpoint):
    """A checkpoint with image settings loads through AutoImageProcessor without remote code."""
    judged(load_processor, checkpoint)


@applies_to(any_model, named)
def test_auto_class_finds_the_architecture(checkpoint, model, expect, observe):
    """An Auto class builds the architecture that config.json names."""
    observe("outputs/architecture", type(model).__name__, group="load")
    expect.equal(type(model).__name__, checkpoint.architecture, "type(model).__name__")
