"""Padding, batching and masks change nothing they should not."""

from __future__ import annotations

import pytest

from fixtures.agreement import agree_with_itself, final_states
from fixtures.applicability import (
    any_model,
    applies_to,
    decoder,
    settled,
    token_stack,
    unless_shown,
)
from fixtures.ids import batch, ordinary_ids
from fixtures.lazy import torch
from fixtures.loading import load_model
from fixtures.oracle import answers, own_tolerance, run


def alone_equals_padded(expect, model, inputs, dtype):
    """Each row's last hidden states, computed alone without padding, equal those of the batch."""
    name, states = final_states(run(model, inputs))
    allowed = own_tolerance(expect.checkpoint, inputs, dtype)[name]
    for row, mask in enumerate(inputs["attention_mask"].bool()):
        alone = {n: v[[row]] if "decoder" in n else v[[row]][:, mask] for n, v in inputs.items()}
        _, single = final_states(run(model, alone))
        batched = states[row] if "decoder" in name else states[row][mask]
        expect.close(batched, single[0], allowed, "model(**inputs)", row=row, inputs=inputs)


@applies_to(token_stack, settled)
def test_right_padding_changes_nothing(checkpoint, model, dtype, expect):
    """A sequence gives the same hidden states alone and padded on the right in a batch."""
    alone_equals_padded(expect, model, batch(checkpoint), dtype)


@applies_to(decoder, settled)
def test_left_padding_changes_nothing(checkpoint, model, dtype, expect):
    """A decoder told its positions gives the same hidden states alone and padded on the left."""
    alone_equals_padded(expect, model, batch(checkpoint, side="left"), dtype)


@applies_to(any_model)
def test_batch_order_changes_nothing(checkpoint, model, dtype, expect):
    """Reversing the rows of a batch reverses the rows of the outputs."""
    inputs = batch(checkpoint)
    turned = {name: value.flip(0) for name, value in inputs.items()}
    _, states = final_states(run(model, turned))
    outputs = answers(model, inputs)
    name, wanted = final_states(outputs)
    agree_with_itself(
        expect, {name: states.flip(0)}, {name: wanted}, inputs, "model(**inputs)", dtype
    )


@applies_to(token_stack, unless_shown)
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_masked_tokens_change_nothing(checkpoint, device, dtype, expect, attention):
    """Other ids behind a zero of the attention mask leave every real position as it was."""
    side = "left" if checkpoint.kind == "decoder" else "right"
    inputs = batch(checkpoint, [12, 9, 9], side=side)
    masked = inputs["attention_mask"] == 0
    others = dict(
        inputs, input_ids=inputs["input_ids"].masked_fill(masked, ordinary_ids(checkpoint)[-1])
    )
    if checkpoint.model_type == "roberta":  # its positions are derived from the padding ids
        positions = (
            inputs["attention_mask"].cumsum(-1) * inputs["attention_mask"]
        ) + checkpoint.config["pad_token_id"]
        inputs["position_ids"] = others["position_ids"] = positions
    model = load_model(checkpoint, attention, dtype, device)
    name, states = final_states(run(model, inputs, output_attentions=False))
    _, changed = final_states(run(model, others, output_attentions=False))
    if "decoder" not in name:
        states, changed = states[~masked], changed[~masked]
    allowed = own_tolerance(checkpoint, inputs, dtype)[name]
    expect.close(changed, states, allowed, f"model(**inputs) {name}", inputs=others)


@applies_to(token_stack)
def test_a_full_mask_is_no_mask(checkpoint, model, dtype, expect):
    """An attention mask of ones gives what leaving it out gives."""
    inputs = batch(checkpoint, [12, 12])
    without = {name: value for name, value in inputs.items() if name != "attention_mask"}
    outputs, others = answers(model, inputs), run(model, without)
    agree_with_itself(expect, outputs, others, inputs, "model(**inputs)", dtype)


@applies_to(any_model)
def test_eval_is_deterministic(checkpoint, model, expect):
    """Two forward passes on the same inputs give the same bits."""
    inputs = batch(checkpoint)
    name, states = final_states(run(model, inputs))
    _, again = final_states(run(model, inputs))
    expect.true(
        torch.equal(states, again),
        float((states - again).abs().max()),
        "no difference",
        f"model(**inputs) {name}, twice",
        inputs=inputs,
    )


@applies_to(any_model)
def test_thread_count_changes_nothing(checkpoint, model, dtype, expect):
    """One thread and two give the same outputs."""
    inputs = batch(checkpoint)
    threads = torch.get_num_threads()
    runs = []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            runs.append(run(model, inputs))
    finally:
        torch.set_num_threads(threads)
    agree_with_itself(expect, runs[0], runs[1], inputs, "model(**inputs)", dtype)
