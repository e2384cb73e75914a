"""Train and eval mode, and the dtypes weights are loaded in."""

from __future__ import annotations

import pytest

from fixtures.agreement import agree_with_reference, final_states
from fixtures.applicability import (
    any_model,
    applies_to,
    drops_out,
    light,
    model_type,
    referenced,
    seq2seq,
    unquantised,
)
from fixtures.ids import batch
from fixtures.lazy import torch
from fixtures.loading import fresh_model, load_model
from fixtures.oracle import answers, run


@applies_to(any_model, drops_out)
def test_dropout_only_in_train_mode(checkpoint, model, device, dtype, expect):
    """Dropout makes two runs differ in train mode and never in eval mode."""
    inputs = batch(checkpoint)
    other = fresh_model(checkpoint, dtype=dtype).to(device).train()
    first, second = (final_states(run(other, inputs))[1] for _ in range(2))
    expect.true(
        not torch.equal(first, second),
        "no difference",
        "different hidden states",
        "model.train()(**inputs), twice",
        inputs=inputs,
    )
    other.eval()
    back, wanted = final_states(run(other, inputs))[1], final_states(answers(model, inputs))[1]
    expect.true(
        torch.equal(back.cpu(), wanted.cpu()),
        "another answer",
        "the answer before training mode",
        "model.train().eval()(**inputs)",
        inputs=inputs,
    )


@applies_to(any_model, referenced, unquantised)
@pytest.mark.parametrize("half", ["bfloat16", "float16"])
def test_half_precision_is_close(checkpoint, device, expect, half):
    """Weights loaded in half precision give the reference's outputs within that dtype's error."""
    inputs = batch(checkpoint)
    outputs = run(load_model(checkpoint, "eager", half, device), inputs)
    agree_with_reference(expect, outputs, inputs, half, f"model.to(torch.{half})(**inputs)")


@applies_to(model_type("t5"), seq2seq, light)
@pytest.mark.parametrize("part", ["SelfAttention.o", "EncDecAttention.o", "wo"])
def test_what_overflows_is_clamped(checkpoint, expect, part):
    """What a sub-layer of T5 gives that float16 is too small for is clamped: all states stay finite."""
    model, inputs = fresh_model(checkpoint).half(), batch(checkpoint, [9, 6])
    largest = torch.finfo(torch.float16).max
    for name, value in model.named_parameters():
        if name.endswith(f"{part}.weight"):
            value.data.mul_(largest / value.abs().max() / 2)
    outputs = run(model, inputs, output_attentions=False)
    for name in ("encoder_hidden_states", "decoder_hidden_states"):
        finite = [bool(states.isfinite().all()) for states in outputs[name]]
        call = f"finite, of model.half()(**inputs).{name}, {part} as large as float16 allows"
        expect.equal(finite, [True] * len(finite), call, inputs=inputs)
