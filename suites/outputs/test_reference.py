"""The library's outputs equal an independent float64 forward pass on the same weights."""

from __future__ import annotations


from fixtures.applicability import any_model, applies_to, head, referenced, text_model
from fixtures.checkpoint import HEADS
from fixtures.expect import Expect
from fixtures.ids import batch, labels
from fixtures.loading import load_model
from fixtures.oracle import judged, real_positions, run
from fixtures.tolerance import flattened


def agree(expect: Expect, outputs, inputs, dtype: str, call: str) -> None:
    """Every output the reference also has, on real positions, within the derived error."""
    exact, allowed = judged(expect.checkpoint, inputs, dtype)
    got = flattened(outputs)
    shared = [name for name in got if name in exact]
    expect.true("logits" in shared or len(shared) > 2, sorted(got), "outputs of a model", call)
    for name in shared:
        value, want = (real_positions(name, x, inputs) for x in (got[name].cpu(), exact[name]))
        expect.close(value, want, allowed[name], f"{call}.{name}", inputs=inputs)


@applies_to(any_model, referenced)
def test_outputs_equal_reference(checkpoint, model, dtype, expect, observe):
    """Hidden states layer by layer, attentions and logits equal the reference's."""
    inputs = batch(checkpoint)
    outputs = run(model, inputs)
    agree(expect, outputs, inputs, dtype, "model(**inputs, output_hidden_states=True, output_attentions=True)")


@applies_to(text_model, referenced)
def test_left_padded_outputs_equal_reference(checkpoint, model, dtype, expect):
    """Padding on the left leaves the outputs at real positions equal to the reference's."""
    inputs = batch(checkpoint, side="left", seed=2)
    agree(expect, run(model, inputs), inputs, dtype, "model(**inputs, output_hidden_states=True)")


@applies_to(any_model, referenced)
def test_sdpa_outputs_equal_reference(checkpoint, model, device, dtype, expect):
    """The default attention kernel gives the reference's hidden states and logits."""
    inputs = batch(checkpoint, seed=3)
    fused = load_model(checkpoint, "sdpa", dtype, device)
    outputs = run(fused, inputs, output_attentions=False)
    agree(expect, outputs, inputs, dtype, "model(**inputs, output_hidden_states=True)")


@applies_to(head(*HEADS), referenced)
def test_loss_equals_reference(checkpoint, model, dtype, expect):
    """The loss of a head equals its definition on the reference's logits, ignored positions left out."""
    inputs = batch(checkpoint, seed=4)
    inputs |= labels(checkpoint, inputs)
    exact, allowed = judged(checkpoint, inputs, dtype)
    loss = run(model, inputs).loss
    expect.close(loss.cpu(), exact["loss"], allowed["loss"], "model(**inputs).loss", inputs=inputs)
