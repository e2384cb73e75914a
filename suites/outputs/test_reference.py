"""The library's outputs equal an independent float64 forward pass on the same weights."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fixtures.agreement import agree_with_reference
from fixtures.applicability import (
    COMPUTED_POSITIONS,
    Predicate,
    any_head,
    any_model,
    applies_to,
    decoder,
    encoder_decoder,
    head,
    holds_its_base,
    light,
    model_type,
    pads_left,
    referenced,
    roomy,
    text_model,
    unless_shown,
)
from fixtures.expect import Expect
from fixtures.ids import batch, eos_id, labels, max_length, sequences, standard
from fixtures.lazy import torch
from fixtures.loading import fresh_model, load_model, require_both_ways
from fixtures.oracle import answers, judged, run
from fixtures.stored import copied, reconfigured

shows_family = Predicate(
    "not a built-in checkpoint, but for one that shows the family",
    lambda c: (
        c.source != "built-in" or c.name in ("gpt2-counting", "llama-bytes", "mistral-random")
    ),
)


@applies_to(any_model, referenced)
def test_outputs_equal_reference(checkpoint, model, dtype, expect, observe):
    """Hidden states layer by layer, attentions and logits equal the reference's."""
    inputs = batch(checkpoint)
    outputs = answers(model, inputs)
    agree_with_reference(
        expect,
        outputs,
        inputs,
        dtype,
        "model(**inputs, output_hidden_states=True, output_attentions=True)",
    )


@applies_to(text_model, referenced, pads_left)
def test_left_padded_outputs_equal_reference(checkpoint, model, dtype, expect):
    """Padding on the left leaves the outputs at real positions equal to the reference's."""
    inputs = batch(checkpoint, side="left", seed=2)
    agree_with_reference(
        expect, answers(model, inputs), inputs, dtype, "model(**inputs, output_hidden_states=True)"
    )


@applies_to(text_model, referenced, unless_shown)
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_mask_with_gaps_equals_reference(checkpoint, device, dtype, expect, attention):
    """Zeros in the middle of the mask hide just those tokens."""
    inputs = batch(checkpoint, [15, 15], seed=14)
    inputs["attention_mask"][0, 4:7] = 0
    inputs["attention_mask"][1, 9] = 0
    model = load_model(checkpoint, attention, dtype, device)
    outputs = run(model, inputs, output_attentions=False)
    agree_with_reference(expect, outputs, inputs, dtype, "model(**inputs)")


@applies_to(any_model, referenced)
def test_sdpa_outputs_equal_reference(checkpoint, model, device, dtype, expect):
    """The default attention kernel gives the reference's hidden states and logits, the longest row last."""
    side = "left" if pads_left(checkpoint) else "right"
    inputs = batch(checkpoint, sorted(standard(checkpoint)), side=side, seed=3)
    fused = load_model(checkpoint, "sdpa", dtype, device)
    outputs = run(fused, inputs, output_attentions=False)
    agree_with_reference(
        expect, outputs, inputs, dtype, "model(**inputs, output_hidden_states=True)"
    )


@applies_to(text_model, referenced, unless_shown)
def test_sdpa_without_padding_equals_reference(checkpoint, device, dtype, expect):
    """Where nothing is padded, the default attention kernel still sees what it may and no more."""
    inputs = batch(checkpoint, [17, 17], seed=13)
    fused = load_model(checkpoint, "sdpa", dtype, device)
    outputs = run(fused, inputs, output_attentions=False)
    agree_with_reference(
        expect, outputs, inputs, dtype, "model(**inputs, output_hidden_states=True)"
    )


@applies_to(encoder_decoder, head("SequenceClassification"), referenced)
def test_pair_is_classified_at_its_last_end(checkpoint, model, dtype, expect):
    """Of two end tokens in a text, as a pair has them, the last is the one that is classified."""
    inputs = batch(checkpoint, [14, 11], seed=15)
    inputs["input_ids"][:, 4] = eos_id(checkpoint)
    agree_with_reference(expect, answers(model, inputs), inputs, dtype, "model(**inputs)")


@applies_to(any_head, referenced)
def test_loss_equals_reference(checkpoint, model, dtype, expect):
    """The loss of a head equals its definition on the reference's logits, ignored positions left out."""
    inputs = batch(checkpoint, seed=4)
    inputs |= labels(checkpoint, inputs)
    exact, allowed = judged(checkpoint, inputs, dtype)
    loss = run(model, inputs).loss
    expect.close(loss.cpu(), exact["loss"], allowed["loss"], "model(**inputs).loss", inputs=inputs)


@applies_to(any_model, referenced, holds_its_base)
def test_base_model_equals_reference(checkpoint, device, dtype, expect):
    """AutoModel on the same files drops the head and keeps every hidden state."""
    base = fresh_model(checkpoint, dtype=dtype, auto_class="AutoModel").to(device)
    inputs = batch(checkpoint, seed=5)
    outputs = run(base, inputs)
    stated = {name: outputs[name] for name in outputs if name != "pooler_output"}
    call = "AutoModel.from_pretrained(model.name_or_path)(**inputs, output_hidden_states=True)"
    agree_with_reference(expect, stated, inputs, dtype, call)


@applies_to(any_model, referenced)
def test_single_sequence_equals_reference(checkpoint, model, dtype, expect):
    """Without masks, position ids or any other optional argument the reference still agrees."""
    inputs = batch(checkpoint, [17], seed=6)
    required = ("input_ids", "decoder_input_ids", "pixel_values")
    inputs = {name: value for name, value in inputs.items() if name in required}
    agree_with_reference(expect, answers(model, inputs), inputs, dtype, "model(**inputs)")


@applies_to(decoder, referenced, unless_shown, roomy)
def test_shifted_positions_equal_reference(checkpoint, model, dtype, expect):
    """position_ids are honoured: positions 3, 5, 7, ... give what the reference says."""
    inputs = batch(checkpoint, [9, 9], seed=7)
    inputs["position_ids"] = 2 * inputs["position_ids"] + 3
    agree_with_reference(expect, answers(model, inputs), inputs, dtype, "model(**inputs)")


@applies_to(decoder, referenced, light, model_type("gpt2", "llama", "mistral"), shows_family)
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_both_ways_equal_reference(checkpoint, device, dtype, tmp_path, attention):
    """Told is_causal=False, by its configuration or in the call, a decoder's tokens see those after them, too."""
    require_both_ways()
    directory = reconfigured(copied(checkpoint, tmp_path), is_causal=False)
    other = replace(checkpoint, path=directory)
    told, plain = (fresh_model(c, attention=attention, dtype=dtype) for c in (other, checkpoint))
    padded, whole = batch(checkpoint, [12, 9], seed=16), batch(checkpoint, [12, 12], seed=16)
    for inputs in (padded, {"input_ids": whole["input_ids"]}):
        for model, options in ((told, {}), (plain, {"is_causal": False})):
            options |= {"use_cache": False, "output_attentions": attention == "eager"}
            outputs = run(model, inputs, **options)
            call = f"the model with is_causal=False, (**inputs, **{options})"
            agree_with_reference(Expect(other), outputs, inputs, dtype, call)
    call = "model(**inputs), called with is_causal=False before"
    agree_with_reference(Expect(checkpoint), run(plain, padded), padded, dtype, call)


@applies_to(text_model, referenced, light)
def test_long_input_equals_reference(checkpoint, dtype, expect):
    """At its full length, and beyond it where positions are computed, a model agrees with the reference."""
    length = min(max_length(checkpoint) or 128, 128)
    longer = length + 20 if checkpoint.model_type in COMPUTED_POSITIONS else length
    first, second = sequences(checkpoint, [max(longer - length, 1), length], seed=12)
    inputs = batch(checkpoint, [5], seed=12)
    inputs = {name: value for name, value in inputs.items() if name == "decoder_input_ids"}
    inputs["input_ids"] = torch.tensor([[*first, *second][-longer:]])
    model = fresh_model(
        checkpoint, dtype=dtype
    )  # dynamic rotary positions may remember a long input
    agree_with_reference(expect, run(model, inputs), inputs, dtype, "model(**inputs)")
