"""Whatever generate is given to go on from, each step's logits are those of one forward pass over all of it."""

from __future__ import annotations

import pytest

from fixtures.applicability import applies_to, decoder, generates, light, model_type, seq2seq
from fixtures.generating import generate_from, logits_tolerance, prompts, rules
from fixtures.ids import ordinary_ids, pad_id, padded
from fixtures.lazy import torch
from fixtures.loading import load_model
from fixtures.oracle import run

STEPS = 3
WAYS = {
    "at once": {},
    "in chunks": {"prefill_chunk_size": 2},
    "into a fixed cache": {"cache_implementation": "static"},
}


def extended(row, steps, ahead):
    """A row of numbers (rows, length) with `steps` more: the last one, each `ahead` of the one before."""
    more = torch.arange(1, steps + 1) * ahead + row[:, -1:]
    return torch.cat([row, more], 1)


def steps_are_passes(expect, model, dtype, given, read, how, **settings):
    """Generate from `given`; `read(ids)` is what one pass over the ids so far (rows, length) is given."""
    __tracebackhide__ = True
    options = {"eos_token_id": None, "max_new_tokens": STEPS, **settings}
    out = generate_from(model, expect.checkpoint, given, **options)
    start = out.sequences.shape[1] - STEPS
    expect.equal(len(out.logits), STEPS, f"new tokens of model.generate({how})")
    for step, logits in enumerate(out.logits):
        inputs = read(out.sequences[:, : start + step].cpu(), step)
        wanted = run(model, inputs, use_cache=False)["logits"][:, -1]
        allowed = logits_tolerance(expect.checkpoint, dtype)
        call = f"model.generate({how}).logits[{step}]"
        expect.close(logits.float(), wanted.float(), allowed, call, inputs=inputs)


@applies_to(decoder, generates, light)
@pytest.mark.parametrize("way", WAYS)
def test_padded_prompts_are_read_in_place(checkpoint, device, dtype, expect, way):
    """Several sequences of each padded prompt, however it is read, go on at the prompt's positions."""
    model = load_model(
        checkpoint, "sdpa", dtype, device
    )  # whose masks are left out where they can be
    given = padded(prompts(checkpoint, 2), pad_id(checkpoint), "left")
    mask = given["attention_mask"].repeat_interleave(2, 0)

    def read(ids, step):
        inputs = {"input_ids": ids, "attention_mask": extended(mask, step, 0)}
        positions = (inputs["attention_mask"].cumsum(-1) - 1).clamp(min=0)
        return {**inputs, "position_ids": positions}

    settings = {"do_sample": True, "top_k": 1, "num_return_sequences": 2} | WAYS[way]
    how = f"**padded prompts, num_return_sequences=2, {WAYS[way]}"
    steps_are_passes(expect, model, dtype, given, read, how, **settings)


@applies_to(model_type("gpt2"), generates, light)
def test_types_of_tokens_are_read(checkpoint, model, dtype, expect):
    """Token types given to generate are read, and every new token has the type of the last one."""
    given = padded(prompts(checkpoint, 1), pad_id(checkpoint))
    types = torch.tensor([ordinary_ids(checkpoint)[: given["input_ids"].shape[1]]])

    def read(ids, step):
        return {"input_ids": ids, "token_type_ids": extended(types, step, 0)}

    given |= {"token_type_ids": types}
    steps_are_passes(expect, model, dtype, given, read, "input_ids, token_type_ids=types")


@applies_to(seq2seq, light)
@pytest.mark.parametrize("form", ["ids", "embeddings", "encoder outputs"])
def test_padded_inputs_are_read_in_place(checkpoint, model, dtype, expect, form):
    """Several sequences of each padded input go on from that input, however it is given."""
    inputs = padded(prompts(checkpoint, 2), pad_id(checkpoint))
    many = {name: value.repeat_interleave(2, 0) for name, value in inputs.items()}
    given = dict(inputs)
    if form != "ids":
        ids = given.pop("input_ids").to(model.device)
    settings = {"do_sample": True, "top_k": 1, "num_return_sequences": 2}
    if form == "embeddings":
        given["inputs_embeds"] = model.get_encoder().embed_tokens(ids).detach()
    if form == "encoder outputs":
        mask = inputs["attention_mask"].to(model.device)
        with torch.no_grad():
            read_once = model.get_encoder()(input_ids=ids, attention_mask=mask)
        settings["encoder_outputs"] = read_once
    how = f"padded inputs as {form}, num_return_sequences=2"
    steps_are_passes(
        expect,
        model,
        dtype,
        given,
        lambda ids, step: {**many, "decoder_input_ids": ids},
        how,
        **settings,
    )


@applies_to(seq2seq, light)
@pytest.mark.parametrize("form", ["masked", "without a start", "a start for each"])
def test_decoder_prompts_are_read(checkpoint, model, dtype, expect, form):
    """A decoder's prompt is read behind the start token, its mask kept and extended, each row's start its own."""
    inputs = padded(prompts(checkpoint, 2), pad_id(checkpoint))
    start = rules(checkpoint)["decoder_start_token_id"]
    begun = torch.tensor([ordinary_ids(checkpoint)[4:7], ordinary_ids(checkpoint)[7:10]])
    mask = torch.tensor([[1, 0, 1, 1], [1, 1, 0, 1]])
    settings, given = {}, dict(inputs)
    if form == "a start for each":
        settings["decoder_start_token_id"] = begun[:, 0].tolist()
    else:
        given["decoder_input_ids"] = begun
    if form == "masked":
        given["decoder_attention_mask"] = mask[:, 1:]

    def read(ids, step):
        whole = {**inputs, "decoder_input_ids": ids}
        if form == "masked":
            whole["decoder_attention_mask"] = torch.cat(
                [mask[:, :1], extended(mask[:, 1:], step, 0)], 1
            )
        return whole

    how = f"**inputs, a decoder's prompt {form}"
    steps_are_passes(expect, model, dtype, given, read, how, **settings)
    out = generate_from(model, checkpoint, given, eos_token_id=None, max_new_tokens=1, **settings)
    wanted = (
        begun[:, :1]
        if form == "a start for each"
        else torch.cat([torch.full((2, 1), start), begun], 1)
    )
    expect.equal(
        out.sequences[:, :-1],
        wanted,
        f"model.generate({how}), but for the new token",
        inputs=inputs,
    )
