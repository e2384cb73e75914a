"""What callers do to a cache: cut it back, choose its rows, start it anew, fill it piece by piece."""

from __future__ import annotations

import pytest

from fixtures.applicability import (
    applies_to,
    decoder,
    head,
    light,
    model_type,
    seq2seq,
    short_window,
    unless_shown,
)
from fixtures.ids import batch
from fixtures.lazy import torch, transformers
from fixtures.loading import (
    cache_layers,
    fixed_cache,
    growing_cache,
    made_of_its_tensors,
    method_of,
)
from fixtures.oracle import answers, own_tolerance, run


def rearranged(past):
    """The cache without its last three positions and with rows 0, 1 as 1, 0, 1; the calls made."""
    past.crop(-3)
    past.batch_repeat_interleave(2)
    past.batch_select_indices(torch.tensor([2, 0, 3]))
    return "past.crop(-3), .batch_repeat_interleave(2), .batch_select_indices([2, 0, 3])"


ROWS = [1, 0, 1]


def both_caches():
    """An empty cache of an encoder-decoder; untold how many layers: an encoder may have others."""
    return transformers.EncoderDecoderCache(
        transformers.DynamicCache(), transformers.DynamicCache()
    )


@applies_to(decoder, head("CausalLM"), model_type("llama", "mistral"), unless_shown)
def test_cache_rows_follow_the_caller(checkpoint, model, dtype, expect):
    """A cache cut back, with rows repeated or chosen, goes on as one filled with what is left."""
    inputs = batch(checkpoint, [12, 12])
    ids, past = inputs["input_ids"].to(model.device), transformers.DynamicCache()
    whole = answers(model, inputs).logits
    allowed = own_tolerance(checkpoint, inputs, dtype)["logits"]
    run(model, {"input_ids": ids[:, :11]}, past_key_values=past, use_cache=True)
    call = f"{rearranged(past)}; model(ids[{ROWS}, 8:], past_key_values=past).logits"
    outputs = run(model, {"input_ids": ids[ROWS, 8:]}, past_key_values=past, use_cache=True)
    expect.close(outputs.logits, whole[ROWS, 8:], allowed, call, inputs=inputs)


@applies_to(seq2seq, model_type("t5", "bart", "mbart"), light)
def test_both_caches_follow_the_caller(checkpoint, model, dtype, expect):
    """An encoder-decoder's cache made anew of its parts, cut back, with rows chosen, goes on as one filled with that."""
    inputs = batch(checkpoint, [12, 12])
    answer = inputs["decoder_input_ids"]
    whole = answers(model, inputs).logits
    allowed = own_tolerance(checkpoint, inputs, dtype)["logits"]
    past = both_caches()
    first = dict(inputs, decoder_input_ids=answer[:, :5])
    run(model, first, past_key_values=past, use_cache=True)
    past = made_of_its_tensors(past)
    past = type(past)(past.self_attention_cache, past.cross_attention_cache)
    call = f"{rearranged(past)}; model(decoder ids[{ROWS}, 2:], past_key_values=past).logits"
    chosen = {name: value[ROWS] for name, value in inputs.items()}
    step = dict(chosen, decoder_input_ids=answer[ROWS, 2:])
    outputs = run(model, step, past_key_values=past, use_cache=True)
    expect.close(outputs.logits, whole[ROWS, 2:], allowed, call, inputs=inputs)
    kept = cache_layers(outputs.past_key_values.cross_attention_cache)[0][0].shape[2]
    length = inputs["input_ids"].shape[1]
    expect.equal(kept, length, f"cached keys of the encoder after {call}", inputs=inputs)


@applies_to(decoder, head("CausalLM"), model_type("llama", "mistral"), unless_shown)
def test_a_cache_made_anew_keeps_as_many(checkpoint, model, dtype, expect):
    """A cache made of another's tensors goes on to keep what that one does: a window's states, or all."""
    inputs, kept = batch(checkpoint, [12, 12]), []
    for anew in (False, True):
        past = growing_cache(model)
        run(model, {"input_ids": inputs["input_ids"][:, :9]}, past_key_values=past, use_cache=True)
        past = made_of_its_tensors(past) if anew else past
        rest = {"input_ids": inputs["input_ids"][:, 9:]}
        run(model, rest, past_key_values=past, use_cache=True)
        kept.append([list(keys.shape) for keys, _ in cache_layers(past)])
    call = (
        "[keys.shape for each layer of a cache made anew of another's tensors], three tokens later"
    )
    expect.equal(kept[1], kept[0], call, inputs=inputs)


@applies_to(seq2seq, model_type("t5", "bart", "mbart"), light)
def test_both_caches_start_anew(checkpoint, model, dtype, expect):
    """An encoder-decoder's cache that was reset reads the next input, not the last one."""
    one, other = (batch(checkpoint, [12, 12], seed=seed) for seed in (41, 42))
    allowed = own_tolerance(checkpoint, other, dtype)["logits"]
    past = both_caches()
    run(model, one, past_key_values=past, use_cache=True)
    past.reset()
    outputs = run(model, other, past_key_values=past, use_cache=True)
    call = "model(**one, past_key_values=past); past.reset(); model(**other, past_key_values=past)"
    expect.close(outputs.logits, run(model, other).logits, allowed, f"{call}.logits", inputs=other)


@applies_to(decoder, head("CausalLM"), model_type("llama", "mistral"), unless_shown)
@pytest.mark.parametrize("cache", ["growing", "fixed"])
def test_a_reset_cache_starts_anew(checkpoint, model, dtype, expect, cache):
    """A cache that was reset is filled like a new one."""
    inputs = batch(checkpoint, [12, 12])
    ids = inputs["input_ids"].to(model.device)
    allowed = own_tolerance(checkpoint, inputs, dtype)["logits"]
    past = growing_cache(model) if cache == "growing" else fixed_cache(model, rows=2, length=16)
    call = "model(other ids, past_key_values=past); past.reset(); model(ids {}:{}, past_key_values=past).logits"
    run(model, {"input_ids": ids.flip(0)}, past_key_values=past, use_cache=True)
    past.reset()
    whole = answers(model, inputs).logits
    for start, stop in ((0, 11), (11, 12)):
        step = {"input_ids": ids[:, start:stop]}
        outputs = run(model, step, past_key_values=past, use_cache=True)
        wanted = whole[:, start:stop]
        expect.close(outputs.logits, wanted, allowed, call.format(start, stop), inputs=inputs)


@applies_to(decoder, head("CausalLM"), model_type("llama", "mistral"), unless_shown)
@pytest.mark.parametrize("first", [2, 6])
def test_fixed_cache_is_filled_in_pieces(checkpoint, model, dtype, expect, first):
    """A cache of fixed size filled by several pieces of several tokens answers as the whole at once."""
    pieces = [first, 3, 1, 4]
    inputs = batch(checkpoint, [sum(pieces)] * 2)
    ids = inputs["input_ids"].to(model.device)
    whole = answers(model, inputs).logits
    allowed = own_tolerance(checkpoint, inputs, dtype)["logits"]
    past = fixed_cache(model, rows=2, length=sum(pieces) + 2)
    start = 0
    for size in pieces:
        step = {"input_ids": ids[:, start : start + size]}
        outputs = run(model, step, past_key_values=past, use_cache=True)
        wanted = whole[:, start : start + size]
        call = f"model(ids {start}:{start + size}, past_key_values=StaticCache of what is before).logits"
        expect.close(outputs.logits, wanted, allowed, call, inputs=inputs)
        start += size


@applies_to(decoder, head("CausalLM"), model_type("mistral"), short_window, unless_shown)
def test_sliding_cache_is_cut_back(checkpoint, model, dtype, expect):
    """A sliding cache that records what it drops goes on from where it was cut back to, full or not."""
    window = checkpoint.config["sliding_window"]
    for length in (window + 6, window - 1):
        inputs = batch(checkpoint, [length, length])
        ids, past = inputs["input_ids"].to(model.device), growing_cache(model)
        method_of(past, "activate_past_recording")()
        whole = answers(model, inputs).logits
        allowed = own_tolerance(checkpoint, inputs, dtype)["logits"]
        run(model, {"input_ids": ids}, past_key_values=past, use_cache=True)
        past.crop(-4)
        call = "past.crop(-4); model(ids[:, -4:], past_key_values=past).logits"
        outputs = run(model, {"input_ids": ids[:, -4:]}, past_key_values=past, use_cache=True)
        expect.close(outputs.logits, whole[:, -4:], allowed, call, inputs=inputs)
