"""Train and eval mode, and the dtypes weights are loaded in."""

from __future__ import annotations

import copy

import pytest

from fixtures.agreement import agree_with_reference, final_states
from fixtures.applicability import any_model, applies_to, drops_out, referenced, unquantised
from fixtures.ids import batch
from fixtures.lazy import torch
from fixtures.loading import fresh_model, load_model
from fixtures.oracle import answers, run
from fixtures.tolerance import K, eps


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


OUTGROWN = 300.0  # its square is beyond float16, which ends at 65504


@applies_to(any_model, referenced, unquantised)
def test_norms_do_not_overflow(checkpoint, device, expect):
    """In float16 a norm of states whose squares outgrow it is float32's, rounded."""
    model = load_model(checkpoint, "eager", "float16", device)
    draw = torch.Generator().manual_seed(73)
    for name, norm in model.named_modules():
        weight = getattr(norm, "weight", None)
        if type(norm).__name__.endswith("Norm") and weight is not None:
            states = (torch.randn(2, 3, weight.shape[0], generator=draw) * OUTGROWN).half()
            with torch.no_grad():
                value = norm(states.to(weight.device))
                wanted = copy.deepcopy(norm).float()(states.float().to(weight.device))
            limit = K * eps("float16") * float(wanted.abs().max())
            call = f"model.half().get_submodule({name!r})(states.half()), states around {OUTGROWN}"
            expect.close(value, wanted, limit, call)
