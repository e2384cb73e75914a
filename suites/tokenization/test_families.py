"""Classes of tokenizers, each over a small vocabulary: they do what their family's release does."""

from __future__ import annotations

from functools import lru_cache

import pytest

from fixtures.applicability import applies_to, beside_one
from fixtures.lazy import transformers
from fixtures.loading import SAFE
from fixtures.published import FAMILIES
from fixtures.publishing import published, write_names, write_vocabulary
from fixtures.texts import HOSTILE, TEXTS

PAIR = ("one two", "three")
TYPES = {"return_token_type_ids": True}
WAYS = ("released", "vocabulary")
SPACED = {family.name: family for family in reversed(FAMILIES) if family.spaced}.values()
as_released = lru_cache(maxsize=1)(published)


def made(checkpoint, family, way, directory):
    """The library's tokenizer of a family's files, and how it was asked for."""
    donor = checkpoint.path.parent / family.donor
    write_names(family, directory)
    if way == "released":
        as_released(family, donor).save(str(directory / "tokenizer.json"))
    else:
        write_vocabulary(family, donor, directory)
    options = dict(family.options or {})
    own = transformers.AutoTokenizer.from_pretrained(directory, **SAFE, **options)
    return own, as_released(family, donor), f"AutoTokenizer.from_pretrained({family}, {way})"


@applies_to(beside_one)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("family", FAMILIES, ids=str)
def test_families_cut_texts_as_released(checkpoint, expect, tmp_path, family, way):
    """Of the family's tokenizer.json or its vocabulary files, a tokenizer cuts and joins as its release does."""
    own, raw, call = made(checkpoint, family, way, tmp_path)
    for text in (*TEXTS.values(), HOSTILE):
        want = raw.encode(text).ids
        expect.equal(own(text)["input_ids"], want, f"{call}(text)['input_ids']", text=text)
        back = own.decode(want, clean_up_tokenization_spaces=False)
        wanted = raw.decode(want, skip_special_tokens=False)
        expect.equal(back, wanted, f"{call}.decode(ids)", ids=want)


@applies_to(beside_one)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("family", FAMILIES, ids=str)
def test_families_frame_texts_as_released(checkpoint, expect, tmp_path, family, way):
    """Its special tokens have their names and ids, and stand around one text and two."""
    own, raw, call = made(checkpoint, family, way, tmp_path)
    named = {name: getattr(own, f"{name}_token") for name in family.special}
    expect.equal(named, dict(family.special), f"special tokens of {call}")
    tokens = [token.content for token in raw.get_added_tokens_decoder().values()]
    ids = [raw.token_to_id(token) for token in tokens]
    expect.equal(own.convert_tokens_to_ids(tokens), ids, f"{call}.convert_tokens_to_ids(tokens)")
    expect.equal(own.decode(ids, skip_special_tokens=True), "", f"{call}.decode(ids), skipping")
    for texts in (("one two",), PAIR):
        got, want = own(*texts, **TYPES), raw.encode(*texts)
        expect.equal(got["input_ids"], want.ids, f"{call}(*texts)['input_ids']", texts=texts)
        types = f"{call}(*texts)['token_type_ids']"
        expect.equal(got["token_type_ids"], want.type_ids, types, texts=texts)


@applies_to(beside_one)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("family", SPACED, ids=str)
def test_masks_take_the_space_before_them(checkpoint, expect, tmp_path, family, way):
    """A mask that its family made take the space before it (Liu et al. 2019: it stands for a word) does so."""
    own, raw, call = made(checkpoint, family, way, tmp_path)
    text = f"one  {own.mask_token} two"
    expect.equal(own(text)["input_ids"], raw.encode(text).ids, f"{call}(text)", text=text)
    token = own.added_tokens_decoder[own.mask_token_id]
    expect.equal((token.lstrip, token.rstrip), (True, False), f"{call}: lstrip, rstrip of its mask")
