"""A cheap draft that the model checks is faster, and what comes out is what the model alone would say."""

from __future__ import annotations

import copy
import math

import pytest

from fixtures.applicability import (
    Predicate,
    applies_to,
    decoder,
    generates,
    generation_sample,
    light,
    options_sample,
    roomy,
    text_model,
    uncapped,
)
from fixtures.generating import (
    continued,
    generate,
    generate_from,
    logits_tolerance,
    prompts,
    same_generation,
    start_of,
)
from fixtures.ids import batch, ordinary_ids, pad_id, padded
from fixtures.lazy import torch, transformers
from fixtures.oracle import own_tolerance

no_window = Predicate("no sliding window", lambda c: not c.config.get("sliding_window"))
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


@applies_to(generates, text_model, light, options_sample, no_window)
def test_drafted_tokens_attend_as_far(checkpoint, model, expect):
    """Of each new token, drafted greedy decoding returns attentions to as many tokens as plain decoding does."""
    prompt = prompts(checkpoint, 1)[0][:4]
    settings = {"output_attentions": True, "eos_token_id": None}
    name = "decoder_attentions" if checkpoint.kind == "encoder-decoder" else "attentions"
    ways = ({}, {"assistant_model": model})
    plain, drafted = (
        generate(model, checkpoint, [prompt], **settings, **way)[name] for way in ways
    )
    value, wanted = ([list(step[0].shape) for step in steps] for steps in (drafted, plain))
    call = (
        f"[step[0].shape for step in model.generate(..., {settings}, assistant_model=model).{name}]"
    )
    expect.equal(value, wanted, call, prompt=prompt)


@applies_to(decoder, generates, generation_sample, roomy)
@pytest.mark.parametrize("drafter", DRAFTERS)
def test_drafts_behind_padding_change_nothing(checkpoint, model, dtype, expect, drafter):
    """A padded prompt is drafted for, and its drafts are checked, in its own place."""
    prompt = prompts(checkpoint, 1)[0][:4] * 3
    rows = padded([prompt, [*prompt, *prompt[:3]]], pad_id(checkpoint), "left")
    first = {name: value[:1] for name, value in rows.items()}
    plain = continued(model, checkpoint, prompt)
    said = plain.sequences[0].tolist()
    settings = drafted_by(drafter, model)
    settings["eos_token_id"] = next(i for i in ordinary_ids(checkpoint) if i not in said)
    out = generate_from(model, checkpoint, first, **settings)
    call = f"model.generate(**padded, drafted by the {drafter})"
    same_generation(expect, out, 0, plain, dtype, call, padded=first)


def always(pair, others, marker, drafted):
    """A processor: at each place one of a pair of tokens, and for a drafter, who gives the marker an enormous logit, of others.

    The places of what is drafted are noted.
    """

    def processed(ids, scores):
        drafts, place = bool((scores[:, marker] > MARKED / 2).all()), ids.shape[1]
        if drafts:
            drafted.append(place)
        scores = torch.full_like(scores, -math.inf)
        scores[:, (others if drafts else pair)[place % 2]] = 0.0
        return scores

    return processed


@applies_to(generates, text_model, light, options_sample, roomy, uncapped)
@pytest.mark.parametrize("drafter", DRAFTERS)
def test_drafts_end_at_the_length(checkpoint, model, expect, drafter):
    """However many drafted tokens are right, there are no more of them than max_new_tokens."""
    marker, *pair = ordinary_ids(checkpoint)[:3]
    prompt = pair * 4
    start = start_of(checkpoint, prompt)
    own = {"logits_processor": [always(pair, pair, marker, [])], "eos_token_id": marker}
    who = drafted_by(drafter, marked(model, marker))
    for count in range(1, 8):
        out = generate(model, checkpoint, [prompt], max_new_tokens=count, **own, **who)
        wanted = [*start, *(pair[i % 2] for i in range(len(start), len(start) + count))]
        call = f"model.generate(torch.tensor([prompt]), max_new_tokens={count}, drafted by the {drafter})"
        expect.equal(out.sequences[0].tolist(), wanted, call, prompt=prompt)


def heuristic(start, stop, length, right):
    """The places drafted for until `stop`: two more after a draft that was right, one fewer after one that was not."""
    places = []
    while start < stop:
        size = min(length, stop - start - 1)
        places += range(start, start + size)
        start += size + 1 if right else 1
        length = length + 2 if right else max(1, length - 1)
    return places


@applies_to(generates, text_model, light, options_sample, roomy, uncapped)
@pytest.mark.parametrize("right", [True, False])
def test_drafts_are_as_long_as_they_are_good(checkpoint, model, expect, right):
    """By the heuristic schedule a draft is longer than one that was right, and shorter than one that was not."""
    marker, *tokens = ordinary_ids(checkpoint)[:5]
    pair, others = tokens[:2], tokens[:2] if right else tokens[2:]
    helper, drafted = marked(model, marker), []
    helper.generation_config.num_assistant_tokens = 3
    helper.generation_config.num_assistant_tokens_schedule = "heuristic"
    own = {"logits_processor": [always(pair, others, marker, drafted)], "eos_token_id": None}
    settings = own | {"max_new_tokens": 9, "assistant_model": helper}
    generate(model, checkpoint, [pair], **settings)
    start = len(start_of(checkpoint, pair))
    wanted = heuristic(start, start + 9, 3, right)
    call = "places drafted for in model.generate(..., max_new_tokens=9, assistant_model=helper)"
    expect.equal(drafted, wanted, f"{call}, by a heuristic schedule that begins with 3")


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


@applies_to(generates, text_model, light, options_sample, roomy, uncapped)
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


def leaning(first, second, marker):
    """A processor: the model leans to the first token by 6 to 4, a drafter to the second by 9 to 1."""

    def processed(ids, scores):
        drafts = bool((scores[:, marker] > MARKED / 2).all())
        scores = torch.full_like(scores, -math.inf)
        scores[:, first] = math.log(0.1 if drafts else 0.6)
        scores[:, second] = math.log(0.9 if drafts else 0.4)
        return scores

    return processed


@applies_to(generates, text_model, light, options_sample, roomy, uncapped)
def test_drafts_are_weighed_as_told(checkpoint, model, expect):
    """assistant_ensemble_weight w takes the likeliest token of w * p(model) + (1 - w) * p(drafter) where one is drafted."""
    marker, first, second = ordinary_ids(checkpoint)[:3]
    own = {"logits_processor": [leaning(first, second, marker)], "eos_token_id": None}
    own |= {"max_new_tokens": 6, "assistant_model": marked(model, marker)}
    # two are drafted, and the model's own choice follows them
    for weight, wanted in ((0.9, [first] * 6), (0.1, [second, second, first] * 2)):
        settings = {"assistant_ensemble_weight": weight}
        out = generate(model, checkpoint, [[first, second] * 2], **settings, **own)
        call = f"new tokens of model.generate(..., assistant_model=helper, **{settings})"
        expect.equal(out.sequences[0].tolist()[-6:], wanted, call)
