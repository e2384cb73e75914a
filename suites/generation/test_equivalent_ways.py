"""What changes how generation is computed and must not change what is generated."""

from __future__ import annotations

import copy

import pytest

from fixtures.applicability import (
    Predicate,
    applies_to,
    decoder,
    generates,
    generation_sample,
    light,
    model_type,
    roomy,
    seq2seq,
    text_model,
    tokenizer,
    unquantised,
    whole_cache,
)
from fixtures.generating import (
    continued,
    generate,
    generate_from,
    logits_tolerance,
    next_logits,
    prompts,
    same_generation,
    start_of,
)
from fixtures.ids import eos_id, ordinary_ids, pad_id, padded
from fixtures.lazy import torch, transformers
from fixtures.loading import cache_layers, load_model
from fixtures.oracle import answers, own_tolerance, run

KNOWS_PADDING = Predicate(
    "a padding token of its own",
    lambda c: c.config.get("pad_token_id") is not None and c.config["pad_token_id"] != eos_id(c),
)


@applies_to(decoder, generates, light)
def test_embeddings_generate_what_ids_generate(checkpoint, model, dtype, expect):
    """A prompt given as embeddings is continued as its ids are, and counts where lengths count the prompt."""
    prompt = prompts(checkpoint, 1)[0]
    ids = torch.tensor([prompt])
    embedded = model.get_input_embeddings()(ids.to(model.device)).detach()
    given = {"inputs_embeds": embedded, "attention_mask": torch.ones_like(ids)}
    end = int(continued(model, checkpoint, prompt).sequences[0, len(prompt)])
    bounds = {"min_length": len(prompt) + 2, "max_length": len(prompt) + 4, "max_new_tokens": None}
    for settings in ({}, {**bounds, "eos_token_id": end}, {**bounds, "eos_token_id": None}):
        plain = generate(model, checkpoint, [prompt], **settings)
        out = generate_from(model, checkpoint, given, **settings)
        call = "model.generate(inputs_embeds=model.get_input_embeddings()(torch.tensor([prompt])))"
        context = {"prompt": prompt, "settings": settings}
        same_generation(expect, out, 0, plain, dtype, call, **context)
        expect.equal(len(out.logits), len(plain.logits), f"new tokens of {call}", **context)


@applies_to(decoder, generates, light)
def test_an_end_within_a_prompt_is_read(checkpoint, model, dtype, expect):
    """Where the end pads, too, nobody can tell which it is: without a mask, one within a prompt is read."""
    first, second, *rest = prompts(checkpoint, 1)[0]
    end = next(i for i in ordinary_ids(checkpoint) if i not in (first, second, *rest))
    ids = torch.tensor([[first, end, second, *rest]])
    settings = {"pad_token_id": end, "eos_token_id": end}
    plain = generate_from(
        model, checkpoint, {"input_ids": ids, "attention_mask": torch.ones_like(ids)}, **settings
    )
    out = generate_from(model, checkpoint, {"input_ids": ids}, **settings)
    call = f"model.generate(ids, **{settings})"
    same_generation(expect, out, 0, plain, dtype, call, ids=ids)


@applies_to(generates, text_model, light, roomy)
def test_drafted_tokens_change_nothing(checkpoint, model, dtype, expect):
    """Drafting tokens, by a model or from the prompt, and checking them gives greedy decoding's tokens."""
    prompt = prompts(checkpoint, 1)[0][:4] * 3
    plain = continued(model, checkpoint, prompt)
    for settings in ({"assistant_model": model}, {"prompt_lookup_num_tokens": 3}):
        out = generate(model, checkpoint, [prompt], eos_token_id=None, **settings)
        same_generation(
            expect,
            out,
            0,
            plain,
            dtype,
            f"model.generate(torch.tensor([prompt]), {', '.join(settings)}=...)",
            prompt=prompt,
        )
        for step, (scores, logits) in enumerate(zip(out.scores, out.logits, strict=True)):
            call = f"model.generate(..., {', '.join(settings)}=...).scores[{step}]"
            expect.close(scores.float(), logits.float(), 0.0, call, prompt=prompt)


@applies_to(decoder, generates, tokenizer, generation_sample, unquantised, roomy)
def test_drafts_in_other_tokens_change_nothing(checkpoint, tokenizer, model, dtype, expect):
    """Drafts of a model with a tokenizer of its own, checked, give greedy decoding's tokens."""
    prompt, helper = prompts(checkpoint, 1)[0][:4] * 3, copy.deepcopy(model)
    # a vocabulary of another size is what tells two tokenizers apart
    size = helper.get_input_embeddings().weight.shape[0]
    helper.resize_token_embeddings(size + 8, mean_resizing=False)
    # no draft beyond a short table of positions, no setting of the file's
    helper.generation_config = transformers.GenerationConfig(num_assistant_tokens=4)
    given = {"tokenizer": tokenizer, "assistant_tokenizer": tokenizer, "assistant_model": helper}
    plain = generate(model, checkpoint, [prompt])
    out = generate(model, checkpoint, [prompt], **given)
    call = "model.generate(torch.tensor([prompt]), assistant_model=..., assistant_tokenizer=...)"
    same_generation(expect, out, 0, plain, dtype, call, prompt=prompt)


@applies_to(generates, model_type("llama", "mistral", "t5", "bart", "mbart"), light)
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_static_cache_changes_nothing(checkpoint, device, dtype, expect, attention):
    """A cache of fixed size generates what a growing one does."""
    model = load_model(checkpoint, attention, dtype, device)
    prompt = prompts(checkpoint, 1)[0]
    plain = continued(model, checkpoint, prompt)
    out = generate(model, checkpoint, [prompt], eos_token_id=None, cache_implementation="static")
    same_generation(
        expect,
        out,
        0,
        plain,
        dtype,
        "model.generate(torch.tensor([prompt]), cache_implementation='static')",
        prompt=prompt,
    )


@applies_to(seq2seq, light)
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_padded_batch_equals_singles(checkpoint, device, dtype, expect, attention):
    """Inputs of different lengths, padded into one batch, are answered as each is alone."""
    model = load_model(checkpoint, attention, dtype, device)
    rows = prompts(checkpoint, 3)
    inputs = padded(rows, pad_id(checkpoint))
    out = generate_from(model, checkpoint, inputs, eos_token_id=None)
    for row, prompt in enumerate(rows):
        plain = continued(model, checkpoint, prompt)
        same_generation(
            expect,
            out,
            row,
            plain,
            dtype,
            f"model.generate(**inputs)[{row}]",
            inputs=inputs,
        )


@applies_to(decoder, generates, light, KNOWS_PADDING)
def test_mask_follows_from_padding(checkpoint, model, dtype, expect):
    """Without a mask, generate takes a decoder's padding tokens for padding, unless they are its end, too."""
    inputs = padded(prompts(checkpoint, 2), pad_id(checkpoint), "left")
    every = dict(inputs, attention_mask=torch.ones_like(inputs["input_ids"]))
    allowed = logits_tolerance(checkpoint, dtype)
    for masked, end in ((inputs, eos_id(checkpoint)), (every, pad_id(checkpoint))):
        settings = {"eos_token_id": end, "max_new_tokens": 1}
        plain = generate_from(model, checkpoint, masked, **settings)
        bare = generate_from(model, checkpoint, {"input_ids": inputs["input_ids"]}, **settings)
        call = "model.generate(input_ids, output_logits=True, **settings).logits[0]"
        context = {"inputs": inputs, "settings": settings}
        expect.close(bare.logits[0], plain.logits[0], allowed, call, **context)


@applies_to(seq2seq, light)
def test_decoder_prompt_is_continued(checkpoint, model, dtype, expect):
    """decoder_input_ids are what generation goes on from."""
    prompt, begun = (
        prompts(checkpoint, 1)[0],
        [*start_of(checkpoint, []), *ordinary_ids(checkpoint)[4:6]],
    )
    ids = torch.tensor([prompt])
    inputs = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "decoder_input_ids": torch.tensor([begun]),
    }
    out = generate_from(model, checkpoint, inputs, eos_token_id=None)
    expect.equal(
        out.sequences[0, : len(begun)], begun, "model.generate(**inputs)[0, :3]", inputs=inputs
    )
    logits = next_logits(model, checkpoint, prompt)
    expect.close(
        out.logits[0][0].float(),
        logits(begun),
        logits_tolerance(checkpoint, dtype),
        "model.generate(**inputs, output_logits=True, return_dict_in_generate=True).logits[0][0]",
        inputs=inputs,
    )


@applies_to(generates, text_model, light)
def test_rows_are_repeated_in_place(checkpoint, model, expect):
    """num_return_sequences gives each row's sequences one after the other."""
    rows = [row[:5] for row in prompts(checkpoint, 2)]
    settings = {"do_sample": True, "top_k": 1, "eos_token_id": None, "max_new_tokens": 3}
    once = generate(model, checkpoint, rows, **settings).sequences.tolist()
    twice = generate(model, checkpoint, rows, num_return_sequences=2, **settings).sequences.tolist()
    call = "model.generate(torch.tensor(rows), do_sample=True, top_k=1, num_return_sequences=2)"
    expect.equal(twice, [once[0], once[0], once[1], once[1]], call, rows=rows)


@applies_to(generates, text_model, light)
def test_bare_ids_are_the_sequences(checkpoint, model, expect):
    """Without return_dict_in_generate the sequences alone are returned."""
    prompt = prompts(checkpoint, 1)[0]
    bare = generate(model, checkpoint, [prompt], return_dict_in_generate=False)
    expect.equal(
        bare,
        generate(model, checkpoint, [prompt]).sequences,
        "model.generate(torch.tensor([prompt]))",
        prompt=prompt,
    )


@applies_to(generates, text_model, light)
def test_generate_returns_its_insides(checkpoint, model, dtype, expect):
    """Hidden states and attentions of the first and last step are those of whole forward passes."""
    prompt = prompts(checkpoint, 1)[0]
    settings = {"output_hidden_states": True, "output_attentions": True, "eos_token_id": None}
    out = generate(model, checkpoint, [prompt], **settings)
    ids, start = torch.tensor([prompt]), len(start_of(checkpoint, prompt))
    front = "decoder_" if checkpoint.kind == "encoder-decoder" else ""
    for step, length in ((0, start), (-1, out.sequences.shape[1] - 1)):
        read = out.sequences[:, :length].cpu()
        inputs = {"input_ids": ids, "decoder_input_ids": read} if front else {"input_ids": read}
        whole, allowed = answers(model, inputs), own_tolerance(checkpoint, inputs, dtype)
        names = [f"{front}hidden_states", *(["cross_attentions"] if front else [])]
        names += [f"{front}attentions"] if step == 0 else []
        for name in names:
            for layer, wanted in enumerate(whole[name]):
                new = wanted if step == 0 else wanted[..., -1:, :]
                call = f"model.generate(..., {settings}).{name}[{step}][{layer}]"
                expect.close(
                    out[name][step][layer], new, allowed[f"{name}.{layer}"], call, prompt=prompt
                )
    for name in ("encoder_hidden_states", "encoder_attentions") if front else ():
        for layer, wanted in enumerate(whole[name]):
            limit, call = (
                allowed[f"{name}.{layer}"],
                f"model.generate(..., {settings}).{name}[{layer}]",
            )
            expect.close(out[name][layer], wanted, limit, call, prompt=prompt)


@applies_to(generates, text_model, generation_sample, whole_cache)
@pytest.mark.parametrize("beams", [1, 2])
def test_generate_returns_its_cache(checkpoint, model, expect, beams):
    """The cache that generate returns holds every token but the last, for each beam."""
    prompt = prompts(checkpoint, 1)[0][:3]  # shorter than the windows, which may roll
    settings = {"num_beams": beams, "eos_token_id": None, "max_new_tokens": 3}
    out = generate(model, checkpoint, [prompt], **settings)
    call = f"shape of cached keys of model.generate(ids, **{settings})"
    keys = cache_layers(out.past_key_values)[0][0]
    wanted = [beams, out.sequences.shape[1] - 1]
    expect.equal([keys.shape[0], keys.shape[2]], wanted, call, prompt=prompt)


@applies_to(decoder, generates, model_type("llama", "mistral"), light)
def test_generation_goes_on_from_a_cache(checkpoint, model, dtype, expect):
    """A cache of the prompt's beginning, given to generate, spares work and changes nothing."""
    prompt = prompts(checkpoint, 1)[0]
    plain = continued(model, checkpoint, prompt)
    past = transformers.DynamicCache()
    run(model, {"input_ids": torch.tensor([prompt[:5]])}, past_key_values=past, use_cache=True)
    out = generate(model, checkpoint, [prompt], eos_token_id=None, past_key_values=past)
    call = "model.generate(torch.tensor([prompt]), past_key_values=a cache of prompt[:5])"
    same_generation(expect, out, 0, plain, dtype, call, prompt=prompt)


@applies_to(generates, text_model, light)
@pytest.mark.parametrize("beams", [1, 2])
def test_prefix_function_knows_its_row(checkpoint, model, expect, beams):
    """prefix_allowed_tokens_fn is asked for each row of the batch by its number."""
    rows = [row[:5] for row in prompts(checkpoint, 2)]
    choices = ordinary_ids(checkpoint)[4:6]
    out = generate(
        model,
        checkpoint,
        rows,
        eos_token_id=None,
        num_beams=beams,
        max_new_tokens=3,
        prefix_allowed_tokens_fn=lambda row, ids: [choices[row]],
    )
    value = out.sequences[:, -3:].tolist()
    expect.equal(
        value,
        [[choices[0]] * 3, [choices[1]] * 3],
        f"model.generate(torch.tensor(rows), num_beams={beams}, prefix_allowed_tokens_fn=lambda row, ids: [{choices}[row]])[:, -3:]",
        rows=rows,
    )
