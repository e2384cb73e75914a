"""What is learned from a loss: gradients, and that saving memory does not change them."""

from __future__ import annotations

from fixtures.applicability import (
    any_head,
    any_model,
    applies_to,
    generates,
    light,
    lively,
    loader_sample,
    referenced,
)
from fixtures.gradients import judged_gradients, library_gradients, rounding
from fixtures.ids import batch, labels
from fixtures.lazy import torch
from fixtures.loading import checkpoint_activations, fresh_model
from fixtures.oracle import answers, own_tolerance, run
from fixtures.stored import fingerprint
from fixtures.tolerance import allowed


@applies_to(any_head, referenced, light, lively)
def test_gradients_equal_reference(checkpoint, device, dtype, expect):
    """The gradient of the loss for every weight equals the reference's."""
    model = fresh_model(checkpoint, dtype=dtype).to(device).requires_grad_(True)
    inputs = batch(checkpoint, [12, 12])  # torch trains no row of padding
    inputs |= labels(checkpoint, inputs)
    exact, limits = judged_gradients(checkpoint, inputs, dtype)
    marks = {name: fingerprint(p) for name, p in model.named_parameters()}
    found = library_gradients(model, inputs)
    shared = {name: mark for name, mark in marks.items() if mark in exact}
    expect.true(
        len(shared) > 0,
        sorted(marks),
        "parameters with the files' values",
        "model.named_parameters()",
    )
    for name, mark in shared.items():
        value = found.get(name, torch.zeros(exact[mark].shape))
        expect.close(
            value,
            exact[mark],
            limits[mark],
            f"model.get_parameter({name!r}).grad after the loss's backward()",
            inputs=inputs,
        )


@applies_to(any_model, any_head, light)
def test_checkpointing_changes_no_gradient(checkpoint, device, dtype, expect):
    """Gradient checkpointing recomputes what it forgot: loss, dropout and gradients stay the same."""
    model = fresh_model(checkpoint, dtype=dtype).to(device).requires_grad_(True).train()
    inputs = batch(checkpoint)
    inputs |= labels(checkpoint, inputs)
    torch.manual_seed(1)
    plain = library_gradients(model, inputs)
    checkpoint_activations(model)
    torch.manual_seed(1)
    frugal = library_gradients(model, inputs)
    expect.equal(
        sorted(frugal),
        sorted(plain),
        "parameters with a gradient after model.gradient_checkpointing_enable()",
    )
    noise = rounding(max(float(value.abs().max()) for value in plain.values()), dtype)
    for name, wanted in plain.items():
        limit = allowed(wanted.double(), wanted, dtype)
        # nothing but rounding, as a key projection's bias: softmax cancels it
        limit = noise if float(wanted.abs().max()) < noise else limit
        expect.close(
            frugal[name], wanted, limit, f"model.get_parameter({name!r}).grad", inputs=inputs
        )


@applies_to(any_model, any_head, loader_sample)
def test_checkpointing_can_be_switched_off(checkpoint, dtype, expect):
    """With gradient checkpointing a loss runs modules again in backward(); switched off, no longer."""
    model, calls = fresh_model(checkpoint, dtype=dtype).requires_grad_(True).train(), []
    inputs = batch(checkpoint, [7])
    inputs |= labels(checkpoint, inputs)
    for module in model.modules():
        module.register_forward_hook(lambda *_: calls.append(1))
    counts = []
    for switch in (None, True, False):
        if switch is not None:
            checkpoint_activations(model, switch)
        calls.clear()
        library_gradients(model, inputs)
        counts.append(len(calls))
    plain, frugal, again = counts
    call = "modules run by model(**inputs, labels=labels).loss.backward(): plainly, checkpointed, switched off"
    expect.true(frugal > plain == again, counts, "more only where checkpointed", call)


@applies_to(generates, loader_sample)
def test_checkpointing_spares_the_cache(checkpoint, model, dtype, expect):
    """A model told to checkpoint its activations goes on from a cache when it is not being trained."""
    inputs, past = batch(checkpoint, [9, 9]), None
    whole, allowed = answers(model, inputs).logits, own_tolerance(checkpoint, inputs, dtype)
    field = "decoder_input_ids" if checkpoint.kind == "encoder-decoder" else "input_ids"
    read = {"input_ids": inputs["input_ids"]}
    frugal = fresh_model(checkpoint, dtype=dtype)
    checkpoint_activations(frugal)
    for part in (slice(0, 6), slice(6, 9)):
        step = read | {field: inputs[field][:, part]}
        outputs = run(frugal.eval(), step, past_key_values=past, use_cache=True)
        past, wanted = outputs.past_key_values, whole[:, part]
        call = f"(model.gradient_checkpointing_enable(), model.eval()(ids {part.start}:{part.stop}, past_key_values=past)).logits"
        expect.close(outputs.logits, wanted, allowed["logits"], call, inputs=inputs)


@applies_to(any_model, any_head, loader_sample)
def test_inputs_can_ask_for_gradients(checkpoint, device, dtype, expect):
    """With its weights frozen, a model's outputs depend on its embedded input once asked to, and not after."""
    model = fresh_model(checkpoint, dtype=dtype).to(device)
    inputs = {n: v.to(device) for n, v in batch(checkpoint, [7]).items()}
    call = "model(**inputs).logits.requires_grad"
    for method, wanted in (("enable", True), ("disable", False)):
        getattr(model, f"{method}_input_require_grads")()
        value = model(**inputs).logits.requires_grad
        expect.equal(value, wanted, f"(model.{method}_input_require_grads(), {call})[1]")
