"""A cheap draft that the model checks is faster, and what comes out is what the model alone would say."""

from __future__ import annotations

import copy
import math

import pytest

from fixtures.applicability import applies_to, generates, light, options_sample, text_model
from fixtures.generating import (
    generate,
    logits_tolerance,
    prompts,
    same_generation,
    start_of,
)
from fixtures.ids import ordinary_ids
from fixtures.lazy import torch

DRAFTERS = ("model", "prompt")
SEEDS = range(8)
ALARM = 1e-5  # chance of a false alarm of a distribution check


def drafted_by(drafter, model):
    """What tells generate who drafts: the model itself, or the prompt."""
    return {"assistant_model": model} if drafter == "model" else {"prompt_lookup_num_tokens": 3}


@applies_to(generates, text_model, light, options_sample)
@pytest.mark.parametrize("drafter", DRAFTERS)
@pytest.mark.parametrize("setting", ["penalised", "ended", "several-ends"])
def test_drafting_obeys_the_settings(checkpoint, model, dtype, expect, drafter, setting):
    """Drafted greedy decoding ends where it should, and returns the scores and logits of the plain one."""
    prompt = prompts(checkpoint, 1)[0][:4] * 3
    free = generate(model, checkpoint, [prompt], eos_token_id=None).sequences[0].tolist()
    third = free[len(start_of(checkpoint, prompt)) + 2]
    other = next(i for i in ordinary_ids(checkpoint) if i not in free)
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


def half_for_the_best(end):
    """A processor: the likeliest token gets the probability 1/2, the end none, all others share the rest."""

    def processed(ids, scores):
        scores = scores.index_fill(-1, torch.tensor([end]), -math.inf)
        others = torch.full_like(scores, -math.log(scores.shape[-1] - 2))
        others[..., end] = -math.inf
        return others.scatter(-1, scores.argmax(-1, keepdim=True), 0.0)

    return processed


def contrary(model):
    """A copy whose likeliest token is another than the model's."""
    other = copy.deepcopy(model)
    head = other.get_output_embeddings()
    head.weight = torch.nn.Parameter(head.weight.detach().roll(7, 0))
    other.generation_config.num_assistant_tokens = 2  # no draft beyond a short table of positions
    other.generation_config.num_assistant_tokens_schedule = "constant"
    return other


@applies_to(generates, text_model, light, options_sample)
@pytest.mark.parametrize("drafter", DRAFTERS)
def test_drafted_samples_follow_the_model(checkpoint, model, expect, drafter):
    """The likeliest token is drawn as often as it is likely, whoever drafts (Leviathan et al. 2023, theorem A.1)."""
    from transformers import LogitsProcessorList

    prompt = prompts(checkpoint, 1)[0][:4] * 2
    start = len(start_of(checkpoint, prompt))
    end = ordinary_ids(checkpoint)[0]
    settings = {"do_sample": True, "top_k": 0, "eos_token_id": end, "max_new_tokens": 32}
    settings["logits_processor"] = LogitsProcessorList([half_for_the_best(end)])
    who, drawn = drafted_by(drafter, contrary(model)), []
    for seed in SEEDS:
        torch.manual_seed(seed)
        out = generate(model, checkpoint, [prompt], **settings, **who)
        logits = torch.cat(out.logits).float().index_fill(-1, torch.tensor([end]), -math.inf)
        drawn += (out.sequences[0, start:] == logits.argmax(-1)).tolist()
    # Azuma and Hoeffding: each draw is 0 or 1, with the mean 1/2 whatever came before
    allowed = math.sqrt(math.log(2 / ALARM) / (2 * len(drawn)))
    call = f"share of likeliest tokens in model.generate(..., do_sample=True, drafted by the {drafter})"
    value = sum(drawn) / len(drawn)
    expect.true(
        abs(value - 0.5) <= allowed, value, f"1/2 within {allowed:.3f}", call, prompt=prompt
    )
