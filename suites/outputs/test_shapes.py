"""Keys, shapes and dtypes of what a model returns, as its configuration implies them."""

from __future__ import annotations

import copy
import pickle

import pytest

from fixtures.applicability import (
    any_head,
    any_model,
    applies_to,
    convention,
    decoder,
    encoder,
    head,
    learned_positions,
    light,
    text_model,
    unquantised,
    wide_window,
)
from fixtures.ids import batch, labels, max_length
from fixtures.lazy import torch
from fixtures.loading import cache_layers, load_model
from fixtures.oracle import answers, run
from fixtures.shapes import cache_shape, hidden_count, hidden_size, logits_shapes, sequence_length


@applies_to(any_head)
def test_logits_shape(checkpoint, model, expect, observe):
    """A head's logits have one number per label, word piece or span end, as its name says."""
    inputs = batch(checkpoint)
    outputs = answers(model, inputs)
    wanted = logits_shapes(checkpoint, inputs)
    got = {name: list(outputs[name].shape) for name in wanted if name in outputs}
    observe("outputs/shapes", got, group="outputs")
    expect.equal(
        got,
        wanted,
        "{k: list(v.shape) for k, v in model(**inputs).items() if 'logits' in k}",
        inputs=inputs,
    )


@applies_to(any_model)
def test_hidden_states_shape(checkpoint, model, expect, observe):
    """There is one hidden state per layer and one for the embeddings, each of the hidden size."""
    inputs = batch(checkpoint)
    outputs = answers(model, inputs)
    name = "decoder_hidden_states" if "decoder_hidden_states" in outputs else "hidden_states"
    states = outputs[name]
    length = sequence_length(checkpoint, inputs)
    expect.equal(
        len(states), hidden_count(checkpoint), f"len(model(**inputs).{name})", inputs=inputs
    )
    wanted = [len(states[0]), length, hidden_size(checkpoint)]
    for state in states:
        expect.equal(list(state.shape), wanted, f"model(**inputs).{name}", inputs=inputs)


@applies_to(any_model)
def test_attentions_shape(checkpoint, model, expect):
    """Every layer reports one attention matrix per head: queries by keys."""
    inputs = batch(checkpoint)
    outputs = answers(model, inputs)
    name = "decoder_attentions" if "decoder_attentions" in outputs else "attentions"
    expect.equal(len(outputs[name]), hidden_count(checkpoint) - 1, f"len(model(**inputs).{name})")
    length = sequence_length(checkpoint, inputs)
    for matrix in outputs[name]:
        expect.equal(list(matrix.shape[2:]), [length, length], f"model(**inputs).{name}[0].shape")


@applies_to(any_model, unquantised)
def test_outputs_keep_the_dtype(checkpoint, device, dtype, expect):
    """A model loaded in a dtype computes and answers in it."""
    for kind in {dtype, "bfloat16"}:
        outputs = run(load_model(checkpoint, "eager", kind, device), batch(checkpoint))
        name = next(n for n in outputs if "logits" in n or n == "last_hidden_state")
        call = f"model.to(torch.{kind})(**inputs).{name}.dtype"
        expect.equal(str(outputs[name].dtype), f"torch.{kind}", call)


@applies_to(any_model)
def test_tuple_equals_dict(checkpoint, model, expect):
    """return_dict=False gives the same tensors in the same order as a tuple."""
    inputs, plain = batch(checkpoint), {"output_attentions": False, "output_hidden_states": False}
    named, call = run(model, inputs, **plain).to_tuple(), "model(**inputs, return_dict=False)"
    bare = run(model, inputs, return_dict=False, **plain)
    expect.true(isinstance(bare, tuple), type(bare).__name__, "a tuple", call)
    expect.equal(len(bare), len(named), f"len({call})", inputs=inputs)
    for place, (value, wanted) in enumerate(zip(bare, named, strict=True)):
        if hasattr(wanted, "shape"):
            expect.equal(value, wanted, f"{call}[{place}]", inputs=inputs)


@applies_to(any_head, light)
def test_copied_outputs_are_the_same(checkpoint, model, expect):
    """Outputs that are copied or pickled have the same values under the same names."""
    inputs, plain = batch(checkpoint), {"output_attentions": False, "output_hidden_states": False}
    outputs = run(model, inputs, **plain)
    tensors = {name: value for name, value in outputs.items() if hasattr(value, "shape")}
    ways = {
        "copy.copy(outputs)": copy.copy,
        "copy.deepcopy(outputs)": copy.deepcopy,
        "pickle.loads(pickle.dumps(outputs))": lambda whole: pickle.loads(pickle.dumps(whole)),
    }
    for call, way in ways.items():
        other = way(outputs)
        expect.equal(list(other), list(outputs), f"list({call})", inputs=inputs)
        for name, value in tensors.items():
            expect.equal(other[name], value, f"{call}[{name!r}]", inputs=inputs)


@applies_to(any_head, light)
def test_a_loss_comes_first(checkpoint, model, expect):
    """Given labels, a model's tuple begins with the loss, before everything else it names."""
    inputs = batch(checkpoint)
    inputs |= labels(checkpoint, inputs)
    named, call = answers(model, inputs), "model(**inputs).to_tuple()"
    expect.equal(len(named.to_tuple()), len(list(named.keys())), f"len({call})", inputs=inputs)
    expect.equal(named.to_tuple()[0], named["loss"], f"{call}[0]", inputs=inputs)
    value = run(model, inputs, return_dict=False)
    expect.equal(value[0], named["loss"], "model(**inputs, return_dict=False)[0]", inputs=inputs)


@applies_to(any_model)
def test_outputs_appear_only_when_asked_for(checkpoint, model, expect):
    """Hidden states and attentions are returned when asked for, and not otherwise."""
    inputs = batch(checkpoint)
    plain = run(model, inputs, output_attentions=False, output_hidden_states=False)
    extra = [
        n for n in plain if n.endswith(("hidden_states", "attentions")) and plain[n] is not None
    ]
    expect.equal(extra, [], "list(model(**inputs))", inputs=inputs)


@applies_to(any_head)
def test_loss_appears_with_labels(checkpoint, model, expect):
    """The loss is a finite number when labels are given, and absent without them."""
    inputs = batch(checkpoint)
    without = run(model, inputs).get("loss")
    expect.true(without is None, without, "no loss", "model(**inputs).loss", inputs=inputs)
    inputs |= labels(checkpoint, inputs)
    loss = run(model, inputs).loss
    expect.true(
        loss.dim() == 0 and bool(loss.isfinite()),
        loss,
        "a finite number",
        "model(**inputs).loss",
        inputs=inputs,
    )


@applies_to(text_model)
@pytest.mark.parametrize("length", [1, 2])
def test_short_inputs(checkpoint, model, expect, length):
    """A sequence of one or two tokens is processed like any other."""
    inputs = batch(checkpoint, [length])
    outputs = answers(model, inputs)
    first = next(v for n, v in outputs.items() if "logits" in n or n == "last_hidden_state")
    expect.true(
        bool(first.isfinite().all()), first, "finite numbers", "model(**inputs)", inputs=inputs
    )


@applies_to(encoder | decoder)
def test_longest_input(checkpoint, model, expect):
    """As many tokens as the position table holds (at most 512 are tried) are processed."""
    length = min(max_length(checkpoint) or 512, 512)
    inputs = batch(checkpoint, [length])
    outputs = run(model, inputs, output_attentions=False)
    state = outputs.hidden_states[-1]
    expect.equal(
        list(state.shape[:2]), [1, length], "model(**inputs).hidden_states[-1].shape", inputs=inputs
    )
    expect.true(
        bool(state.isfinite().all()), state, "finite numbers", "model(**inputs)", inputs=inputs
    )


@convention
@applies_to(text_model, learned_positions)
def test_past_the_longest_input(checkpoint, model, expect, observe):
    """One token more than a learned position table holds is an error, not an answer."""
    ids = batch(checkpoint, [4])["input_ids"]
    inputs = {"input_ids": ids[:, :1].repeat(1, max_length(checkpoint) + 1)}
    if checkpoint.kind == "encoder-decoder":
        inputs["decoder_input_ids"] = ids[:, :1]
    try:
        outcome = list(run(model, inputs)[0].shape)
    except (IndexError, RuntimeError, ValueError) as error:
        outcome = error
    observe("outputs/past-the-longest-input", outcome, group="outputs")
    expect.true(
        isinstance(outcome, Exception), outcome, "an error", "model(**inputs)", inputs=inputs
    )


@applies_to(head("CausalLM"), decoder, wide_window)
def test_cache_shape(checkpoint, model, expect):
    """The cache holds, for every layer, keys and values of every key-value head and position."""
    inputs = batch(checkpoint, [3, 3])  # shorter than any window, which may roll
    past = run(model, inputs, use_cache=True).past_key_values
    layers = cache_layers(past)
    expect.equal(
        len(layers),
        hidden_count(checkpoint) - 1,
        "len(model(**inputs).past_key_values)",
        inputs=inputs,
    )
    for keys, values in layers:
        expect.equal(
            list(keys.shape), cache_shape(checkpoint, 2, 3), "keys of a layer", inputs=inputs
        )
        expect.equal(
            list(values.shape), cache_shape(checkpoint, 2, 3), "values of a layer", inputs=inputs
        )


@applies_to(any_model)
def test_inputs_are_left_alone(checkpoint, model, expect):
    """A forward pass does not change the tensors it is given."""
    inputs = batch(checkpoint)
    copies = {name: value.clone() for name, value in inputs.items()}
    run(model, inputs)
    changed = [name for name, value in inputs.items() if not torch.equal(value, copies[name])]
    expect.equal(changed, [], "inputs after model(**inputs)", inputs=copies)
