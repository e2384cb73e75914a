"""The library's tokenizer written in Python, on which rarer classes are built: BERT's does as the fast one."""

from __future__ import annotations

import pytest

from fixtures.applicability import Predicate, applies_to
from fixtures.lazy import tokenizers, transformers
from fixtures.texts import TEXTS
from fixtures.tokenizing import content, python_tokenizer

NAMES = ("bert-masked", "bert-cased-tagger")
words = Predicate("a vocab.txt, of small letters and of both", lambda c: c.name in NAMES)
LONG, SHORT = "Hello, how are you? It is unbelievable", "Two words here"
STRIPS = {"<l>": {"lstrip": True}, "<r>": {"rstrip": True}, "<w>": {"single_word": True}}
# Texts, and what is found of the tokens that were added.
SPELLED = {
    "a <l> b": ["<l>"],
    "a <r> b": ["<r>"],
    "<n>a<m><n>": ["<n>", "<m>", "<n>"],
    "a<w>b <w> c": ["<w>"],
    "[MASK] <l><n>": ["<l>", "<n>"],
    "<r> [SEP]": ["<r>"],
}


@pytest.fixture
def slow(checkpoint):
    """The tokenizer written in Python, of the checkpoint's vocabulary."""
    return python_tokenizer(checkpoint)


@pytest.fixture
def made(checkpoint, slow):
    """How it is made, for reports."""
    return f"transformers.{type(slow).__name__}.from_pretrained({str(checkpoint.path)!r})"


@applies_to(words)
def test_python_cuts_texts_as_fast(checkpoint, tokenizer, slow, made, expect):
    """Texts have the same ids, and ids the same text, whichever language the tokenizer is written in."""
    # the fast one composes letters and their marks before it looks words up
    for text in [text for name, text in TEXTS.items() if name != "combining"]:
        row = tokenizer(text)["input_ids"]
        expect.equal(slow(text)["input_ids"], row, f"{made}(text)['input_ids']", text=text)
        # what is cleaned up is each one's own affair
        for skip in (True, False):
            parts = (t.decode(row, skip_special_tokens=skip).split() for t in (slow, tokenizer))
            got, want = map("".join, parts)
            call = f"''.join({made}.decode(ids, skip_special_tokens={skip}).split())"
            expect.equal(got, want, call, ids=row)


@applies_to(words)
def test_python_finds_added_tokens(checkpoint, tokenizer, slow, made, expect):
    """Tokens that were added are found wherever they stand, each with an id of its own."""
    names = [*STRIPS, "<n>", "<m>"]
    slow.add_tokens([tokenizers.AddedToken(name, **STRIPS.get(name, {})) for name in names])
    known = dict(zip(names, range(len(tokenizer), len(tokenizer) + len(names)), strict=True))
    got = {name: slow.convert_tokens_to_ids(name) for name in names}
    expect.equal(got, known, f"ids of {names}, added to {made}")
    expect.equal(len(slow), len(tokenizer) + len(names), f"len({made}), {names} added")
    for text, want in SPELLED.items():
        row = slow(text)["input_ids"]
        found = [name for i in row for name, its in known.items() if i == its]
        expect.equal(found, want, f"{names}, added, in {made}(text)", text=text)


@applies_to(Predicate("one checkpoint, beside it", lambda c: c.name == "bert-masked"))
def test_added_tokens_strip_as_they_say(checkpoint, expect):
    """A token takes the space on the side it says; to ByT5, whose tokens are bytes, spaces are text."""
    own = transformers.ByT5Tokenizer()
    own.add_tokens([tokenizers.AddedToken(n, **STRIPS.get(n, {})) for n in (*STRIPS, "<n>")])
    for text, want in (
        ("a <l> b", ["a", "<l>", " ", "b"]),
        ("a <r> b", ["a", " ", "<r>", "b"]),
        ("a <n> b", ["a", " ", "<n>", " ", "b"]),
        ("a<w>b <w>", [*"a<w>b ", "<w>"]),
    ):
        expect.equal(own.tokenize(text), want, "ByT5Tokenizer().tokenize(text)", text=text)


@applies_to(words)
@pytest.mark.parametrize("side", ["right", "left"])
def test_python_truncates_to_the_length(checkpoint, slow, made, expect, side):
    """Two texts are cut on the tokenizer's side to the length asked for, first the longer, then both alike."""
    slow.truncation_side, sided = side, f"{made[:-1]}, truncation_side={side!r})"
    for one, two in ((LONG, SHORT), (SHORT, LONG)):
        whole = [content(slow, text) for text in (one, two)]
        for room in range(4, sum(map(len, whole)) + 1):
            call = f"{sided}({one!r}, {two!r}, truncation=True, max_length={room + 3})"
            row = slow(one, two, truncation=True, max_length=room + 3)["input_ids"]
            first = row.index(slow.sep_token_id)
            parts = row[1:first], row[first + 1 : -1]
            framed = [slow.cls_token_id, *parts[0], row[first], *parts[1], slow.sep_token_id]
            expect.equal(row, framed, f"ids by {call}")
            expect.equal(len(row), room + 3, f"number of ids by {call}")
            kept = [len(part) for part in parts]
            ends = [
                t[:n] if side == "right" else t[len(t) - n :]
                for t, n in zip(whole, kept, strict=True)
            ]
            expect.equal([*parts], ends, f"ids of the two texts by {call}")
            short = kept.index(min(kept))
            even = max(kept) - min(kept) <= 1 or kept[short] == len(whole[short])
            expect.true(
                even, kept, "as even as the texts allow", f"lengths of the two texts by {call}"
            )


@applies_to(words)
@pytest.mark.parametrize("side", ["right", "left"])
def test_python_gives_back_what_overflows(checkpoint, slow, made, expect, side):
    """What truncation cut off comes back with as many tokens before it as the stride says."""
    slow.truncation_side, sided = side, f"{made[:-1]}, truncation_side={side!r})"
    whole, stride = content(slow, LONG), 2
    for room in range(3, len(whole)):
        options = {"truncation": True, "max_length": room + 2, "stride": stride}
        got = slow(LONG, return_overflowing_tokens=True, **options)
        cut = len(whole) - room
        rest = whole[room - stride :] if side == "right" else whole[: cut + stride]
        kept = whole[:room] if side == "right" else whole[cut:]
        call = f"{sided}(text, return_overflowing_tokens=True, **{options})"
        value = got["input_ids"][1:-1], got["overflowing_tokens"], got["num_truncated_tokens"]
        expect.equal(list(value), [kept, rest, cut], call, text=LONG)


@applies_to(words)
@pytest.mark.parametrize("side", ["right", "left"])
def test_python_pads_to_the_longest(checkpoint, slow, made, expect, side):
    """A batch is its texts with padding on the side asked for, out of sight and counted as special."""
    asked = {"return_special_tokens_mask": True, "return_token_type_ids": True}
    batch, fillers = ["a", LONG, SHORT], {"input_ids": slow.pad_token_id, "special_tokens_mask": 1}
    singles = [slow(text, **asked) for text in batch]
    longest = max(len(single["input_ids"]) for single in singles)
    options = {"padding": True, "padding_side": side, "pad_to_multiple_of": 4}
    got = slow(batch, **options, **asked)
    for name in singles[0]:
        rows = []
        for row in (single[name] for single in singles):
            more = [fillers.get(name, 0)] * (-(-longest // 4) * 4 - len(row))
            rows.append(row + more if side == "right" else more + row)
        expect.equal(
            got[name], rows, f"{made}(batch, **{options}, **{asked})[{name!r}]", batch=batch
        )


@applies_to(words)
def test_python_tells_longer_additions_apart(checkpoint, slow, made, expect):
    """Tokens added one call after the other have ids of their own, and of two that begin alike the longer is found."""
    names = ["<id_1", "<id_100>", "<other>"]
    for name in names:
        slow.add_tokens([name])
    numbers = slow.convert_tokens_to_ids(names)
    first = numbers[0]
    call = f"{made}, tokens added one by one, convert_tokens_to_ids(tokens)"
    expect.equal(numbers, [first, first + 1, first + 2], call, tokens=names)
    got = [token for token in slow.tokenize("a <id_100> b") if token in names]
    expect.equal(got, ["<id_100>"], f"{made}.tokenize('a <id_100> b')", tokens=names)
    options = {"add_special_tokens": False, "truncation": True, "max_length": 3}
    row = slow(LONG, **options)["input_ids"]
    expect.equal(row, content(slow, LONG)[:3], f"{made}(text, **{options})['input_ids']", text=LONG)
