"""Decoding with a cache equals running the whole sequence at once."""

from __future__ import annotations

import pytest

from fixtures.applicability import applies_to, decoder, head, model_type, seq2seq, unless_shown
from fixtures.ids import batch, labels
from fixtures.lazy import torch
from fixtures.loading import cache_layers, fresh_model, load_model
from fixtures.oracle import answers, own_tolerance, run


@applies_to(decoder, head("CausalLM"))
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_cache_equals_whole(checkpoint, device, dtype, expect, attention):
    """Logits computed in steps of 9, 1, 1 and the rest with a cache equal those computed at once."""
    model = load_model(checkpoint, attention, dtype, device)
    inputs = batch(checkpoint, [16, 16])
    whole = run(model, inputs, output_attentions=False).logits
    allowed = own_tolerance(checkpoint, inputs, dtype)["logits"]
    past = None
    for start, stop in ((0, 9), (9, 10), (10, 11), (11, 16)):
        step = {n: v[:, start:stop] for n, v in inputs.items()}
        step["attention_mask"] = inputs["attention_mask"][:, :stop]
        if checkpoint.config.get("sliding_window") and stop - start > 1 and start:
            break  # several tokens on top of a rolling cache is not one decode step
        outputs = run(model, step, past_key_values=past, use_cache=True, output_attentions=False)
        past = outputs.past_key_values
        expect.close(
            outputs.logits,
            whole[:, start:stop],
            allowed,
            f"model(tokens {start}:{stop} with the cache of the others).logits",
            inputs=inputs,
        )


@applies_to(decoder, head("CausalLM"), unless_shown)
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_cache_counts_positions_itself(checkpoint, device, dtype, expect, attention):
    """Cached steps told neither positions nor a mask go on where the cache ends."""
    model = load_model(checkpoint, attention, dtype, device)
    inputs = batch(checkpoint, [12, 12])
    whole = run(model, inputs, output_attentions=False).logits
    allowed = own_tolerance(checkpoint, inputs, dtype)["logits"]
    past = None
    for start, stop in ((0, 9), (9, 10), (10, 12)):
        step = {"input_ids": inputs["input_ids"][:, start:stop]}
        outputs = run(model, step, past_key_values=past, use_cache=True, output_attentions=False)
        past = outputs.past_key_values
        expect.close(
            outputs.logits,
            whole[:, start:stop],
            allowed,
            f"model(ids {start}:{stop} with the cache of the others).logits",
            inputs=inputs,
        )


@applies_to(decoder, head("CausalLM"))
def test_no_cache_unless_wanted(checkpoint, model, expect):
    """use_cache=False returns no cache."""
    outputs = run(model, batch(checkpoint, [5]), use_cache=False)
    past = outputs.get("past_key_values")
    expect.true(
        past is None,
        type(past).__name__,
        "no cache",
        "model(**inputs, use_cache=False).past_key_values",
    )


@applies_to(seq2seq, model_type("bart", "mbart"))
def test_no_cache_beside_labels(checkpoint, model, expect):
    """In BART's family a pass over labels, which trains, keeps no cache unless it is asked for."""
    inputs = batch(checkpoint, [6])
    inputs |= labels(checkpoint, inputs)
    past = run(model, inputs).get("past_key_values")
    call = "model(**inputs, labels=labels).past_key_values"
    expect.true(past is None, type(past).__name__, "no cache", call, inputs=inputs)


@applies_to(decoder, head("CausalLM"), unless_shown)
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_cache_under_left_padding(checkpoint, device, dtype, expect, attention):
    """A cached step after a left-padded prefill equals the same position computed at once."""
    model = load_model(checkpoint, attention, dtype, device)
    inputs = batch(checkpoint, [14, 9, 4], side="left")
    whole = run(model, inputs, output_attentions=False).logits
    allowed = own_tolerance(checkpoint, inputs, dtype)["logits"]
    past = None
    for start, stop in ((0, 12), (12, 13), (13, 14)):
        step = {n: v[:, start:stop] for n, v in inputs.items()}
        step["attention_mask"] = inputs["attention_mask"][:, :stop]
        outputs = run(model, step, past_key_values=past, use_cache=True, output_attentions=False)
        past = outputs.past_key_values
    expect.close(
        outputs.logits[:, -1],
        whole[:, -1],
        allowed,
        "model(last token with the cache of the others).logits",
        inputs=inputs,
    )


@applies_to(decoder, head("CausalLM"), model_type("gpt2", "llama", "mistral"), unless_shown)
def test_a_cache_is_read_where_none_is_kept(checkpoint, model, dtype, expect):
    """A call that wants no cache back goes on from the one it is given."""
    inputs = batch(checkpoint, [12, 12])
    ids, whole = inputs["input_ids"], answers(model, inputs).logits
    past = run(model, {"input_ids": ids[:, :11]}, use_cache=True).past_key_values
    outputs = run(model, {"input_ids": ids[:, 11:]}, past_key_values=past, use_cache=False)
    allowed = own_tolerance(checkpoint, inputs, dtype)["logits"]
    call = "model(ids[:, 11:], past_key_values=the cache of ids[:, :11], use_cache=False).logits"
    expect.close(outputs.logits, whole[:, 11:], allowed, call, inputs=inputs)


@applies_to(seq2seq)
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_decoder_cache_equals_whole(checkpoint, device, dtype, expect, attention):
    """An encoder-decoder's decoder in cached steps gives the logits it gives at once."""
    model = load_model(checkpoint, attention, dtype, device)
    inputs = batch(checkpoint)
    whole = run(model, inputs, output_attentions=False).logits
    allowed = own_tolerance(checkpoint, inputs, dtype)["logits"]
    answer, past = inputs["decoder_input_ids"], None
    for start, stop in ((0, 4), (4, 5), (5, 6), (6, 9)):
        step = dict(inputs, decoder_input_ids=answer[:, start:stop])
        outputs = run(model, step, past_key_values=past, use_cache=True, output_attentions=False)
        past = outputs.past_key_values
        expect.close(
            outputs.logits,
            whole[:, start:stop],
            allowed,
            f"model(decoder tokens {start}:{stop} with the cache of the others).logits",
            inputs=inputs,
        )


@applies_to(decoder, head("CausalLM"), unless_shown)
def test_cache_does_not_leak_between_calls(checkpoint, dtype, expect):
    """A model that has decoded one sequence answers another as a fresh model does."""
    inputs, others = batch(checkpoint, [12], seed=34), batch(checkpoint, [30], seed=35)
    used, fresh = (fresh_model(checkpoint, dtype=dtype) for _ in range(2))
    run(used, others, use_cache=True)
    value, wanted = run(used, inputs).logits, run(fresh, inputs).logits
    expect.true(
        torch.equal(value, wanted),
        float((value - wanted).abs().max()),
        "no difference",
        "model(**inputs).logits after another sequence",
        inputs=inputs,
    )


@applies_to(decoder, head("CausalLM"), unless_shown)
def test_cached_keys_are_the_same(checkpoint, model, dtype, expect):
    """A cache grown token by token holds the keys and values of one made at once."""
    inputs = batch(checkpoint, [7])
    whole = cache_layers(run(model, inputs, use_cache=True).past_key_values)
    past = None
    for at in range(7):
        step = {n: v[:, at : at + 1] for n, v in inputs.items()}
        step["attention_mask"] = inputs["attention_mask"][:, : at + 1]
        past = run(model, step, past_key_values=past, use_cache=True).past_key_values
    allowed = max(own_tolerance(checkpoint, inputs, dtype).values())
    for grown, made in zip(cache_layers(past), whole, strict=True):
        for part, other in zip(grown, made, strict=True):
            expect.close(part, other, allowed, "the cache of model(**inputs)", inputs=inputs)
