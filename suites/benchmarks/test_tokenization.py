"""Text to ids and back."""

from __future__ import annotations

from pathlib import Path

import pytest

from fixtures.applicability import applies_to
from fixtures.benchmarking import timed_by_default
from fixtures.tokenizer_files import encodes

DOCUMENT = Path(__file__).parents[2] / "fixtures" / "recipes" / "corpus.txt"


def text_of(form):
    """English prose of 13 KB as one text, or its lines as a batch."""
    text = DOCUMENT.read_text(encoding="utf-8")
    return text if form == "single" else text.splitlines()


@applies_to(encodes & timed_by_default)
@pytest.mark.parametrize("form", ["single", "batch"])
def test_tokenization(checkpoint, tokenizer, throughput, form):
    """Time the encoding of a document, and of its lines as a batch."""
    text = text_of(form)
    ids = tokenizer(text)["input_ids"]
    count = len(ids) if form == "single" else sum(map(len, ids))
    throughput(lambda: tokenizer(text), tokens=count, bytes=DOCUMENT.stat().st_size)


@applies_to(encodes & timed_by_default)
@pytest.mark.parametrize("form", ["single", "batch"])
def test_detokenization(checkpoint, tokenizer, throughput, form):
    """Time the decoding of the same ids."""
    ids = tokenizer(text_of(form))["input_ids"]
    decode = tokenizer.decode if form == "single" else tokenizer.batch_decode
    count = len(ids) if form == "single" else sum(map(len, ids))
    throughput(lambda: decode(ids), tokens=count, bytes=DOCUMENT.stat().st_size)
