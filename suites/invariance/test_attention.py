"""Who may look at whom: causality, bidirectionality, windows and cross-attention."""

from __future__ import annotations

from fixtures.agreement import agree_with_itself, final_states
from fixtures.applicability import (
    any_model,
    applies_to,
    decoder,
    encoder,
    lively,
    seq2seq,
    short_window,
)
from fixtures.ids import batch, ordinary_ids
from fixtures.loading import load_model
from fixtures.oracle import answers, own_tolerance, run


def replaced(checkpoint, inputs, position, name="input_ids"):
    """The inputs with another ordinary id at one position of every row."""
    ids = inputs[name].clone()
    another = [i for i in ordinary_ids(checkpoint) if i not in ids[:, position].tolist()]
    ids[:, position] = another[len(another) // 2]
    return dict(inputs, **{name: ids})


@applies_to(decoder | seq2seq)
def test_causality(checkpoint, model, dtype, expect):
    """A later token changes nothing before it, and something at its own position."""
    inputs = batch(checkpoint, [16, 16])
    field = "decoder_input_ids" if checkpoint.kind == "encoder-decoder" else "input_ids"
    at = inputs[field].shape[1] - 3
    name, states = final_states(answers(model, inputs))
    _, others = final_states(run(model, replaced(checkpoint, inputs, at, field)))
    allowed = own_tolerance(checkpoint, inputs, dtype)[name]
    expect.close(
        others[:, :at],
        states[:, :at],
        allowed,
        f"model(**inputs) {name} before {at}",
        inputs=inputs,
    )
    change = float((others[:, at] - states[:, at]).abs().max())
    expect.true(
        change > allowed,
        change,
        f"more than {allowed:.3g}",
        f"change of {name} at {at}",
        inputs=inputs,
    )


@applies_to(encoder)
def test_bidirectionality(checkpoint, model, dtype, expect):
    """The last token of an encoder's input reaches the first position, and the first the last."""
    inputs = batch(checkpoint, [12, 12])
    name, states = final_states(answers(model, inputs))
    allowed = own_tolerance(checkpoint, inputs, dtype)[name]
    for changed, seen in ((-1, 0), (0, -1)):
        _, others = final_states(run(model, replaced(checkpoint, inputs, changed)))
        change = float((others[:, seen] - states[:, seen]).abs().max())
        expect.true(
            change > allowed,
            change,
            f"more than {allowed:.3g}",
            f"change of {name} at {seen} when token {changed} changes",
            inputs=inputs,
        )


@applies_to(decoder, short_window)
def test_sliding_window_reach(checkpoint, device, dtype, expect):
    """In a layer, a token sees itself and the window - 1 tokens before it, and no further."""
    window = checkpoint.config["sliding_window"]
    inputs = batch(checkpoint, [window + 4])
    for attention in ("eager", "sdpa"):
        model = load_model(checkpoint, attention, dtype, device)
        states = run(model, inputs, output_attentions=False).hidden_states[1]
        others = run(model, replaced(checkpoint, inputs, 0), output_attentions=False).hidden_states[
            1
        ]
        allowed = own_tolerance(checkpoint, inputs, dtype)["hidden_states.1"]
        change = (others - states).abs().amax(-1)[0]
        inside, outside = change[:window].min(), change[window:].max()
        call = f"change of hidden_states[1] with {attention} attention when token 0 changes"
        expect.true(
            float(outside) <= allowed,
            change,
            f"at most {allowed:.3g} from position {window}",
            call,
            inputs=inputs,
        )
        expect.true(
            float(inside) > allowed,
            change,
            f"more than {allowed:.3g} before {window}",
            call,
            inputs=inputs,
        )


@applies_to(seq2seq, lively)
def test_cross_attention_reads_the_encoder(checkpoint, model, dtype, expect):
    """A real encoder token changes the decoder's states at every position."""
    inputs = batch(checkpoint, [12, 12])
    name, states = final_states(answers(model, inputs))
    _, others = final_states(run(model, replaced(checkpoint, inputs, 3)))
    allowed = own_tolerance(checkpoint, inputs, dtype)[name]
    change = (others - states).abs().amax(-1)
    expect.true(
        float(change.min()) > allowed,
        change,
        f"more than {allowed:.3g} everywhere",
        f"change of {name} when encoder token 3 changes",
        inputs=inputs,
    )


@applies_to(any_model)
def test_sdpa_equals_eager(checkpoint, model, device, dtype, expect):
    """The fused attention kernel gives what the explicit one gives."""
    inputs = batch(checkpoint)
    fused = run(load_model(checkpoint, "sdpa", dtype, device), inputs, output_attentions=False)
    agree_with_itself(expect, fused, answers(model, inputs), inputs, "model(**inputs)", dtype)
