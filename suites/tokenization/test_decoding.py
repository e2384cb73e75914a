"""Decoding: ids become the text they came from, up to what the files say is normalised away."""

from __future__ import annotations

from hypothesis import assume, example, given, settings

from fixtures import round_trip
from fixtures.applicability import applies_to, has_fact, trait
from fixtures.raw_tokenizer import raw_tokenizer
from fixtures.texts import HOSTILE, PLAIN, TEXTS, texts
from fixtures.tokenizer_files import (
    NAMES,
    added_tokens,
    cleans_up,
    comes_back,
    comes_back_exactly,
    decoder_told,
    encodes,
    keeps_spaces,
    marks_unknown,
    special_ids,
    unknown_token,
)
from fixtures.tokenizing import around, content, ids, knows, private

AS_IT_IS = {"clean_up_tokenization_spaces": False}
BACK = "tokenizer.decode(tokenizer(text, add_special_tokens=False)['input_ids'], clean_up_tokenization_spaces=False)"


@applies_to(comes_back_exactly)
@given(text=texts())
@example(text=HOSTILE)
@example(text=TEXTS["edges"])
@example(text=TEXTS["ladder"])
@example(text=TEXTS["indent"])
@example(text=TEXTS["emoji"])
@example(text=TEXTS["cleaned"])
def test_round_trip_is_exact(checkpoint, tokenizer, expect, text):
    """A tokenizer that covers all bytes and normalises nothing away gives any text back to the letter."""
    assume(not any(token in text for token in added_tokens(checkpoint)))
    got = tokenizer.decode(content(tokenizer, text), **AS_IT_IS)
    expect.equal(got, round_trip.expected(checkpoint, text), BACK, text=text)


@applies_to(comes_back)
@given(text=texts())
@example(text=TEXTS["greeting"])
@example(text=TEXTS["cleaned"])
@example(text=TEXTS["contractions"])
@example(text=TEXTS["accents"])
@example(text=TEXTS["combining"])
@example(text=TEXTS["cyrillic"])
def test_round_trip(checkpoint, tokenizer, expect, text):
    """Any text comes back with every known letter in order, up to normalisation and white space."""
    assume(not any(token in text for token in added_tokens(checkpoint)))
    got = tokenizer.decode(content(tokenizer, text), **AS_IT_IS)
    want = f"the letters of {round_trip.normalised(checkpoint, text)!r} where they are known"
    unknown = tokenizer.unk_token or unknown_token(checkpoint)
    expect.true(round_trip.holds(checkpoint, text, got, unknown), got, want, BACK, text=text)


@applies_to(keeps_spaces)
def test_single_spaces_come_back(checkpoint, tokenizer, expect):
    """Words between single spaces come back as they were."""
    for text in ("the quick brown fox", "one two three four"):
        got = content(tokenizer, text)
        back = tokenizer.decode(got, **AS_IT_IS).strip()
        known = knows(checkpoint, tokenizer, got)
        expect.true(back == text or not known, back, repr(text), BACK, text=text)


@applies_to(decoder_told)
def test_decoding_equals_the_files(checkpoint, tokenizer, expect):
    """Ids decode to what the tokenizer that the files tell makes of them, special tokens skipped or not."""
    raw = raw_tokenizer(checkpoint)
    for text in [*TEXTS.values(), HOSTILE]:
        given_ids = raw.encode(text).ids
        for skip in (False, True):
            call = f"tokenizer.decode(ids, skip_special_tokens={skip}, clean_up_tokenization_spaces=False)"
            got = tokenizer.decode(given_ids, skip_special_tokens=skip, **AS_IT_IS)
            expect.equal(got, raw.decode(given_ids, skip_special_tokens=skip), call, ids=given_ids)


@applies_to(encodes)
def test_fixed_decodings_are_recorded(checkpoint, tokenizer, expect, observe):
    """Decoding with default settings gives a string for each fixed text."""
    for name, text in [*TEXTS.items(), ("hostile", HOSTILE)]:
        got = tokenizer.decode(ids(tokenizer, text))
        observe(f"tokenization/decoded/{name}", got, input=text)
        expect.true(
            isinstance(got, str),
            got,
            "a string",
            "tokenizer.decode(tokenizer(text)['input_ids'])",
            text=text,
        )


@applies_to(encodes)
def test_batch_decode_is_decode_each(checkpoint, tokenizer, expect):
    """A batch, of one row too, decodes to what each row decodes to, whatever is asked for."""
    rows = [ids(tokenizer, text) for text in (*PLAIN, HOSTILE, TEXTS["cleaned"])]
    names = ("skip_special_tokens", "clean_up_tokenization_spaces")
    for asked in ({name: said} for name in names for said in (False, True)):
        got = tokenizer.batch_decode(rows, **asked)
        want = [tokenizer.decode(row, **asked) for row in rows]
        expect.equal(got, want, "tokenizer.batch_decode(rows, **asked)", rows=rows, asked=asked)
    expect.equal(
        tokenizer.batch_decode(rows[:1]),
        [tokenizer.decode(rows[0])],
        "tokenizer.batch_decode([row])",
        row=rows[0],
    )


@applies_to(encodes, marks_unknown)
def test_decode_takes_tensors_and_one_id(checkpoint, tokenizer, expect):
    """Ids as a tensor, an array or a list decode alike, and one id as a list of one."""
    text = TEXTS["greeting"]
    row = ids(tokenizer, text)
    want = tokenizer.decode(row)
    for kind in ("pt", "np"):
        tensor = tokenizer(text, return_tensors=kind)["input_ids"][0]
        expect.equal(
            tokenizer.decode(tensor),
            want,
            f"tokenizer.decode(tokenizer(text, return_tensors={kind!r})['input_ids'][0])",
            text=text,
        )
    expect.equal(
        tokenizer.decode(row[-1]), tokenizer.decode(row[-1:]), "tokenizer.decode(id)", id=row[-1]
    )


@applies_to(encodes)
def test_skipped_special_tokens_leave_the_text(checkpoint, tokenizer, expect):
    """Skipping special tokens decodes to what the text's own ids decode to."""
    # not all_special_ids: of a sentencepiece file it has the pieces that are never cut, too
    special = {getattr(tokenizer, f"{name}_id") for name in NAMES} | special_ids(checkpoint)
    for text in (TEXTS["greeting"], TEXTS["digits"], "a"):
        inner = [i for i in content(tokenizer, text) if i not in special]
        want = tokenizer.decode(inner, **AS_IT_IS)
        got = tokenizer.decode(ids(tokenizer, text), skip_special_tokens=True, **AS_IT_IS)
        expect.equal(
            got,
            want,
            "tokenizer.decode(tokenizer(text)['input_ids'], skip_special_tokens=True, clean_up_tokenization_spaces=False)",
            text=text,
        )


@applies_to(encodes)
def test_kept_special_tokens_are_spelled_out(checkpoint, tokenizer, expect):
    """Unless they are skipped, every special token added to a text is in its decoding, in order."""
    text = TEXTS["greeting"]
    before, behind = around(tokenizer, text)
    got = rest = tokenizer.decode(ids(tokenizer, text), skip_special_tokens=False)
    for token in tokenizer.convert_ids_to_tokens([*before, *behind]):
        _, there, rest = rest.partition(token)
        expect.true(
            bool(there),
            got,
            f"{token!r} in its place",
            "tokenizer.decode(tokenizer(text)['input_ids'])",
            text=text,
        )


@applies_to(encodes)
def test_default_decode_cleans_up_as_configured(checkpoint, tokenizer, expect, observe):
    """Decoding cleans up spaces when the call says so and, unless it says, when the tokenizer's setting does."""
    setting = tokenizer.clean_up_tokenization_spaces
    observe("tokenization/clean-up", bool(setting))
    for text in (TEXTS["cleaned"], TEXTS["contractions"]):
        row = ids(tokenizer, text)
        want = tokenizer.decode(row, clean_up_tokenization_spaces=bool(setting))
        expect.equal(tokenizer.decode(row), want, "tokenizer.decode(ids)", ids=row)
        # a copy of CLIP's decodes otherwise, so that it is compared with itself
        other = private(tokenizer)
        want = other.decode(row, clean_up_tokenization_spaces=bool(setting))
        other.clean_up_tokenization_spaces = not setting
        got = other.decode(row, clean_up_tokenization_spaces=bool(setting))
        call = f"tokenizer.decode(ids, clean_up_tokenization_spaces={bool(setting)}), its own setting the other"
        expect.equal(got, want, call, ids=row)


@applies_to(cleans_up)
def test_clean_up_setting_is_the_files(checkpoint, tokenizer, expect):
    """clean_up_tokenization_spaces is what tokenizer_config.json says."""
    want = checkpoint.tokenizer_config["clean_up_tokenization_spaces"]
    expect.equal(
        tokenizer.clean_up_tokenization_spaces, want, "tokenizer.clean_up_tokenization_spaces"
    )


@applies_to(encodes)
@settings(max_examples=10)
@given(text=texts())
@example(text=TEXTS["cleaned"])
def test_clean_up_only_joins(checkpoint, tokenizer, expect, text):
    """Cleaning up changes nothing but spaces, and "do not"."""
    row = content(tokenizer, text)
    plain = tokenizer.decode(row, **AS_IT_IS)
    got = tokenizer.decode(row, clean_up_tokenization_spaces=True)
    call = "tokenizer.decode(ids, clean_up_tokenization_spaces=True)"
    one, other = (round_trip.contracted(round_trip.letters(said)) for said in (got, plain))
    expect.true(one == other, got, f"the letters of {plain!r}", call, ids=row)


@applies_to(encodes & trait("wordpiece"))
def test_clean_up_joins_what_is_documented(checkpoint, tokenizer, expect):
    """Cleaning up removes the spaces before punctuation and contractions that the documentation lists."""
    for text in (TEXTS["cleaned"], TEXTS["contractions"], TEXTS["greeting"]):
        row = content(tokenizer, text)
        want = round_trip.cleaned(tokenizer.decode(row, **AS_IT_IS))
        got = tokenizer.decode(row, clean_up_tokenization_spaces=True)
        expect.equal(got, want, "tokenizer.decode(ids, clean_up_tokenization_spaces=True)", ids=row)


@applies_to(has_fact("decoding"))
def test_decoding_facts(checkpoint, tokenizer, expect):
    """Golden texts come back as the catalogue knows from elsewhere."""
    for fact in checkpoint.facts_of("decoding"):
        got = tokenizer.decode(ids(tokenizer, fact.input))
        expect.equal(
            got, fact.expect, "tokenizer.decode(tokenizer(text)['input_ids'])", text=fact.input
        )
