"""What a call returns, asked about any row and text; words given split in batches; tokens and text."""

from __future__ import annotations

import pickle

from fixtures.applicability import applies_to, walk_sample
from fixtures.loading import fresh_tokenizer
from fixtures.texts import PLAIN, TEXTS
from fixtures.tokenizer_files import encodes, fast, has_pad_token
from fixtures.tokenizing import content, private, reloaded, some_pad_token

OFFSETS = {"return_offsets_mapping": True}
PAIRS = [
    (TEXTS["greeting"], TEXTS["contractions"]),
    (TEXTS["amazing"], TEXTS["sentiment"]),
]
WORDS = [["Hello", "unbelievable", "world"], ["42", "one"]]
TOKENS = ["<|first|>", "<|second|>"]


def told(got, row):
    """Each token of a row by its place: its text, its word and the characters it stands for."""
    of, words, places = got.sequence_ids(row), got.word_ids(row), got["offset_mapping"][row]
    return [(i, of[i], words[i], tuple(places[i])) for i in range(len(of)) if of[i] is not None]


@applies_to(fast)
def test_any_row_and_text_can_be_asked(checkpoint, tokenizer, expect):
    """In a batch of pairs every map between tokens, words and characters answers for its own row and text."""
    fresh = tokenizer(PAIRS, **OFFSETS)
    expect.equal(fresh.n_sequences, 2, "tokenizer(pairs).n_sequences", pairs=PAIRS)
    got = pickle.loads(pickle.dumps(fresh))  # as data loaders with worker processes pass it on
    for row in range(len(PAIRS)):
        tokens = told(got, row)
        for i, of, word, place in tokens:
            same = [t for t in tokens if t[1:3] == (of, word)]
            value = [got.token_to_sequence(row, i), tuple(got.token_to_chars(row, i))]
            wanted = [of, place]
            if word is not None:
                value += [got.token_to_word(row, i), tuple(got.word_to_tokens(row, word, of))]
                wanted += [word, (same[0][0], same[-1][0] + 1)]
                value.append(tuple(got.word_to_chars(row, word, of)))
                wanted.append((same[0][3][0], same[-1][3][1]))
            if word is not None and place[1] > place[0]:
                value.append(got.char_to_word(row, place[1] - 1, of))
                wanted.append(word)
            call = "tokenizer(pairs): token_to_sequence, _to_chars, _to_word, word_to_tokens, _to_chars, char_to_word"
            expect.equal(value, wanted, call, pairs=PAIRS, row=row, token=i)


@applies_to(fast)
def test_split_words_in_a_batch_are_each_text(checkpoint, tokenizer, expect):
    """Lists of words in one call, alone and in pairs, are encoded as each list is."""
    options = {"is_split_into_words": True}
    try:
        alone = [tokenizer(words, **options)["input_ids"] for words in WORDS]
    except (AssertionError, ValueError) as refusal:
        way_out = "add_prefix_space" in str(refusal)
        call = "tokenizer(words, is_split_into_words=True)"
        expect.true(way_out, str(refusal), "the way out: add_prefix_space", call, words=WORDS)
        return
    got = tokenizer(WORDS, **options)["input_ids"]
    call = "tokenizer(words, is_split_into_words=True)['input_ids']"
    expect.equal(got, alone, call, words=WORDS)
    pair = tokenizer(*WORDS, **options)["input_ids"]
    got = tokenizer([WORDS[0]], [WORDS[1]], **options)["input_ids"]
    call = "tokenizer([first], [second], is_split_into_words=True)['input_ids']"
    expect.equal(got, [pair], call, first=WORDS[0], second=WORDS[1])


@applies_to(fast)
def test_tokens_make_the_decoded_text(checkpoint, tokenizer, expect):
    """convert_tokens_to_string makes of tokens what decoding makes of their ids."""
    for text in PLAIN:
        row = content(tokenizer, text)
        tokens = tokenizer.convert_ids_to_tokens(row)
        want = tokenizer.decode(row, clean_up_tokenization_spaces=False)
        call = "tokenizer.convert_tokens_to_string(tokens)"
        expect.equal(tokenizer.convert_tokens_to_string(tokens), want, call, tokens=tokens)


@applies_to(encodes & has_pad_token)
def test_finished_rows_are_padded_as_asked(checkpoint, tokenizer, expect):
    """`pad` takes tensors, arrays, ids alone and an empty first row, and pads on the side that the call names."""
    texts, want = (
        [TEXTS["contractions"], "a"],
        tokenizer([TEXTS["contractions"], "a"], padding=True),
    )
    for form in ("pt", "np"):
        rows = [dict(tokenizer(text, return_tensors=form)) for text in texts]
        rows = [{name: value[0] for name, value in row.items()} for row in rows]
        got = tokenizer.pad(rows)
        kinds = {type(value) for value in got.values()}
        expect.equal(
            kinds, {type(rows[0]["input_ids"])}, f"types of tokenizer.pad(rows, each {form})"
        )
        got = {name: value.tolist() for name, value in got.items()}
        expect.equal(got, dict(want), f"tokenizer.pad(rows, each {form})", texts=texts)
    other = "left" if tokenizer.padding_side == "right" else "right"
    lists = [dict(tokenizer(text)) for text in texts]
    got = tokenizer.pad(lists, padding_side=other)
    want = tokenizer(texts, padding=True, padding_side=other)
    expect.equal(dict(got), dict(want), f"tokenizer.pad(rows, padding_side={other!r})", rows=lists)
    ids = {"input_ids": tokenizer(texts)["input_ids"]}
    asked = {"return_attention_mask": True}
    got, want = tokenizer.pad(ids, **asked), tokenizer(texts, padding=True, **asked)
    call = "tokenizer.pad({'input_ids': rows}, return_attention_mask=True)['attention_mask']"
    expect.equal(got["attention_mask"], want["attention_mask"], call, rows=ids)
    masked = [row | {"attention_mask": [0] * len(row["input_ids"])} for row in lists]
    got = tokenizer.pad(masked, **asked)["attention_mask"]
    call = "tokenizer.pad(rows whose masks are zeros, return_attention_mask=True)['attention_mask']"
    expect.equal(got, [[0] * len(mask) for mask in got], call, rows=masked)
    long = {"padding": "max_length", "max_length": len(lists[0]["input_ids"]) + 2}
    got = tokenizer.encode(texts[0], padding_side=other, **long)
    want = tokenizer(texts[0], padding_side=other, **long)["input_ids"]
    call = f"tokenizer.encode(text, padding_side={other!r}, **{long})"
    expect.equal(got, want, call, text=texts[0])
    row = content(tokenizer, "a")
    got = tokenizer.pad({"input_ids": [[], row]})["input_ids"]
    wanted = [[tokenizer.pad_token_id] * len(row), row]
    expect.equal(got, wanted, "tokenizer.pad({'input_ids': [[], ids]})['input_ids']", ids=row)


@applies_to(encodes)
def test_padding_to_the_maximum_is_to_the_models(checkpoint, tokenizer, expect, monkeypatch):
    """padding="max_length" without a length pads to model_max_length."""
    own = private(tokenizer)
    own.pad_token = some_pad_token(own)
    own.model_max_length = 37
    got = [len(row) for row in own(["a", TEXTS["greeting"]], padding="max_length")["input_ids"]]
    call = "lengths of tokenizer(texts, padding='max_length') after tokenizer.model_max_length = 37"
    expect.equal(got, [37, 37], call)


@applies_to(encodes, walk_sample)
def test_named_special_tokens_are_its_own(checkpoint, tokenizer, expect):
    """A special token that one tokenizer has a name for is none of another's."""
    named = fresh_tokenizer(checkpoint, extra_special_tokens={"picture_token": "<picture>"})
    call = (
        "AutoTokenizer.from_pretrained(path, extra_special_tokens={'picture_token': '<picture>'})"
    )
    expect.equal(named.picture_token, "<picture>", f"{call}.picture_token")
    value = hasattr(fresh_tokenizer(checkpoint), "picture_token")
    expect.equal(value, False, f"({call}, hasattr(another, 'picture_token'))[1]")


@applies_to(encodes)
def test_further_special_tokens_are_special(checkpoint, tokenizer, expect, tmp_path):
    """Tokens added under additional_special_tokens are each one id, listed, skipped, saved, and touch no space."""
    own = private(tokenizer)
    added = own.add_special_tokens({"additional_special_tokens": TOKENS})
    expect.equal(added, 2, "tokenizer.add_special_tokens({'additional_special_tokens': tokens})")
    numbers = own.convert_tokens_to_ids(TOKENS)
    listed = set(TOKENS) <= set(own.all_special_tokens) and set(numbers) <= set(own.all_special_ids)
    expect.true(listed, own.all_special_tokens, f"{TOKENS} among them", "all_special_tokens")
    flags = {
        str(t): (t.lstrip, t.rstrip, t.normalized, t.special)
        for t in own.added_tokens_decoder.values()
    }
    value = [flags[token] for token in TOKENS]
    wanted = [(False, False, False, True)] * 2
    call = "lstrip, rstrip, normalized, special of tokens added by name"
    expect.equal(value, wanted, call, tokens=TOKENS)
    kept = set(TOKENS) & set(reloaded(own, tmp_path).all_special_tokens)
    expect.equal(sorted(kept), TOKENS, "those listed by a tokenizer saved and loaded again")
    own.pad_token_id = numbers[0]
    call = "[setattr(tokenizer, 'pad_token_id', number), tokenizer.pad_token][-1]"
    expect.equal([str(own.pad_token), own.pad_token_id], [TOKENS[0], numbers[0]], call)
    text = f"yes {TOKENS[0]} no{TOKENS[1]}"
    row = content(own, text)
    expect.equal([row.count(n) for n in numbers], [1, 1], "tokenizer(text)['input_ids']", text=text)
    left = own.decode(row, skip_special_tokens=True)
    gone = not any(token in left for token in TOKENS)
    expect.true(
        gone, left, "without them", "tokenizer.decode(ids, skip_special_tokens=True)", ids=row
    )


@applies_to(fast)
def test_settings_given_at_loading_act(checkpoint, tokenizer, expect):
    """Names of inputs and the splitting of special tokens given to from_pretrained hold for every call."""
    asked = fresh_tokenizer(checkpoint, model_input_names=["input_ids"], split_special_tokens=True)
    call = "AutoTokenizer.from_pretrained(path, model_input_names=['input_ids'], split_special_tokens=True)"
    expect.equal(sorted(asked("a")), ["input_ids"], f"sorted({call}('a'))")
    expect.equal(asked.split_special_tokens, True, f"{call}.split_special_tokens")
    token = next(iter(tokenizer.all_special_tokens), "a")
    got = content(asked, f"yes {token} no")
    want = tokenizer(f"yes {token} no", add_special_tokens=False, split_special_tokens=True)
    expect.equal(got, want["input_ids"], f"{call}(text, add_special_tokens=False)", token=token)
