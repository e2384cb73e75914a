"""Batches: padding adds exactly what was asked for, and a row does not depend on its neighbours."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.applicability import Predicate, applies_to
from fixtures.texts import TEXTS, sentences, texts
from fixtures.tokenizer_files import encodes, fast, has_pad_token, translates
from fixtures.tokenizing import impatient, interrupted, masks_of, padded, private, some_pad_token

LAST = "b"
TRIO = ["a", TEXTS["greeting"], TEXTS["contractions"]]


@applies_to(encodes)
@settings(max_examples=10)
@given(batch=st.lists(texts(), min_size=1, max_size=4))
def test_batch_is_singles(checkpoint, tokenizer, expect, batch):
    """A batch encodes to what each text encodes to alone."""
    got = tokenizer(batch)
    singles = [tokenizer(text) for text in batch]
    want = {name: [single[name] for single in singles] for name in singles[0]}
    expect.equal(got, want, "tokenizer(batch)", batch=batch)


@applies_to(encodes)
def test_batch_of_one_has_one_row(checkpoint, tokenizer, expect):
    """A list of one text gives a list of one row."""
    text = TEXTS["greeting"]
    expect.equal(
        tokenizer([text])["input_ids"],
        [tokenizer(text)["input_ids"]],
        'tokenizer([text])["input_ids"]',
        text=text,
    )


@applies_to(encodes & has_pad_token)
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("how", ["longest", "max_length", "multiple"])
def test_padding_is_exact(checkpoint, tokenizer, expect, monkeypatch, side, how):
    """Padding adds pad ids, zero mask and special mask on the padding side up to the length asked for."""
    monkeypatch.setattr(tokenizer, "padding_side", side)
    rows = [tokenizer(text, **masks_of(tokenizer)) for text in TRIO]
    longest = max(len(row["input_ids"]) for row in rows)
    length = {"longest": longest, "max_length": longest + 5, "multiple": -(-longest // 7) * 7}[how]
    options = {
        "longest": {"padding": True},
        "max_length": {"padding": "max_length", "max_length": length},
        "multiple": {"padding": "longest", "pad_to_multiple_of": 7},
    }[how] | masks_of(tokenizer)
    got = tokenizer(TRIO, **options)
    want = padded(rows, length, side, tokenizer.pad_token_id, tokenizer.pad_token_type_id)
    call = "[setattr(tokenizer, 'padding_side', side), tokenizer(texts, **options)][-1]"
    expect.equal(got, want, call, texts=TRIO, side=side, options=options)


@applies_to(encodes & has_pad_token)
def test_padding_side_can_be_asked_for(checkpoint, tokenizer, expect):
    """padding_side given in a call wins over the tokenizer's own, for this call."""
    before = tokenizer.padding_side
    rows = [tokenizer(text, **masks_of(tokenizer)) for text in TRIO]
    length = max(len(row["input_ids"]) for row in rows)
    for side in ("left", "right"):
        got = tokenizer(TRIO, padding=True, padding_side=side, **masks_of(tokenizer))
        want = padded(rows, length, side, tokenizer.pad_token_id, tokenizer.pad_token_type_id)
        expect.equal(
            got,
            want,
            f"tokenizer(texts, padding=True, padding_side={side!r}, **masks)",
            texts=TRIO,
            masks=masks_of(tokenizer),
        )
    expect.equal(tokenizer.padding_side, before, "tokenizer.padding_side")


@applies_to(encodes & has_pad_token)
def test_default_padding_side(checkpoint, tokenizer, expect):
    """Without a word about sides a batch is padded on the tokenizer's padding side."""
    rows = [tokenizer(text, **masks_of(tokenizer)) for text in TRIO]
    length = max(len(row["input_ids"]) for row in rows)
    want = padded(
        rows, length, tokenizer.padding_side, tokenizer.pad_token_id, tokenizer.pad_token_type_id
    )
    expect.equal(
        tokenizer(TRIO, padding=True, **masks_of(tokenizer)),
        want,
        "tokenizer(texts, padding=True, **masks)",
        texts=TRIO,
        masks=masks_of(tokenizer),
    )


@applies_to(Predicate("Llama's pieces, which name no side", lambda c: c.name == "llama-spm-only"))
def test_llama_pads_on_the_left(checkpoint, tokenizer, expect):
    """Where no file says otherwise Llama's tokenizer pads before the text, behind which its model writes on."""
    expect.equal(tokenizer.padding_side, "left", "tokenizer.padding_side")


@applies_to(encodes & has_pad_token)
@pytest.mark.parametrize("kind", ["pt", "np"])
def test_padded_tensors(checkpoint, tokenizer, expect, kind):
    """A padded batch as tensors has shape (rows, longest), int64, and the values of the lists."""
    lists = tokenizer(TRIO, padding=True)
    got = tokenizer(TRIO, padding=True, return_tensors=kind)
    for name in lists:
        call = f"tokenizer(texts, padding=True, return_tensors={kind!r})[{name!r}]"
        expect.equal(got[name], lists[name], call, texts=TRIO)
        expect.equal(
            str(got[name].dtype).removeprefix("torch."), "int64", f"{call}.dtype", texts=TRIO
        )


@applies_to(encodes & has_pad_token)
def test_pad_equals_padding_at_once(checkpoint, tokenizer, expect):
    """`pad` on rows encoded one by one gives the batch that padding in the call gives."""
    rows = [dict(tokenizer(text)) for text in TRIO]
    want = tokenizer(TRIO, padding=True)
    expect.equal(tokenizer.pad(rows), want, "tokenizer.pad(rows)", rows=rows)
    options = {"pad_to_multiple_of": len(want["input_ids"][0])}
    value = tokenizer.pad(rows, **options)
    expect.equal(value, want, f"tokenizer.pad(rows, **{options}), what is one already", rows=rows)
    multiple = tokenizer(TRIO, padding=True, pad_to_multiple_of=8)
    expect.equal(
        tokenizer.pad(rows, pad_to_multiple_of=8),
        multiple,
        "tokenizer.pad(rows, pad_to_multiple_of=8)",
        rows=rows,
    )
    for side in ("left", "right"):
        own = private(tokenizer)
        own.padding_side = side
        rows = [dict(own(text, LAST, **masks_of(own))) for text in TRIO]
        want = own(TRIO, [LAST] * len(TRIO), padding=True, **masks_of(own))
        call = "[setattr(tokenizer, 'padding_side', side), tokenizer.pad(rows)][-1]"
        # some families name no mask among their inputs
        value = own.pad(rows, return_attention_mask=True)
        expect.equal(value, want, call, rows=rows, side=side)
    rows, want = [dict(tokenizer(text)) for text in TRIO], tokenizer(TRIO, padding=True)
    tensors = tokenizer.pad(rows, return_tensors="pt")
    expect.equal(
        tensors["input_ids"],
        want["input_ids"],
        'tokenizer.pad(rows, return_tensors="pt")["input_ids"]',
        rows=rows,
    )


@applies_to(encodes & ~has_pad_token)
def test_padding_needs_a_pad_token(checkpoint, tokenizer, expect):
    """A tokenizer without a padding token pads once it is given one, here its end of sequence."""
    own = private(tokenizer)
    own.pad_token = some_pad_token(own)
    rows = [own(text, **masks_of(own)) for text in TRIO]
    length = max(len(row["input_ids"]) for row in rows)
    want = padded(rows, length, own.padding_side, own.pad_token_id, own.pad_token_type_id)
    call = "[setattr(tokenizer, 'pad_token', pad), tokenizer(texts, padding=True, **masks)][-1]"
    expect.equal(
        own(TRIO, padding=True, **masks_of(own)),
        want,
        call,
        texts=TRIO,
        pad=own.pad_token,
        masks=masks_of(tokenizer),
    )


@applies_to(encodes & has_pad_token)
@settings(max_examples=8)
@given(first=sentences(), second=sentences())
def test_settings_do_not_leak_between_calls(checkpoint, tokenizer, expect, first, second):
    """A call with padding and truncation leaves the next call as it was without."""
    want = tokenizer(second, **masks_of(tokenizer))
    tokenizer([first, "a"], padding="max_length", max_length=12, truncation=True)
    expect.equal(
        tokenizer(second, **masks_of(tokenizer)),
        want,
        "[tokenizer(first, padding='max_length', max_length=12, truncation=True), tokenizer(text)][-1]",
        first=[first, "a"],
        text=second,
    )
    short = tokenizer([first, second], truncation=True, max_length=6)["input_ids"]
    tokenizer([first, "a"], padding=True)
    again = tokenizer([first, second], truncation=True, max_length=6)["input_ids"]
    expect.equal(
        again,
        short,
        "tokenizer(texts, truncation=True, max_length=6)['input_ids']",
        texts=[first, second],
    )


def in_threads(tokenizer, count: int, rounds: int) -> list:
    """What each of several threads got from the same call; exceptions are kept."""
    got: list[list] = [[] for _ in range(count)]
    start = threading.Barrier(count)

    def work(number: int) -> None:
        start.wait()
        for _ in range(rounds):
            try:
                got[number].append(tokenizer(TRIO)["input_ids"])
            except Exception as error:
                got[number].append(repr(error))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(count)]
    with impatient():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    return got


@applies_to(encodes & ~translates)
def test_threads_with_the_same_settings_agree(checkpoint, tokenizer, expect):
    """Threads that encode at the same time with the same settings each get the right ids.

    Tokenizers with language codes rewrite their post-processor at every call: nothing is owed.
    """
    want = tokenizer(TRIO)["input_ids"]
    got = in_threads(tokenizer, count=4, rounds=5)
    expect.equal(got, [[want] * 5] * 4, "four threads of tokenizer(texts)['input_ids']", texts=TRIO)


@applies_to(fast & has_pad_token)
def test_threads_with_different_settings_get_their_own(checkpoint, tokenizer, expect):
    """A call that another thread's call with other padding and truncation interrupts gets its own result."""
    mine, theirs = (
        {"padding": "max_length", "max_length": 40},
        {"truncation": True, "max_length": 4},
    )
    want = tokenizer(TRIO, **mine)["input_ids"], tokenizer(TRIO, **theirs)["input_ids"]
    got = interrupted(
        lambda: tokenizer(TRIO, **mine)["input_ids"], lambda: tokenizer(TRIO, **theirs)["input_ids"]
    )
    call = "tokenizer(texts, **mine)['input_ids'], while another thread runs tokenizer(texts, **theirs)"
    expect.equal(got, want, call, texts=TRIO, mine=mine, theirs=theirs)
