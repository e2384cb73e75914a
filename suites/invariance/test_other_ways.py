"""Ways to compute the same thing: in pieces, in another order of memory, packed, far from the start, by a copy."""

from __future__ import annotations

import copy
import random
from dataclasses import replace

import pytest

from fixtures.agreement import agree_with_itself, agree_with_reference, final_states
from fixtures.applicability import (
    any_model,
    applies_to,
    computes_positions,
    decoder,
    encoder,
    head,
    light,
    model_type,
    referenced,
    small,
    text_model,
)
from fixtures.expect import Expect
from fixtures.ids import batch, sequences
from fixtures.lazy import torch
from fixtures.loading import fresh_model, load_model
from fixtures.oracle import answers, own_tolerance, run
from fixtures.stored import copied, reconfigured
from fixtures.tolerance import K

rotary = model_type("llama", "mistral")


@applies_to(encoder, model_type("bert", "roberta", "distilbert"), light)
def test_chunks_change_nothing(checkpoint, model, dtype, expect):
    """A feed-forward that takes three positions at a time gives what it gives at once."""
    inputs = batch(checkpoint, [12, 8])
    pieces = fresh_model(checkpoint, dtype=dtype, chunk_size_feed_forward=3)
    call = "from_pretrained(path, chunk_size_feed_forward=3)(**inputs)"
    agree_with_itself(expect, run(pieces, inputs), answers(model, inputs), inputs, call, dtype)


@applies_to(decoder, model_type("gpt2"), light)
def test_reordered_attention_changes_nothing(checkpoint, model, dtype, expect):
    """Attention scores computed in float32, scaled before they are multiplied, are the same scores."""
    inputs = batch(checkpoint)
    reordered = fresh_model(checkpoint, dtype=dtype, reorder_and_upcast_attn=True)
    call = "from_pretrained(path, reorder_and_upcast_attn=True)(**inputs)"
    agree_with_itself(expect, run(reordered, inputs), answers(model, inputs), inputs, call, dtype)


@applies_to(any_model)
def test_layout_of_inputs_changes_nothing(checkpoint, model, dtype, expect):
    """Inputs that lie in memory in another order, ids in 32 bits, give what plain ones give."""
    inputs = batch(checkpoint)
    short = {n: v.int() if n.endswith("input_ids") else v for n, v in inputs.items()}
    other = {n: torch.stack([v, v], -1)[..., 0] for n, v in short.items()}
    call = "model(**inputs in another memory layout)"
    agree_with_itself(expect, run(model, other), answers(model, inputs), inputs, call, dtype)


@applies_to(any_model, light)
def test_copies_are_equal_and_apart(checkpoint, model, dtype, expect):
    """A copied model answers alike, shares no weight with the first, and answers by its own."""
    inputs, call = batch(checkpoint, [7]), "copy.deepcopy(model)"
    wanted, first = answers(model, inputs), fresh_model(checkpoint, dtype=dtype)
    with pytest.raises(
        (IndexError, RuntimeError, ValueError)
    ):  # what a failed call leaves is copied
        run(first, impossible(inputs))
    other = copy.deepcopy(first)
    agree_with_itself(expect, run(other, inputs), wanted, inputs, f"{call}(**inputs)", dtype)
    shared = {p.data_ptr() for p in first.parameters()} & {p.data_ptr() for p in other.parameters()}
    expect.true(not shared, f"{len(shared)} weights", "no shared weight", call)
    with torch.no_grad():
        for name, parameter in other.named_parameters():
            parameter.mul_(0.5 if ".0." in name else 1.0)
    (name, states), (_, changed) = (final_states(each) for each in (wanted, run(other, inputs)))
    call = f"{call}(**inputs).{name}, the first layer's weights halved, after a call that failed"
    moved = not torch.equal(states.cpu(), changed)
    expect.true(moved, "the model's own answer", "another answer", call, inputs=inputs)


def impossible(inputs):
    """Inputs that a model on the CPU refuses: ids beyond any vocabulary, pictures of too many channels."""
    if "pixel_values" in inputs:
        return {"pixel_values": torch.cat([inputs["pixel_values"]] * 2, 1)}
    return dict(inputs, input_ids=inputs["input_ids"] + 10**7)


@applies_to(decoder, rotary, head("CausalLM"))
def test_packed_sequences_are_apart(checkpoint, model, dtype, expect):
    """Sequences in one row, be they of one token, their positions each from zero and no mask, do not see each other."""
    first, one, last, long = sequences(checkpoint, [9, 1, 6, 16], seed=49)
    rows, places = [long, first + one + last], [[*range(16)], [*range(9), 0, *range(6)]]
    given = {"input_ids": torch.tensor(rows), "position_ids": torch.tensor(places)}
    packed = run(model, given, use_cache=False).logits
    inputs = batch(checkpoint, [9, 9])
    limit = own_tolerance(checkpoint, inputs, dtype)["logits"]
    call = "model(input_ids=[long, first + one + last], position_ids=[[0, 1, ...], [0, 1, ..., 0, 0, 1, ...]]).logits"
    for ids, row, start in ((long, 0, 0), (first, 1, 0), (one, 1, 9), (last, 1, 10)):
        alone = run(model, {"input_ids": torch.tensor([ids])}).logits[0]
        value, place = packed[row, start : start + len(ids)], f"{call}[{row}, {start}:]"
        expect.close(value, alone, limit, place, rows=rows, places=places)


@applies_to(decoder, rotary, head("CausalLM"), light)
def test_half_precision_far_from_the_start(checkpoint, device, expect):
    """In bfloat16, positions in the thousands, which it cannot count, are as exact as the first ones."""
    exact, half = (load_model(checkpoint, "eager", d, device) for d in ("float64", "bfloat16"))
    inputs = batch(checkpoint, [12, 12])
    far = dict(inputs, position_ids=inputs["position_ids"] + 3001)
    near = [run(model, inputs).logits.double() for model in (exact, half)]
    wanted, value = (run(model, far).logits.double() for model in (exact, half))
    limit = K * float((near[0] - near[1]).abs().max())
    call = "model.to(torch.bfloat16)(**inputs, position_ids=3001, 3002, ...).logits"
    expect.close(value, wanted, limit, call, inputs=far)


@applies_to(decoder, computes_positions, light)
def test_long_input_leaves_nothing_behind(checkpoint, dtype, expect):
    """After an input longer than it was trained on, a short one gets what it got before."""
    trained = min(checkpoint.config.get("max_position_embeddings", 0), 512)
    inputs, parts = batch(checkpoint, [7]), sequences(checkpoint, [trained, 9], seed=53)
    model = fresh_model(checkpoint, dtype=dtype)
    wanted = run(model, inputs)
    run(model, {"input_ids": torch.tensor([[*parts[0], *parts[1]]])})
    call = "model(**inputs) after a longer input"
    agree_with_itself(expect, run(model, inputs), wanted, inputs, call, dtype)


ACTIVATIONS = ("gelu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh", "quick_gelu", "relu", "silu")
FIELDS = ("hidden_act", "activation", "activation_function", "dense_act_fn")


@applies_to(any_model, referenced, small, ~model_type("t5"))
def test_each_activation_is_the_one_named(checkpoint, dtype, tmp_path):
    """With another activation named in its configuration, a model gives the reference's outputs."""
    field = next(f for f in FIELDS if f in checkpoint.config)
    others = [name for name in ACTIVATIONS if name != checkpoint.config[field]]
    for name in random.Random(checkpoint.name).sample(others, 2):
        directory = reconfigured(copied(checkpoint, tmp_path / name), **{field: name})
        other = replace(checkpoint, path=directory)
        inputs = batch(other, [9])
        outputs = run(fresh_model(other, dtype=dtype), inputs)
        call = f"the model with {field}={name!r}, (**inputs)"
        agree_with_reference(Expect(other), outputs, inputs, dtype, call)


# Each of these acts in every model of the family, whatever its head.
DROPOUTS = {
    "bert": ("hidden_dropout_prob", "attention_probs_dropout_prob"),
    "roberta": ("hidden_dropout_prob", "attention_probs_dropout_prob"),
    "distilbert": ("dropout", "attention_dropout"),
    "gpt2": ("resid_pdrop", "embd_pdrop", "attn_pdrop"),
    "llama": ("attention_dropout",),
    "mistral": ("attention_dropout",),
    "t5": ("dropout_rate",),
    "bart": ("dropout", "attention_dropout", "activation_dropout"),
    "mbart": ("dropout", "attention_dropout", "activation_dropout"),
    "vit": ("hidden_dropout_prob", "attention_probs_dropout_prob"),
    "deit": ("hidden_dropout_prob", "attention_probs_dropout_prob"),
}


# A decoder that classifies tokens drops out a tenth before its head, whatever the file says.
@applies_to(any_model, model_type(*DROPOUTS), ~(decoder & head("TokenClassification")), light)
def test_each_dropout_acts_alone(checkpoint, model, dtype, expect):
    """Each dropout of the configuration changes the outputs in training, and none is there when all are zero."""
    inputs = batch(checkpoint, [9, 6])
    wanted = answers(model, inputs)
    stated, fields = {n for n in checkpoint.config if "drop" in n}, DROPOUTS[checkpoint.model_type]
    still = dict.fromkeys((*stated, *fields), 0.0)
    for field in (None, *fields):
        options = still | ({field: 0.5} if field else {})
        other = fresh_model(checkpoint, dtype=dtype, **options).train()
        what = f"{field}=0.5, other dropouts 0" if field else "every dropout 0"
        call = f"from_pretrained(path, {what}).train()(**inputs)"
        if field is None:
            agree_with_itself(expect, run(other, inputs), wanted, inputs, call, dtype)
        for name in last_states(wanted) if field else ():
            if name.startswith("decoder"):  # what the encoder drops out reaches the decoder
                other.base_model.get_encoder().eval()
            states = last_states(run(other, inputs))[name]
            moved = not torch.equal(states, last_states(wanted)[name])
            expect.true(moved, "no difference", "other numbers than without", f"{call}.{name}")


def last_states(outputs):
    """The last hidden state of each stack, the encoder's first."""
    names = sorted((n for n in outputs if n.endswith("hidden_states")), reverse=True)
    return {name: outputs[name][-1] for name in names}


@applies_to(text_model, light)
def test_rows_are_answered_alone(checkpoint, model, dtype, expect):
    """A row of a large batch of equal rows gets what it gets alone."""
    inputs = batch(checkpoint, [11])
    many = {n: v.repeat(9, *[1] * (v.dim() - 1)) for n, v in inputs.items()}
    outputs, alone = run(model, many), answers(model, inputs)
    name = next(n for n in ("logits", "start_logits", "last_hidden_state") if n in alone)
    limit = own_tolerance(checkpoint, inputs, dtype)[name]
    wanted = alone[name].expand_as(outputs[name])
    expect.close(outputs[name], wanted, limit, f"model(**nine equal rows).{name}", inputs=inputs)
