"""Truncation: exactly as long as asked for, the right end cut, special tokens kept, nothing lost."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fixtures.applicability import Predicate, applies_to
from fixtures.lazy import transformers
from fixtures.loading import SAFE
from fixtures.stored import copied
from fixtures.texts import long_text
from fixtures.tokenizer_files import UNLIMITED, encodes, fast, marks_unknown, pairs_told
from fixtures.tokenizing import around, content, ids, pair_counts, private, some_pad_token

LONG = long_text(40)
OTHER = long_text(15, seed=2)
RIGHT = "setattr(tokenizer, 'truncation_side', 'right')"


@applies_to(encodes)
@pytest.mark.parametrize("side", ["right", "left"])
@settings(max_examples=8)
@given(keep=st.integers(1, 25))
def test_truncation_cuts_one_side(checkpoint, tokenizer, expect, monkeypatch, side, keep):
    """Truncation keeps the special tokens and, of the text, the ids at the end that is not cut."""
    monkeypatch.setattr(tokenizer, "truncation_side", side)
    before, behind = around(tokenizer, LONG)
    inner = content(tokenizer, LONG)
    length = len(before) + keep + len(behind)
    want = before + (inner[:keep] if side == "right" else inner[-keep:]) + behind
    got = tokenizer(LONG, truncation=True, max_length=length)["input_ids"]
    call = "[setattr(tokenizer, 'truncation_side', side), tokenizer(text, truncation=True, max_length=length)['input_ids']][-1]"
    expect.equal(got, want, call, text=LONG, side=side, length=length)


@applies_to(encodes, marks_unknown)
def test_short_text_is_not_truncated(checkpoint, tokenizer, expect):
    """A text that fits is left as it is, to the last id that fits."""
    want = ids(tokenizer, LONG)
    for spare in (0, 1):
        length = len(want) + spare
        got = tokenizer(LONG, truncation=True, max_length=length)["input_ids"]
        expect.equal(
            got,
            want,
            "tokenizer(text, truncation=True, max_length=length)['input_ids']",
            text=LONG,
            length=length,
        )
    shorter = tokenizer(LONG, truncation=True, max_length=len(want) - 1)["input_ids"]
    expect.equal(
        len(shorter),
        len(want) - 1,
        "len(tokenizer(text, truncation=True, max_length=length)['input_ids'])",
        text=LONG,
        length=len(want) - 1,
    )


@applies_to(encodes, marks_unknown)
def test_masks_are_truncated_too(checkpoint, tokenizer, expect):
    """All outputs of a truncated text have its length."""
    got = tokenizer([LONG, OTHER], truncation=True, max_length=10)
    lengths = {name: [len(row) for row in got[name]] for name in got}
    expect.equal(
        lengths,
        {name: [10, 10] for name in got},
        "{k: [len(r) for r in v] for k, v in tokenizer(texts, truncation=True, max_length=10).items()}",
        texts=[LONG, OTHER],
    )


@applies_to(encodes, marks_unknown)
def test_default_truncation_is_to_the_maximum(checkpoint, tokenizer, expect, monkeypatch):
    """Truncation without a length cuts at model_max_length."""
    monkeypatch.setattr(tokenizer, "model_max_length", 17)
    got = tokenizer(LONG, truncation=True)["input_ids"]
    call = "[setattr(tokenizer, 'model_max_length', 17), tokenizer(text, truncation=True)['input_ids']][-1]"
    want = tokenizer(LONG, truncation=True, max_length=17)["input_ids"]
    expect.equal(got, want, call, text=LONG)
    expect.equal(len(got), 17, f"len({call})", text=LONG)


@applies_to(encodes & marks_unknown)
def test_no_truncation_unless_asked(checkpoint, tokenizer, expect):
    """max_length with truncation refused, or beside padding alone, cuts nothing."""
    own = private(tokenizer)
    own.pad_token = some_pad_token(own)
    for asked in ({"truncation": False}, {"padding": "longest"}, {"padding": "max_length"}):
        got = own(LONG, max_length=5, **asked)["input_ids"]
        call = "tokenizer(text, max_length=5, **asked)['input_ids']"
        expect.equal(got, ids(tokenizer, LONG), call, text=LONG, asked=asked)


@applies_to(fast)
@pytest.mark.parametrize("stride", [0, 3])
def test_overflowing_rows_reassemble(checkpoint, tokenizer, expect, monkeypatch, stride):
    """Overflowing rows, less the stride they share, put together are the ids of the text."""
    monkeypatch.setattr(tokenizer, "truncation_side", "right")
    before, behind = around(tokenizer, LONG)
    length = len(before) + 9 + len(behind)
    options = {
        "truncation": True,
        "max_length": length,
        "stride": stride,
        "return_overflowing_tokens": True,
    }
    rows = tokenizer(LONG, **options)["input_ids"]
    inner = [row[len(before) : len(row) - len(behind)] for row in rows]
    whole = inner[0] + [i for row in inner[1:] for i in row[stride:]]
    call = f"[{RIGHT}, tokenizer(text, **options)['input_ids']][-1]"
    expect.equal(whole, content(tokenizer, LONG), f"{call}, joined", text=LONG, options=options)
    framed = all(
        row[: len(before)] == before and row[len(row) - len(behind) :] == behind for row in rows
    )
    expect.true(
        framed and all(len(row) <= length for row in rows),
        rows,
        f"at most {length} ids, special tokens around each row",
        call,
        text=LONG,
        options=options,
    )
    shared = all(a[len(a) - stride :] == b[:stride] for a, b in itertools.pairwise(inner))
    expect.true(shared, inner, f"neighbours share {stride} ids", call, text=LONG, options=options)


def sliced(text, row, places):
    """Each id with the letters its offsets point to; whether a space goes with them depends on the row."""
    return {(i, text[start:end].strip()) for i, (start, end) in zip(row, places, strict=True)}


@applies_to(fast)
def test_overflowing_rows_know_their_text(checkpoint, tokenizer, expect):
    """overflow_to_sample_mapping numbers the text that each row came from; outputs have as many rows."""
    options = {
        "truncation": True,
        "max_length": 12,
        "return_overflowing_tokens": True,
        "return_offsets_mapping": True,
    }
    got = tokenizer([LONG, "a", OTHER], **options)
    mapping = list(got["overflow_to_sample_mapping"])
    expect.true(
        mapping == sorted(mapping) and set(mapping) == {0, 1, 2} and mapping.count(1) == 1,
        mapping,
        "texts in order, the short one once",
        "tokenizer(texts, **options)['overflow_to_sample_mapping']",
        texts=[LONG, "a", OTHER],
        options=options,
    )
    for number, row, places in zip(mapping, got["input_ids"], got["offset_mapping"], strict=True):
        text = [LONG, "a", OTHER][number]
        whole = tokenizer(text, return_offsets_mapping=True)
        known = sliced(text, whole["input_ids"], whole["offset_mapping"])
        value = sliced(text, row, places)
        call = "tokenizer(texts, **options): ids of a row, each with what its offsets slice from `text`"
        expect.true(value <= known, value, f"among {known}", call, text=text, options=options)
    rows = {name: len(got[name]) for name in got}
    expect.equal(
        set(rows.values()),
        {len(mapping)},
        "{k: len(v) for k, v in tokenizer(texts, **options).items()}",
        texts=[LONG, "a", OTHER],
        options=options,
    )


@applies_to(pairs_told)
@pytest.mark.parametrize("strategy", ["only_first", "only_second", "longest_first"])
@pytest.mark.parametrize("spare", [4, 7])
def test_pair_truncation_strategies(checkpoint, tokenizer, expect, monkeypatch, strategy, spare):
    """only_first and only_second cut that text alone; longest_first cuts the longer until they are even."""
    monkeypatch.setattr(tokenizer, "truncation_side", "right")
    first, second = content(tokenizer, LONG), content(tokenizer, OTHER)
    kept = {"only_first": len(second), "only_second": len(first), "longest_first": 30}[strategy]
    length = kept + spare
    options = {"truncation": strategy, "max_length": length, "add_special_tokens": False}
    got = tokenizer(LONG, OTHER, **options)["input_ids"]
    counts = pair_counts(len(first), len(second), length, strategy)
    # which of two equal texts loses the odd id is not promised
    choices = [first[:a] + second[:b] for a, b in counts]
    expect.true(
        got in choices,
        got,
        f"one of {choices}",
        f"[{RIGHT}, tokenizer(first, second, **options)['input_ids']][-1]",
        first=LONG,
        second=OTHER,
        options=options,
    )


@applies_to(fast)
def test_number_of_special_tokens(checkpoint, tokenizer, expect):
    """num_special_tokens_to_add is how many ids are added to a text and to a pair."""
    text = "a"
    one = len(ids(tokenizer, text)) - len(content(tokenizer, text))
    expect.equal(
        tokenizer.num_special_tokens_to_add(pair=False),
        one,
        "tokenizer.num_special_tokens_to_add(pair=False)",
    )
    bare = len(tokenizer(text, text, add_special_tokens=False)["input_ids"])
    two = len(ids(tokenizer, text, text)) - bare
    expect.equal(
        tokenizer.num_special_tokens_to_add(pair=True),
        two,
        "tokenizer.num_special_tokens_to_add(pair=True)",
    )


@applies_to(encodes)
def test_maximum_length_is_the_files(checkpoint, tokenizer, expect, observe):
    """model_max_length is what tokenizer_config.json says, and unlimited where it says nothing."""
    observe("tokenization/maximum length", min(tokenizer.model_max_length, UNLIMITED))
    stated = checkpoint.tokenizer_config
    want = stated.get("model_max_length", stated.get("max_len"))  # its name until 3.0
    got = tokenizer.model_max_length
    expect.true(
        got == want or want is None,
        got,
        f"{want}, from tokenizer_config.json",
        "tokenizer.model_max_length",
    )
    expect.true(
        want is not None or got >= 512, got, "a length or no limit", "tokenizer.model_max_length"
    )


SHOWN = ("bert-random", "llama-yarn")
of_one_file = Predicate("one of each way to read a tokenizer.json", lambda c: c.name in SHOWN)


@applies_to(of_one_file)
def test_sides_are_those_of_the_file(checkpoint, tokenizer, expect, tmp_path):
    """A tokenizer.json that cuts and pads on the left does so through the library, when it is asked to."""
    directory = copied(checkpoint, tmp_path / "left")
    for name in ("tokenizer_config.json", "tokenizer.json"):
        said = json.loads((directory / name).read_text(encoding="utf-8"))
        said = {n: v for n, v in said.items() if n not in ("truncation_side", "padding_side")}
        if name == "tokenizer.json":
            cut = {"max_length": 6, "strategy": "LongestFirst", "stride": 0, "direction": "Left"}
            filled = {"strategy": "BatchLongest", "direction": "Left", "pad_to_multiple_of": None}
            token = {"pad_id": tokenizer.pad_token_id, "pad_token": tokenizer.pad_token}
            said |= {"truncation": cut, "padding": filled | token | {"pad_type_id": 0}}
        (directory / name).write_text(json.dumps(said), encoding="utf-8")
    left = transformers.AutoTokenizer.from_pretrained(directory, **SAFE)
    call = "AutoTokenizer.from_pretrained(directory, its tokenizer.json cutting and padding left)"
    sides = (left.truncation_side, left.padding_side)
    expect.equal(sides, ("left", "left"), f"{call}, .truncation_side and .padding_side")
    expect.equal(ids(left, LONG), ids(tokenizer, LONG), f"{call}(text)['input_ids']", text=LONG)
