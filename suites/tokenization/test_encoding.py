"""Encoding: text becomes the ids that the files say, whichever way it is asked for."""

from __future__ import annotations

from itertools import compress

import pytest
from hypothesis import example, given, settings

from fixtures.applicability import applies_to, has_fact
from fixtures.raw_tokenizer import raw_tokenizer, sentencepiece_model
from fixtures.round_trip import letters
from fixtures.texts import FIXED, HOSTILE, PLAIN, TEXTS, long_text, sentences, texts
from fixtures.tokenizer_files import (
    encodes,
    fast,
    makes_letters,
    marks_unknown,
    pieces_are_tokens,
    special_ids,
    told,
    two_implementations,
    unknown_is_told,
)
from fixtures.tokenizing import MASKS, content, ids, knows, slow_tokenizer


def seen(encoding) -> dict[str, list]:
    """Everything an encoding of one text says, under the names `tokenizers` uses."""
    return {
        "tokens": encoding.tokens(),
        "ids": encoding["input_ids"],
        "type_ids": encoding["token_type_ids"],
        "attention_mask": encoding["attention_mask"],
        "special_tokens_mask": encoding["special_tokens_mask"],
    }


def told_by_files(raw, text: str, pair: str | None = None, special: bool = True) -> dict[str, list]:
    """The same from the files' tokenizer."""
    encoding = raw.encode(text, pair, add_special_tokens=special)
    names = ("tokens", "ids", "type_ids", "attention_mask", "special_tokens_mask")
    return {name: getattr(encoding, name) for name in names}


@applies_to(told)
@given(text=texts())
@example(text=HOSTILE)
@example(text=TEXTS["edges"])
@example(text=TEXTS["metaspace"])
@example(text=TEXTS["combining"])
def test_encoding_equals_the_files(checkpoint, tokenizer, expect, text):
    """Any text encodes to the tokens, ids, types and masks of the tokenizer that the files tell."""
    want = told_by_files(raw_tokenizer(checkpoint), text)
    expect.equal(
        seen(tokenizer(text, **MASKS)), want, "tokenizer(text, **masks)", text=text, masks=MASKS
    )


@applies_to(told)
def test_fixed_texts_encode_as_the_files_say(checkpoint, tokenizer, expect):
    """Each fixed text has the ids that the tokenizer told by the files gives, with special tokens and without."""
    raw, corpus = raw_tokenizer(checkpoint), [*TEXTS.values(), HOSTILE]
    for special in (True, False):
        got = tokenizer(corpus, add_special_tokens=special)["input_ids"]
        for text, row in zip(corpus, got, strict=True):
            call = f'tokenizer(text, add_special_tokens={special})["input_ids"]'
            expect.equal(row, raw.encode(text, add_special_tokens=special).ids, call, text=text)


@applies_to(encodes)
def test_fixed_texts_are_recorded(checkpoint, tokenizer, expect, observe):
    """Each fixed text encodes to ids, all of them in the vocabulary."""
    numbers = set(tokenizer.get_vocab().values())
    for entry in [*FIXED, None]:
        name, text = (entry.name, entry.text) if entry else ("hostile", HOSTILE)
        got = tokenizer(text)["input_ids"]
        observe(f"tokenization/ids/{name}", got, input=text)
        known = all(isinstance(i, int) and i in numbers for i in got)
        expect.true(
            known,
            got,
            "ids of the vocabulary",
            'tokenizer(text)["input_ids"]',
            text=text,
        )


@applies_to(pieces_are_tokens)
def test_pieces_equal_sentencepiece(checkpoint, tokenizer, expect):
    """Plain sentences are cut into the pieces sentencepiece itself cuts them into."""
    model = sentencepiece_model(checkpoint)
    for text in PLAIN:
        got = tokenizer.convert_ids_to_tokens(content(tokenizer, text))
        unknown = model.id_to_piece(model.unk_id())
        want = [model.id_to_piece(i) for i in model.encode(text)]
        got = [unknown if token == tokenizer.unk_token else token for token in got]
        expect.equal(got, want, "tokenizer.tokenize(text)", text=text)


@applies_to(two_implementations)
@settings(max_examples=10)
@given(text=sentences())
@example(text=" ".join(PLAIN[:4]))
@example(text=PLAIN[5])
def test_fast_equals_slow(checkpoint, tokenizer, expect, text):
    """The slow and the fast implementation give plain sentences the same ids."""
    slow = slow_tokenizer(checkpoint)
    expect.equal(ids(tokenizer, text), ids(slow, text), 'tokenizer(text)["input_ids"]', text=text)


@applies_to(two_implementations)
def test_fast_and_slow_share_special_tokens(checkpoint, tokenizer, expect):
    """The slow and the fast implementation have the same special tokens and vocabulary size."""
    slow = slow_tokenizer(checkpoint)
    want = {
        name: str(token)
        for name, token in slow.special_tokens_map.items()
        if isinstance(token, str)
    }
    got = {
        name: str(token)
        for name, token in tokenizer.special_tokens_map.items()
        if isinstance(token, str)
    }
    expect.equal(got, want, "tokenizer.special_tokens_map")
    expect.equal(len(tokenizer), len(slow), "len(tokenizer)")


@applies_to(encodes)
@settings(max_examples=10)
@given(text=texts())
@example(text="")
@example(text=TEXTS["greeting"])
def test_ways_to_encode_agree(checkpoint, tokenizer, expect, text):
    """Calling, `encode` and `tokenize` followed by conversion give the same ids."""
    want, bare = ids(tokenizer, text), content(tokenizer, text)
    expect.equal(tokenizer.encode(text), want, "tokenizer.encode(text)", text=text)
    expect.equal(
        tokenizer.encode(text, add_special_tokens=False),
        bare,
        "tokenizer.encode(text, add_special_tokens=False)",
        text=text,
    )
    tokens = tokenizer.tokenize(text)
    # an added token that takes the spaces beside it is spelled with them
    spaced = {token for token in tokens if token != token.strip()}
    added = tokenizer.get_added_vocab() if spaced else {}
    tokens = [t.strip() if t in spaced and t.strip() in added else t for t in tokens]
    pieces = tokenizer.convert_tokens_to_ids(tokens)
    if not unknown_is_told(checkpoint):
        vocabulary = tokenizer.get_vocab()
        known = [token in vocabulary for token in tokens]
        pieces, bare = list(compress(pieces, known)), list(compress(bare, known))
    expect.equal(
        pieces, bare, "tokenizer.convert_tokens_to_ids(tokenizer.tokenize(text))", text=text
    )


@applies_to(fast)
def test_tokenize_can_add_special_tokens(checkpoint, tokenizer, expect):
    """`tokenize` with special tokens gives the tokens of the ids that a call gives."""
    text = TEXTS["greeting"]
    got = tokenizer.convert_tokens_to_ids(tokenizer.tokenize(text, add_special_tokens=True))
    call = "tokenizer.convert_tokens_to_ids(tokenizer.tokenize(text, add_special_tokens=True))"
    expect.equal(got, ids(tokenizer, text), call, text=text)


@applies_to(encodes)
def test_empty_text_is_only_special_tokens(checkpoint, tokenizer, expect):
    """No text gives no ids but special ones."""
    expect.equal(content(tokenizer, ""), [], 'tokenizer("", add_special_tokens=False)["input_ids"]')
    special = set(tokenizer.all_special_ids) | special_ids(checkpoint)
    got = ids(tokenizer, "")
    expect.true(
        set(got) <= special, got, f"ids among {sorted(special)[:20]}", 'tokenizer("")["input_ids"]'
    )


@applies_to(encodes, marks_unknown, makes_letters)
def test_long_text_is_not_cut(checkpoint, tokenizer, expect):
    """A text beyond the maximum length is encoded whole unless truncation is asked for."""
    text = long_text(700)
    got = content(tokenizer, text)
    back = tokenizer.decode(got, clean_up_tokenization_spaces=False)
    ends = letters(back).lower().endswith(letters(text[-12:]))
    known = knows(checkpoint, tokenizer, got[-4:])
    expect.true(
        len(got) >= 100,
        len(got),
        "at least 100 ids",
        "len(tokenizer(text)['input_ids'])",
        text=text,
    )
    expect.true(
        ends or not known,
        back[-40:],
        f"the text's end, {text[-12:]!r}",
        "tokenizer.decode(tokenizer(text, add_special_tokens=False)['input_ids'])",
        text=text,
    )


@applies_to(told)
def test_long_text_equals_the_files(checkpoint, tokenizer, expect):
    """A very long text is encoded as the tokenizer that the files tell encodes it."""
    text = long_text(700, seed=1) + HOSTILE
    expect.equal(
        ids(tokenizer, text),
        raw_tokenizer(checkpoint).encode(text).ids,
        'tokenizer(text)["input_ids"]',
        text=text,
    )


@applies_to(encodes)
def test_masks_without_padding_are_ones(checkpoint, tokenizer, expect):
    """Without padding the attention mask is one for every id."""
    for text in PLAIN:
        got = tokenizer(text, return_attention_mask=True)
        expect.equal(
            got["attention_mask"],
            [1] * len(got["input_ids"]),
            'tokenizer(text)["attention_mask"]',
            text=text,
        )


@applies_to(encodes)
def test_special_tokens_mask_marks_what_was_added(checkpoint, tokenizer, expect):
    """special_tokens_mask is one exactly where special tokens were added around the text."""
    for text in (TEXTS["greeting"], TEXTS["cyrillic"]):
        got = tokenizer(text, return_special_tokens_mask=True)
        left = [
            i
            for i, mask in zip(got["input_ids"], got["special_tokens_mask"], strict=True)
            if not mask
        ]
        call = 'tokenizer(text, return_special_tokens_mask=True)["special_tokens_mask"]'
        unknown = tokenizer.unk_token_id
        want = content(tokenizer, text)
        # slow implementations ask only whether an id is special, and unknown is
        expect.true(
            left in (want, [i for i in want if i != unknown]),
            left,
            f"the ids of the text, {want}",
            call,
            text=text,
        )


@applies_to(fast, marks_unknown)
def test_split_words_encode_word_by_word(checkpoint, tokenizer, expect):
    """Words given split keep their number: word_ids tells the word of each token."""
    words = ["Hello", "unbelievable", "world", "42"]
    try:
        got = tokenizer(words, is_split_into_words=True, add_special_tokens=False)
    except (AssertionError, ValueError) as refusal:
        # byte-level tokenizers without a prefix space say how to be loaded for this
        expect.true(
            "add_prefix_space" in str(refusal),
            str(refusal),
            "the way out: add_prefix_space",
            "tokenizer(words, is_split_into_words=True)",
            words=words,
        )
        return
    numbers = got.word_ids()
    expect.equal(
        sorted(set(numbers)),
        [0, 1, 2, 3],
        "sorted(set(tokenizer(words, is_split_into_words=True, add_special_tokens=False).word_ids()))",
        words=words,
    )
    expect.equal(
        numbers,
        sorted(numbers),
        "tokenizer(words, is_split_into_words=True, add_special_tokens=False).word_ids()",
        words=words,
    )


@applies_to(encodes)
def test_keys_are_the_models(checkpoint, tokenizer, expect, observe):
    """A call returns the inputs that the tokenizer names as its model's, as equally long lists."""
    got = tokenizer(TEXTS["greeting"])
    observe("tokenization/keys", sorted(got), input=TEXTS["greeting"])
    expect.equal(
        sorted(got), sorted(tokenizer.model_input_names), 'sorted(tokenizer("Hello, how are you?"))'
    )
    lengths = {name: len(got[name]) for name in got}
    expect.true(
        len(set(lengths.values())) == 1,
        lengths,
        "one length",
        "{k: len(v) for k, v in tokenizer('Hello, how are you?').items()}",
    )


@applies_to(encodes)
def test_asked_for_keys_are_returned(checkpoint, tokenizer, expect):
    """return_attention_mask, return_token_type_ids and return_length switch their outputs on and off."""
    text = TEXTS["greeting"]
    asked = {"return_attention_mask": True, "return_token_type_ids": True, "return_length": True}
    got = tokenizer(text, **asked)
    expect.true(
        {"input_ids", "attention_mask", "token_type_ids", "length"} <= set(got),
        sorted(got),
        "all that was asked for",
        "sorted(tokenizer(text, **asked))",
        text=text,
        asked=asked,
    )
    length = got["length"][0] if isinstance(got["length"], list) else got["length"]
    expect.equal(
        length, len(got["input_ids"]), "tokenizer(text, **asked)['length']", text=text, asked=asked
    )
    none = dict.fromkeys(asked, False)
    expect.equal(
        sorted(tokenizer(text, **none)),
        ["input_ids"],
        "sorted(tokenizer(text, **none))",
        text=text,
        none=none,
    )


@applies_to(encodes)
@pytest.mark.parametrize("kind", ["pt", "np"])
def test_tensors_of_no_text_are_whole_numbers(checkpoint, tokenizer, expect, kind):
    """No text is one row of no ids, int64 as ids are."""
    options = {"add_special_tokens": False, "return_tensors": kind}
    got = tokenizer("", **options)["input_ids"]
    value = [str(got.dtype).removeprefix("torch."), list(got.shape)]
    call = "tokenizer('', **options)['input_ids']: dtype, shape"
    expect.equal(value, ["int64", [1, 0]], call, options=options)


@applies_to(encodes)
@pytest.mark.parametrize("kind", ["pt", "np"])
def test_tensors_hold_the_lists(checkpoint, tokenizer, expect, kind):
    """return_tensors gives int64 tensors of shape (1, length) with the values of the lists."""
    text = TEXTS["greeting"]
    lists, got = tokenizer(text), tokenizer(text, return_tensors=kind)
    for name in lists:
        call = f"tokenizer(text, return_tensors={kind!r})[{name!r}]"
        expect.equal(got[name].tolist(), [lists[name]], call, text=text)
        expect.equal(
            str(got[name].dtype).removeprefix("torch."), "int64", f"{call}.dtype", text=text
        )


@applies_to(has_fact("encoding"))
def test_encoding_facts(checkpoint, tokenizer, expect):
    """Golden texts encode to the ids that the catalogue knows from elsewhere."""
    for fact in checkpoint.facts_of("encoding"):
        expect.equal(
            ids(tokenizer, fact.input), fact.expect, 'tokenizer(text)["input_ids"]', text=fact.input
        )


@applies_to(has_fact("tokens"))
def test_token_facts(checkpoint, tokenizer, expect):
    """Golden texts are cut into the tokens that the catalogue knows from elsewhere."""
    for fact in checkpoint.facts_of("tokens"):
        expect.equal(
            tokenizer.tokenize(fact.input), fact.expect, "tokenizer.tokenize(text)", text=fact.input
        )
