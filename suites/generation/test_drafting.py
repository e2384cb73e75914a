"""A cheap draft that the model checks is faster, and what comes out is what the model alone would say."""

from __future__ import annotations

import copy
import math

import pytest

from fixtures.applicability import applies_to, generates, light, options_sample, roomy, text_model
from fixtures.generating import (
    generate,
    logits_tolerance,
    prompts,
    same_generation,
    start_of,
)
from fixtures.ids import batch, ordinary_ids
from fixtures.lazy import torch, transformers
from fixtures.oracle import own_tolerance

DRAFTERS = ("model", "prompt")
SEEDS = range(8)
MARKED = 1e4  # no model's own logit
ALARM = 1e-5  # chance of a false alarm of a distribution check


def drafted_by(drafter, model):
    """What tells generate who drafts: the model itself, or the prompt."""
    return {"assistant_model": model} if drafter == "model" else {"prompt_lookup_num_tokens": 3}


@applies_to(generates, text_model, light, options_sample, roomy)
@pytest.mark.parametrize("drafter", DRAFTERS)
@pytest.mark.parametrize("setting", ["penalised", "ended", "several-ends"])
def test_drafting_obeys_the_settings(checkpoint, model, dtype, expect, drafter, setting):
    """Drafted greedy decoding ends where it should, and returns the scores and logits of the plain one."""
    prompt = prompts(checkpoint, 1)[0][:4] * 3
    free = generate(model, checkpoint, [prompt], eos_token_id=None).sequences[0].tolist()
    other = next(i for i in ordinary_ids(checkpoint) if i not in free)
    start = start_of(checkpoint, prompt)
    later = free[len(start) + 2 :]
    # an end that the text begins with may have ended it before the first token
    third = next((i for i in later if i != start[-1]), later[0])
    settings = {
        "penalised": {"repetition_penalty": 1.7, "eos_token_id": other},
        "ended": {"eos_token_id": third},
        "several-ends": {"eos_token_id": [other, third]},
    }[setting]
    plain = generate(model, checkpoint, [prompt], **settings)
    out = generate(model, checkpoint, [prompt], **settings, **drafted_by(drafter, model))
    call = f"model.generate(torch.tensor([prompt]), drafted by the {drafter}, **settings)"
    given = {"prompt": prompt, "settings": settings}
    same_generation(expect, out, 0, plain, dtype, call, **given)
    steps = len(plain.scores)
    counts = [out.sequences.shape[1], len(out.scores), len(out.logits)]
    expect.equal(counts, [plain.sequences.shape[1], steps, steps], f"lengths of {call}", **given)
    for step, (value, wanted) in enumerate(zip(out.scores, plain.scores, strict=True)):
        allowed = 2 * logits_tolerance(checkpoint, dtype)
        expect.close(value.float(), wanted.float(), allowed, f"{call}.scores[{step}]", **given)


@applies_to(generates, text_model, light, options_sample)
@pytest.mark.parametrize("step", [0, 1])
def test_drafted_states_are_the_plain_ones(checkpoint, model, dtype, expect, step):
    """Of the prompt and of the first new token, drafted greedy decoding returns the hidden states of plain decoding."""
    prompt = prompts(checkpoint, 1)[0][:4]
    settings = {"output_hidden_states": True, "eos_token_id": None}
    plain = generate(model, checkpoint, [prompt], **settings)
    out = generate(model, checkpoint, [prompt], **settings, assistant_model=model)
    name = "decoder_hidden_states" if checkpoint.kind == "encoder-decoder" else "hidden_states"
    allowed = own_tolerance(checkpoint, batch(checkpoint, [12, 12], seed=81), dtype)
    for layer, wanted in enumerate(plain[name][step]):
        call = f"model.generate(..., {settings}, assistant_model=model).{name}[{step}][{layer}]"
        limit = 2 * allowed[f"{name}.{layer}"]
        expect.close(out[name][step][layer], wanted, limit, call, prompt=prompt)


def alternating(pairs, marker):
    """A processor: at each place the first of a pair of tokens is half as likely as the second, all others impossible.

    A drafter, who gives the marker an enormous logit, finds the second token of the next place as likely as the first.
    """

    def processed(ids, scores):
        here, other = pairs[ids.shape[1] % 2], pairs[1 - ids.shape[1] % 2]
        drafts = bool((scores[:, marker] > MARKED / 2).all())
        scores = torch.full_like(scores, -math.inf)
        scores[:, here[0]] = 0.0
        scores[:, other[1] if drafts else here[1]] = 0.0 if drafts else math.log(2)
        return scores

    return processed


def marked(model, marker):
    """A copy that gives the marker an enormous logit."""
    other = copy.deepcopy(model)
    head = other.get_output_embeddings()
    mark = torch.tensor([marker], device=model.device)
    head.register_forward_hook(lambda module, given, logits: logits.index_fill(-1, mark, MARKED))
    # no draft beyond a short table of positions, no setting of the file's
    other.generation_config = transformers.GenerationConfig(
        num_assistant_tokens=2, num_assistant_tokens_schedule="constant"
    )
    return other


@applies_to(generates, text_model, light, options_sample, roomy)
@pytest.mark.parametrize("drafter", DRAFTERS)
def test_drafted_samples_follow_the_model(checkpoint, model, expect, drafter):
    """Each token is drawn as often as it is likely, whoever drafts (Leviathan et al. 2023, theorem A.1)."""
    from transformers import LogitsProcessorList

    prompt = prompts(checkpoint, 1)[0][:4] * 2
    start = len(start_of(checkpoint, prompt))
    marker, *others = ordinary_ids(checkpoint)[:5]
    pairs = others[:2], others[2:]
    settings = {"do_sample": True, "top_k": 0, "eos_token_id": marker, "max_new_tokens": 32}
    settings["logits_processor"] = LogitsProcessorList([alternating(pairs, marker)])
    who, drawn = drafted_by(drafter, marked(model, marker)), []
    call = f"model.generate(..., do_sample=True, drafted by the {drafter})"
    for seed in SEEDS:
        torch.manual_seed(seed)
        ids = generate(model, checkpoint, [prompt], **settings, **who).sequences[0].tolist()
        strays = [i for i in range(start, len(ids)) if ids[i] not in pairs[i % 2]]
        expect.equal(strays, [], f"places of tokens of no probability in {call}", prompt=prompt)
        drawn += [ids[i] == pairs[i % 2][0] for i in range(start, len(ids))]
    # Azuma and Hoeffding: each draw is 0 or 1, with the mean 1/3 whatever came before
    allowed = math.sqrt(math.log(2 / ALARM) / (2 * len(drawn)))
    value, near = sum(drawn) / len(drawn), f"1/3 within {allowed:.3f}"
    call = f"share of the first tokens, half as likely as the second, in {call}"
    expect.true(abs(value - 1 / 3) <= allowed, value, near, call, prompt=prompt)
