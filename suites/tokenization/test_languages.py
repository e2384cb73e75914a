"""Translation tokenizers: the language codes stand where the family puts them."""

from __future__ import annotations

import pytest

from fixtures.applicability import applies_to
from fixtures.texts import TEXTS
from fixtures.tokenizer_files import by_codes, language_codes, translates, vocabulary
from fixtures.tokenizing import content, framed, private

TEXT = TEXTS["greeting"]


@applies_to(by_codes)
def test_source_language_frames_the_text(checkpoint, tokenizer, expect):
    """Setting src_lang puts that language's code where the family has it, for every call after."""
    own, inner = private(tokenizer), content(tokenizer, TEXT)
    for code in language_codes(checkpoint)[:3]:
        own.src_lang = code
        want = framed(checkpoint, vocabulary(checkpoint)[code], own.eos_token_id, inner)
        # not first a call: that sets what the language is made of anew
        for ask, call in (
            (own.encode, "encode"),
            (lambda text: own(text)["input_ids"], "__call__"),
        ):
            said = f"[setattr(tokenizer, 'src_lang', code), ids of tokenizer.{call}(text)][-1]"
            expect.equal(ask(TEXT), want, said, code=code, text=TEXT)


@applies_to(by_codes)
def test_target_text_has_the_target_language(checkpoint, tokenizer, expect):
    """text_target is encoded with tgt_lang's code, and the source language is back after it."""
    own, inner = private(tokenizer), content(tokenizer, TEXT)
    source, target = language_codes(checkpoint)[:2]
    own.src_lang, own.tgt_lang = source, target
    got = own(TEXT, text_target=TEXT)
    known = vocabulary(checkpoint)
    set_both = "[setattr(tokenizer, 'src_lang', source), setattr(tokenizer, 'tgt_lang', target), tokenizer(text, text_target=text)][-1]"
    for key, code in (("labels", target), ("input_ids", source)):
        want = framed(checkpoint, known[code], own.eos_token_id, inner)
        expect.equal(
            got[key], want, f"{set_both}[{key!r}]", source=source, target=target, text=TEXT
        )
    again = framed(checkpoint, known[source], own.eos_token_id, inner)
    for last in (set_both, "tokenizer(text_target=text)"):
        call = f"{last} and then tokenizer.encode(text)"
        expect.equal(own.encode(TEXT), again, call, source=source, target=target, text=TEXT)
        own(text_target=TEXT)


@applies_to(translates)
@pytest.mark.parametrize("name", ["src_lang", "tgt_lang"])
def test_default_languages_are_the_files(checkpoint, tokenizer, expect, name):
    """src_lang and tgt_lang are what tokenizer_config.json says."""
    want = checkpoint.tokenizer_config.get(name)
    got = getattr(tokenizer, name)
    expect.true(
        want is None or got == want,
        got,
        f"{want!r}, from tokenizer_config.json",
        f"tokenizer.{name}",
    )


@applies_to(translates)
def test_language_codes_are_special(checkpoint, tokenizer, expect):
    """Language codes have the files' ids and are skipped with the special tokens."""
    known = vocabulary(checkpoint)
    codes = language_codes(checkpoint)
    got = tokenizer.convert_tokens_to_ids(codes)
    expect.equal(
        got, [known[code] for code in codes], "tokenizer.convert_tokens_to_ids(codes)", codes=codes
    )
    left = tokenizer.decode(got, skip_special_tokens=True).strip()
    expect.equal(left, "", "tokenizer.decode(ids, skip_special_tokens=True).strip()", ids=got)
