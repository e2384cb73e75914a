"""Every way to ask a tokenizer gives the same: rows, tokens and ids; special tokens however they are named."""

from __future__ import annotations

import json

import pytest

from fixtures.applicability import Predicate, applies_to, beside_one, walk_sample
from fixtures.lazy import transformers
from fixtures.loading import SAFE, fresh_tokenizer
from fixtures.published import BERT, GPT2, ROBERTA
from fixtures.publishing import tokens as tokens_of
from fixtures.publishing import write_names, write_vocabulary
from fixtures.texts import TEXTS
from fixtures.tokenizer_files import NAMES, UNLIMITED, encodes, fast, has_pad_token
from fixtures.tokenizing import content, ids, private, some_pad_token

LONG = TEXTS["contractions"]
TRIO = ["a", TEXTS["greeting"], LONG]
# Where one row has nothing, or another token, another one has something: a space, the next word.
ROWS = [("a bcd", "e fg"), ("xy z", "uv w"), ("one two", "three")]
BY_TOKEN = ("token_to_sequence", "token_to_word", "token_to_chars")
BY_WORD = ("word_to_tokens", "word_to_chars")
BY_CHAR = ("char_to_token", "char_to_word")
OTHER = {"left": "right", "right": "left"}
PICTURE, PADDING, MASK = "<|picture|>", "<|padding|>", "<|hidden|>"
WORD = "zqxjkv"
GIVEN = [{"pad_token": PADDING}, {"extra_special_tokens": {"picture_token": PICTURE}}]
LEGACY = (BERT, GPT2, ROBERTA)
# LLaMA's tokenizer alone has both ends switched by its caller.
switched = fast & Predicate(
    "LlamaTokenizer",
    lambda c: (
        c.tokenizer_config.get("tokenizer_class") in ("LlamaTokenizer", "LlamaTokenizerFast")
        and c.model_type in ("llama", "mistral")
    ),
)


@applies_to(fast)
def test_rows_answer_as_they_do_alone(checkpoint, tokenizer, expect):
    """What a row of a batch is asked, from its first token, word and character on, it answers as alone."""
    batch = tokenizer(ROWS)
    for row, pair in enumerate(ROWS):
        alone = tokenizer(*pair)
        of, number = alone.sequence_ids(0), alone.word_ids(0)
        placed = list(zip(of, number, strict=True))
        words = {text: [w for t, w in placed if t == text and w is not None] for text in (0, 1)}
        asked = [(m, (i,)) for m in BY_TOKEN for i in range(len(of))]
        asked += [(m, (w, t)) for m in BY_WORD for t in (0, 1) for w in sorted(set(words[t]))]
        asked += [(m, (at, t)) for m in BY_CHAR for t in (0, 1) for at in range(len(pair[t]))]
        for method, (at, *text) in asked:
            told = dict(zip(("sequence_index",), text, strict=False))
            got = getattr(batch, method)(row, at, **told)
            want = getattr(alone, method)(at, **told)
            call = f"tokenizer(rows).{method}(row, at, **options)"
            expect.equal(got, want, call, rows=ROWS, row=row, at=at, options=told)


@applies_to(fast)
def test_tokens_are_those_of_the_call(checkpoint, tokenizer, expect):
    """tokenize gives the tokens of a call, of one text and of two, with special tokens and without."""
    for texts in ((LONG,), (LONG, "two words")):
        for framed in (False, True):
            got = tokenizer.tokenize(*texts, add_special_tokens=framed)
            want = tokenizer(*texts, add_special_tokens=framed).tokens()
            call = "tokenizer.tokenize(*texts, add_special_tokens=framed)"
            expect.equal(got, want, call, texts=texts, framed=framed)


@applies_to(encodes)
def test_encode_gives_the_ids_of_the_call(checkpoint, tokenizer, expect):
    """encode takes the options of a call, each of them, and gives its ids."""
    own = private(tokenizer)
    own.pad_token = some_pad_token(own)
    special = next(iter(own.all_special_tokens), "a")
    for texts in ((LONG,), (f"a {special} b", LONG)):
        for options in (
            {"padding": True, "pad_to_multiple_of": 64},
            {"padding": "max_length", "max_length": 70, "pad_to_multiple_of": 16},
            {"padding": "max_length", "max_length": 300, "padding_side": "left"},
            {"truncation": "longest_first", "max_length": 12},
            {"add_special_tokens": False},
            {"split_special_tokens": True},
        ):
            got, want = own.encode(*texts, **options), own(*texts, **options)["input_ids"]
            call = "tokenizer.encode(*texts, **options), with a padding token"
            expect.equal(got, want, call, texts=texts, options=options)


@applies_to(encodes)
def test_without_a_maximum_nothing_is_fitted(checkpoint, tokenizer, expect):
    """Where no maximum length is known, padding and truncating to it leave every row as it is."""
    own = private(tokenizer)
    own.pad_token, own.model_max_length = some_pad_token(own), UNLIMITED
    want = dict(own(TRIO))
    for options in (
        {"padding": "max_length"},
        {"truncation": True},
        {"padding": "max_length", "truncation": True},
    ):
        call = f"tokenizer(texts, **options) after tokenizer.model_max_length = {UNLIMITED}"
        expect.equal(dict(own(TRIO, **options)), want, call, texts=TRIO, options=options)


@applies_to(encodes & has_pad_token)
def test_pad_returns_what_it_is_asked_for(checkpoint, tokenizer, expect):
    """`pad` makes tensors or arrays as return_tensors says, of rows that are lists, tensors or arrays."""
    want = dict(tokenizer(TRIO, padding=True))
    for asked in ("pt", "np"):
        kind = type(tokenizer("a", return_tensors=asked)["input_ids"])
        for form in (None, "pt", "np"):
            rows = [dict(tokenizer([text], return_tensors=form)) for text in TRIO]
            rows = [{name: value[0] for name, value in row.items()} for row in rows]
            got = tokenizer.pad(rows, return_tensors=asked)
            call = f"tokenizer.pad(rows, each {form}, return_tensors={asked!r})"
            expect.equal({type(value) for value in got.values()}, {kind}, f"types of {call}")
            got = {name: value.tolist() for name, value in got.items()}
            expect.equal(got, want, call, texts=TRIO)


@applies_to(encodes, walk_sample)
def test_sides_are_told_apart(checkpoint, tokenizer, expect):
    """The side to pad, given at loading, is not the side to cut, nor the other way round."""
    for name, untold in (
        ("padding_side", "truncation_side"),
        ("truncation_side", "padding_side"),
    ):
        told = {name: OTHER[getattr(tokenizer, name)]}
        own = fresh_tokenizer(checkpoint, **told)
        got, want = ({n: getattr(t, n) for n in (name, untold)} for t in (own, tokenizer))
        call = f"vars(AutoTokenizer.from_pretrained(path, **{told}))"
        expect.equal(got, want | told, call)


@applies_to(encodes)
def test_special_tokens_are_set_by_id(checkpoint, tokenizer, expect):
    """Any id, the first and the last among them, makes its token a special one."""
    own = private(tokenizer)
    numbers = own.get_vocab().values()
    for number in (min(numbers), max(numbers)):
        token = own.convert_ids_to_tokens(number)
        for name in NAMES:
            setattr(own, f"{name}_id", number)
            got = [str(getattr(own, name)), getattr(own, f"{name}_id")]
            call = f"[setattr(tokenizer, '{name}_id', number), tokenizer.{name}, tokenizer.{name}_id][1:]"
            want = [token, own.convert_tokens_to_ids(token)]
            expect.equal(got, want, call, number=number)


@applies_to(fast, walk_sample)
@pytest.mark.parametrize("given", GIVEN, ids=["usual", "own"])
def test_tokens_named_at_loading_are_special(checkpoint, expect, given):
    """A new token that loading gives a name, a usual one or one's own, is special wherever that matters."""
    own = fresh_tokenizer(checkpoint, **given)
    call = "AutoTokenizer.from_pretrained(path, **given)"
    token = PADDING if "pad_token" in given else PICTURE
    number = own.convert_tokens_to_ids(token)
    listed = token in own.all_special_tokens and number in own.all_special_ids
    expect.true(listed, own.all_special_tokens, token, f"{call}.all_special_tokens", given=given)
    expect.equal(own.added_tokens_decoder[number].special, True, f"{call}: special", given=given)
    row = content(own, f"yes {token} no")
    expect.equal(row.count(number), 1, f"{call}(text): its id in a text", given=given)
    got = own.get_special_tokens_mask(row, already_has_special_tokens=True)
    expect.equal(got[row.index(number)], 1, f"{call}.get_special_tokens_mask(ids)", ids=row)
    left = own.convert_ids_to_tokens(row, skip_special_tokens=True)
    expect.true(token not in left, left, f"no {token}", f"{call}: tokens not skipped", ids=row)
    left = own.decode([number], skip_special_tokens=True)
    expect.equal(left, "", f"{call}.decode([number], skip_special_tokens=True)", given=given)


@applies_to(beside_one)
@pytest.mark.parametrize("family", LEGACY, ids=str)
def test_added_words_of_old_files_are_words(checkpoint, expect, tmp_path, family):
    """Of the tokens in added_tokens.json, those that the files give a name are special, and no others."""
    donor = checkpoint.path.parent / family.donor
    write_names(family, tmp_path)
    write_vocabulary(family, donor, tmp_path)
    size = len(tokens_of(family, donor))
    named = {f"{name}_token": token for name, token in family.special.items()}
    for name, said in (
        ("special_tokens_map", named | {"mask_token": MASK}),
        ("added_tokens", {WORD: size, MASK: size + 1}),
    ):
        (tmp_path / f"{name}.json").write_text(json.dumps(said), encoding="utf-8")
    own = transformers.AutoTokenizer.from_pretrained(tmp_path, **SAFE)
    call = f"AutoTokenizer.from_pretrained({family} with added_tokens.json)"
    got = [own.convert_tokens_to_ids(token) for token in (WORD, MASK)]
    expect.equal(got, [size, size + 1], f"{call}.convert_tokens_to_ids(tokens)")
    got = {str(t): t.special for t in own.added_tokens_decoder.values()}
    expect.equal([got[WORD], got[MASK]], [False, True], f"{call}: which are special")
    listed = [token in own.all_special_tokens for token in (WORD, MASK)]
    expect.equal(listed, [False, True], f"{call}: which all_special_tokens lists")
    row = content(own, f"{WORD} {MASK}")
    left = own.decode(row, skip_special_tokens=True).strip()
    expect.equal(left, WORD, f"{call}.decode(ids, skip_special_tokens=True)", ids=row)


@applies_to(switched)
def test_ends_are_of_their_text(checkpoint, tokenizer, expect):
    """What a caller has put before and behind each of two texts has the type of that text."""
    own, pair = private(tokenizer), ("a b", "two words")
    for first, last in ((True, True), (False, True), (True, False)):
        own.add_bos_token, own.add_eos_token = first, last
        want = [of for of, text in enumerate(pair) for _ in ids(own, text)]
        got = own(*pair, return_token_type_ids=True)["token_type_ids"]
        call = f"tokenizer(*pair)['token_type_ids'], add_bos_token={first}, add_eos_token={last}"
        expect.equal(got, want, call, pair=pair)
