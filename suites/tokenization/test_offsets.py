"""Offsets and pairs: every token knows the text, the characters and the word it came from."""

from __future__ import annotations

import itertools

from hypothesis import example, given, settings

from fixtures.applicability import applies_to, model_type
from fixtures.raw_tokenizer import raw_tokenizer
from fixtures.texts import HOSTILE, PLAIN, TEXTS, texts
from fixtures.tokenizer_files import built_of_vocabulary, fast, offsets_told, pairs_told, slices
from fixtures.tokenizing import MASKS, content, ids, knows

OFFSETS = {"return_offsets_mapping": True}
LATIN = [TEXTS[name] for name in ("greeting", "amazing", "capitals", "digits", "code", "url")]


@applies_to(offsets_told)
@settings(max_examples=15)
@given(text=texts())
@example(text=HOSTILE)
@example(text=TEXTS["emoji"])
@example(text=TEXTS["combining"])
@example(text=TEXTS["spaces"])
def test_offsets_equal_the_files(checkpoint, tokenizer, expect, text):
    """Offsets are those of the tokenizer that the files tell."""
    want = raw_tokenizer(checkpoint).encode(text).offsets
    got = tokenizer(text, **OFFSETS)["offset_mapping"]
    expect.equal(
        got, want, "tokenizer(text, return_offsets_mapping=True)['offset_mapping']", text=text
    )


@applies_to(fast)
@settings(max_examples=15)
@given(text=texts())
@example(text=HOSTILE)
def test_offsets_lie_in_the_text(checkpoint, tokenizer, expect, text):
    """Offsets start and end inside the text and never go back."""
    got = tokenizer(text, add_special_tokens=False, **OFFSETS)["offset_mapping"]
    inside = all(0 <= start <= end <= len(text) for start, end in got)
    ordered = all(a[0] <= b[0] for a, b in itertools.pairwise(got))
    expect.true(
        inside and ordered,
        got,
        f"ascending spans within {len(text)} characters",
        "tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)['offset_mapping']",
        text=text,
    )


@applies_to(slices)
def test_offsets_slice_the_text(checkpoint, tokenizer, expect):
    """The characters a token points to are the characters it stands for, and all are covered."""
    for text in LATIN:
        got = tokenizer(text, add_special_tokens=False, **OFFSETS)
        cut = [text[start:end] for start, end in got["offset_mapping"]]
        covered = "".join("".join(cut).split())
        expect.equal(
            covered,
            "".join(text.split()),
            "''.join(text[a:b] for a, b in tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)['offset_mapping'])",
            text=text,
        )
        for piece, token, number in zip(cut, got.tokens(), got["input_ids"], strict=True):
            bare = token.removeprefix("##").lstrip("\u0120\u2581").lower()
            known = knows(checkpoint, tokenizer, [number])
            expect.true(
                not known or piece.strip().lower() == bare,
                piece,
                f"{bare!r}, the token",
                "[text[a:b] for a, b in tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)['offset_mapping']]",
                text=text,
            )


@applies_to(fast)
def test_special_tokens_have_empty_offsets(checkpoint, tokenizer, expect):
    """Tokens that were added to a text point to no character of it and belong to no word or text."""
    text = TEXTS["greeting"]
    got = tokenizer(text, return_special_tokens_mask=True, **OFFSETS)
    rows = zip(
        got["special_tokens_mask"],
        got["offset_mapping"],
        got.word_ids(),
        got.sequence_ids(),
        strict=True,
    )
    for special, (start, end), word, sequence in rows:
        holds = (
            (start == end and word is None and sequence is None)
            if special
            else (end > start or word is not None) and sequence == 0
        )
        expect.true(
            holds,
            [special, (start, end), word, sequence],
            "nothing where special, a place where not",
            "tokenizer(text, return_offsets_mapping=True).encodings[0]",
            text=text,
        )


@applies_to(fast)
def test_characters_and_tokens_map_to_each_other(checkpoint, tokenizer, expect):
    """char_to_token finds the token whose offsets hold the character, token_to_chars those offsets."""
    for text in LATIN:
        got = tokenizer(text, **OFFSETS)
        spans = got["offset_mapping"]
        for at in range(len(text)):
            token = got.char_to_token(at)
            held = [i for i, (start, end) in enumerate(spans) if start <= at < end]
            expect.true(
                token in held if held else token is None,
                token,
                f"one of {held}",
                "tokenizer(text).char_to_token(at)",
                text=text,
                at=at,
            )
        for i, (start, end) in enumerate(spans):
            chars = got.token_to_chars(i)
            if got.sequence_ids()[i] is not None:
                expect.equal(
                    tuple(chars) if chars else (0, 0),
                    (start, end),
                    "tokenizer(text).token_to_chars(i)",
                    text=text,
                    i=i,
                )


@applies_to(fast)
def test_words_and_tokens_map_to_each_other(checkpoint, tokenizer, expect):
    """word_ids, token_to_word, word_to_tokens, word_to_chars and char_to_word tell one story."""
    for text in (TEXTS["greeting"], TEXTS["contractions"]):
        got = tokenizer(text, **OFFSETS)
        words, spans = got.word_ids(), got["offset_mapping"]
        single = [got.token_to_word(i) for i in range(len(words))]
        expect.equal(
            single, words, "[tokenizer(text).token_to_word(i) for i in range(len(ids))]", text=text
        )
        for word in {w for w in words if w is not None}:
            held = [i for i, w in enumerate(words) if w == word]
            expect.equal(
                tuple(got.word_to_tokens(word)),
                (held[0], held[-1] + 1),
                "tokenizer(text).word_to_tokens(word)",
                text=text,
                word=word,
            )
            chars = got.word_to_chars(word)
            expect.equal(
                tuple(chars),
                (spans[held[0]][0], spans[held[-1]][1]),
                "tokenizer(text).word_to_chars(word)",
                text=text,
                word=word,
            )
            if chars.end > chars.start:
                expect.equal(
                    got.char_to_word(chars.end - 1),
                    word,
                    "tokenizer(text).char_to_word(at)",
                    text=text,
                    at=chars.end - 1,
                )


@applies_to(fast)
def test_rows_of_a_batch_keep_their_own_words(checkpoint, tokenizer, expect):
    """Tokens, words and offsets of a row of a batch are those of the text alone."""
    got = tokenizer(list(PLAIN), **OFFSETS)
    for row, text in enumerate(PLAIN):
        alone = tokenizer(text, **OFFSETS)
        both = [
            got.tokens(row),
            got.word_ids(row),
            got["offset_mapping"][row],
            got.sequence_ids(row),
        ]
        want = [alone.tokens(), alone.word_ids(), alone["offset_mapping"], alone.sequence_ids()]
        expect.equal(both, want, "tokenizer(texts).tokens(row)", texts=PLAIN, row=row)


@applies_to(pairs_told)
@settings(max_examples=10)
@given(first=texts(), second=texts().filter(bool))
@example(first=TEXTS["greeting"], second=TEXTS["sentiment"])
@example(first=TEXTS["edges"], second=TEXTS["combining"])
@example(first=TEXTS["metaspace"], second=TEXTS["cjk"])
def test_pairs_equal_the_files(checkpoint, tokenizer, expect, first, second):
    """Two texts are joined, typed and masked as the post-processor in the files says.

    An empty second text is no second text to the library: not tried.
    """
    got = tokenizer(first, second, **MASKS)
    want = raw_tokenizer(checkpoint).encode(first, second)
    expect.equal(
        got["input_ids"],
        want.ids,
        "tokenizer(first, second)['input_ids']",
        first=first,
        second=second,
    )
    expect.equal(
        got["token_type_ids"],
        want.type_ids,
        "tokenizer(first, second, return_token_type_ids=True)['token_type_ids']",
        first=first,
        second=second,
    )
    expect.equal(
        got["special_tokens_mask"],
        want.special_tokens_mask,
        "tokenizer(first, second, return_special_tokens_mask=True)['special_tokens_mask']",
        first=first,
        second=second,
    )


@applies_to(fast)
def test_pairs_hold_both_texts_in_order(checkpoint, tokenizer, expect):
    """The ids of a pair are those of the first text, then of the second, between special tokens."""
    first, second = TEXTS["greeting"], TEXTS["sentiment"]
    got = tokenizer(first, second)
    for number, text in ((0, first), (1, second)):
        inner = [
            i for i, of in zip(got["input_ids"], got.sequence_ids(), strict=True) if of == number
        ]
        want = content(tokenizer, text)
        # some post-processors give the second text a prefix space of its own
        expect.true(
            inner == want or inner == content(tokenizer, " " + text),
            inner,
            f"{want}, the ids of text {number}",
            "tokenizer(first, second)",
            first=first,
            second=second,
        )


@applies_to(fast)
def test_batch_of_pairs_is_pairs(checkpoint, tokenizer, expect):
    """Two lists of texts, and a list of pairs, encode to what each pair encodes to."""
    firsts, seconds = list(PLAIN[:4]), list(PLAIN[4:8])
    want = [ids(tokenizer, a, b) for a, b in zip(firsts, seconds, strict=True)]
    expect.equal(
        tokenizer(firsts, seconds)["input_ids"],
        want,
        "tokenizer(firsts, seconds)['input_ids']",
        firsts=firsts,
        seconds=seconds,
    )
    both = list(zip(firsts, seconds, strict=True))
    expect.equal(tokenizer(both)["input_ids"], want, "tokenizer(pairs)['input_ids']", pairs=both)


@applies_to(fast)
def test_characters_of_the_second_text_are_its_own(checkpoint, tokenizer, expect):
    """In a pair, characters and tokens map to each other within the text they belong to."""
    first, second = TEXTS["greeting"], TEXTS["amazing"]
    got = tokenizer(first, second, **OFFSETS)
    owners = got.sequence_ids()
    for i, owner in enumerate(owners):
        if owner is None:
            continue
        expect.equal(
            got.token_to_sequence(i),
            owner,
            "tokenizer(first, second).token_to_sequence(i)",
            first=first,
            second=second,
            i=i,
        )
        start, end = got["offset_mapping"][i]
        if end > start:
            token = got.char_to_token(end - 1, sequence_index=owner)
            held = [
                j
                for j, (a, b) in enumerate(got["offset_mapping"])
                if owners[j] == owner and a < end <= b
            ]
            expect.true(
                token in held,
                token,
                f"one of {held}",
                "tokenizer(first, second).char_to_token(at, sequence_index=owner)",
                first=first,
                second=second,
                at=end - 1,
                owner=owner,
            )


@applies_to(fast)
def test_rows_of_a_batch_can_be_taken(checkpoint, tokenizer, expect):
    """Indexing a batch gives a row's encoding, slicing gives rows, and `to` keeps the values."""
    got = tokenizer(list(PLAIN))
    want = got["input_ids"]
    expect.equal(got[1].ids, want[1], "tokenizer(texts)[1].ids", texts=PLAIN)
    expect.equal(
        [row.ids for row in got[1:3]],
        want[1:3],
        "[row.ids for row in tokenizer(texts)[1:3]]",
        texts=PLAIN,
    )
    expect.equal(len(got.encodings), len(PLAIN), "len(tokenizer(texts).encodings)", texts=PLAIN)
    one = tokenizer(PLAIN[0], return_tensors="pt").to("cpu")
    expect.equal(
        one["input_ids"],
        [want[0]],
        "tokenizer(text, return_tensors='pt').to('cpu')['input_ids']",
        text=PLAIN[0],
    )


@applies_to(fast)
def test_words_of_a_pair_are_numbered_in_each_text(checkpoint, tokenizer, expect):
    """word_ids of a pair begin again with the second text, and number it as it is numbered alone."""
    pair = (TEXTS["greeting"], TEXTS["contractions"])
    got = tokenizer(*pair)
    words, texts_of = got.word_ids(), got.sequence_ids()
    for number, text in enumerate(pair):
        alone = tokenizer(text, add_special_tokens=False).word_ids()
        value = [word for word, of in zip(words, texts_of, strict=True) if of == number]
        call = f"word_ids() of tokenizer(*pair) where sequence_ids() is {number}"
        expect.equal(value, alone, call, pair=pair)


@applies_to(fast & built_of_vocabulary, model_type("roberta", "bart"))
def test_spaces_are_not_part_of_words(checkpoint, tokenizer, expect):
    """RobertaTokenizer leaves the space before a word out of its offsets (trim_offsets, true by default)."""
    text = "hello world one two"
    places = tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
    parts = [text[start:end] for start, end in places]
    call = "[text[a:b] for a, b in tokenizer(text, return_offsets_mapping=True)['offset_mapping']]"
    expect.true(not any(" " in part for part in parts), parts, "no space", call, text=text)
