"""Where generation settings come from, and those that need a second prompt, a tokenizer or a screen."""

from __future__ import annotations

import copy
import itertools
from threading import Thread

import pytest

from fixtures.applicability import (
    applies_to,
    decoder,
    few_positions,
    generates,
    generation_sample,
    has_fact,
    light,
    options_sample,
    roomy,
    text_model,
    tokenizer,
    trait,
    uncapped,
    walk_sample,
)
from fixtures.generating import (
    continued,
    generate,
    logits_tolerance,
    next_logits,
    prompts,
    rules,
    start_of,
)
from fixtures.ids import ordinary_ids
from fixtures.lazy import torch, transformers

STREAMED = ("One line\nand the next: 日本語 in it,\n\n🤗 no end", "of another text\n")


def answer(model, *prompts, **options):
    """The ids that generate returns for prompts of one length."""
    ids = torch.tensor(prompts).to(model.device)
    with torch.no_grad():
        return model.generate(ids, attention_mask=torch.ones_like(ids), **options)


def configured(checkpoint, **settings):
    """A complete generation configuration without an end."""
    return transformers.GenerationConfig(**rules(checkpoint, eos_token_id=None, **settings))


@applies_to(generates, text_model, light)
def test_arguments_win_over_settings(checkpoint, model, expect):
    """An argument of generate wins over the configuration given, that over the model's; neither changes."""
    prompt = prompts(checkpoint, 1)[0]
    start = len(start_of(checkpoint, prompt))
    own, model.generation_config = model.generation_config, configured(checkpoint, max_new_tokens=5)
    given = configured(checkpoint, max_new_tokens=3)
    before = copy.deepcopy(model.generation_config), copy.deepcopy(given)
    try:
        ways = ({}, 5), ({"generation_config": given}, 3)
        ways += (({"generation_config": given, "max_new_tokens": 2}, 2),)
        for options, wanted in ways:
            value = answer(model, prompt, **options).shape[1] - start
            call = f"new tokens of model.generate(ids, {', '.join(options)})"
            expect.equal(value, wanted, call, prompt=prompt)
        after = model.generation_config, given
        for one, other in zip(after, before, strict=True):
            expect.equal(one.to_dict(), other.to_dict(), "the configurations after generate")
    finally:
        model.generation_config = own


@applies_to(generates, text_model, options_sample, light)
def test_settings_of_nothing_win_over_the_models(checkpoint, model, expect):
    """In a configuration that is given, zeros and False count as much as other values."""
    rows = prompts(checkpoint, 1) * 2
    end, *other = ordinary_ids(checkpoint)[1:3]
    said = {"pad_token_id": 0, "top_k": 0, "use_cache": False}
    settings = {"do_sample": True, "max_new_tokens": 3, "return_dict_in_generate": True}
    others = {"pad_token_id": other[0], "top_k": 2, "use_cache": True}
    given = configured(checkpoint, output_scores=True, **settings | said)
    ended = configured(checkpoint, **settings | said)
    ended.eos_token_id = end
    own, model.generation_config = model.generation_config, configured(checkpoint, **others)
    try:
        out = answer(model, *rows, generation_config=given)
        bound = {"prefix_allowed_tokens_fn": lambda row, ids: [other[0] if row else end]}
        filled = answer(model, *rows, generation_config=ended, **bound).sequences
    finally:
        model.generation_config = own
    call = f"model.generate(rows, generation_config=GenerationConfig(**{said}))"
    past, kept = out.get("past_key_values"), int(out.scores[0][0].isfinite().sum())
    expect.equal(kept, out.scores[0].shape[-1], f"finite {call}.scores[0][0]", rows=rows)
    expect.true(past is None, type(past).__name__, "no cache", call, rows=rows)
    expect.equal(filled[0, -3:], [end, 0, 0], f"{call}, the first row at its end", rows=rows)


@applies_to(generates, text_model, options_sample, light)
def test_misspelt_settings_are_refused(checkpoint, model, expect):
    """A keyword that neither generate nor the model knows is refused, be it the only one."""
    prompt, call = prompts(checkpoint, 1)[0], "model.generate(ids, max_new_tokns=3)"
    try:
        outcome = answer(model, prompt, max_new_tokns=3)
    except (TypeError, ValueError) as error:
        outcome = error
    expect.true(isinstance(outcome, Exception), outcome, "an error", call, prompt=prompt)


@applies_to(generates, text_model, options_sample, light)
def test_settings_are_kept_where_they_are_put(checkpoint, expect, tmp_path):
    """Generation settings are read from the subfolder that was named, and contradictory ones are not saved."""
    settings = configured(checkpoint, max_new_tokens=5)
    settings.save_pretrained(tmp_path / "inner")
    found = transformers.GenerationConfig.from_pretrained(tmp_path, subfolder="inner")
    call = "GenerationConfig.from_pretrained(directory, subfolder='inner').max_new_tokens"
    expect.equal(found.max_new_tokens, 5, call)
    settings.temperature = 0.5  # which sampling alone reads
    try:
        outcome = settings.save_pretrained(tmp_path)
    except ValueError as error:
        outcome = error
    call = "GenerationConfig(do_sample=False, temperature=0.5).save_pretrained(directory)"
    expect.true(isinstance(outcome, ValueError), outcome, "ValueError", call)


@pytest.mark.filterwarnings("ignore:Using the model-agnostic default:UserWarning")
@applies_to(generates, text_model, light, roomy)
def test_twenty_tokens_unless_told(checkpoint, model, expect):
    """Told nothing about length, generate stops 20 tokens into what it returns, or 20 behind the prompt."""
    prompt = prompts(checkpoint, 1)[0]
    value, start = untold(checkpoint, model, prompt), len(start_of(checkpoint, prompt))
    wanted = {20, 20 + start}
    expect.true(value in wanted, value, f"one of {wanted}", "model.generate(ids).shape[1]")


def untold(checkpoint, model, prompt):
    """How long the sequence is that generate returns when nothing says how long it may be."""
    settings = rules(checkpoint, eos_token_id=None, max_new_tokens=None)
    own, model.generation_config = (
        model.generation_config,
        transformers.GenerationConfig(**settings),
    )
    try:
        return answer(model, prompt).shape[1]
    finally:
        model.generation_config = own


@applies_to(decoder, generates, generation_sample)
def test_a_models_length_counts_the_prompt(checkpoint, model, expect):
    """A max_length in the model's own settings is that of prompt and answer."""
    prompt = ordinary_ids(checkpoint)[:5]
    own = model.generation_config
    model.generation_config = configured(checkpoint, max_length=8, max_new_tokens=None)
    try:
        value = answer(model, prompt).shape[1]
    finally:
        model.generation_config = own
    call = "model.generate(ids).shape[1], model.generation_config.max_length = 8"
    expect.equal(value, 8, call, ids=prompt)


@pytest.mark.filterwarnings("ignore:Using the model-agnostic default:UserWarning")
@applies_to(decoder, generates, generation_sample, few_positions)
def test_stops_where_positions_end(checkpoint, model, expect):
    """Told nothing about length, a decoder's answer ends with its last position."""
    longest = checkpoint.config.get("max_position_embeddings") or checkpoint.config["n_positions"]
    prompt = (ordinary_ids(checkpoint) * longest)[: longest - 3]
    value = untold(checkpoint, model, prompt)
    call = f"model.generate(torch.tensor([{longest - 3} ids])).shape[1]"
    expect.equal(value, longest, call, first=prompt[:3])


@applies_to(decoder, generates, generation_sample)
def test_nothing_is_continued_from_the_beginning(checkpoint, model, expect):
    """Given no prompt, a decoder goes on from the token that begins a sequence."""
    begin = ordinary_ids(checkpoint)[3]
    own, model.generation_config = (
        model.generation_config,
        configured(checkpoint, bos_token_id=begin, max_new_tokens=3),
    )
    try:
        wanted = answer(model, [begin])
        with torch.no_grad():
            value = model.generate()
    finally:
        model.generation_config = own
    expect.equal(value, wanted, "model.generate()", bos_token_id=begin)


@applies_to(generates, text_model, generation_sample, uncapped)
def test_invalid_numbers_can_be_removed(checkpoint, model, expect):
    """remove_invalid_values takes a logit that is no number for zero and an infinite one for the largest."""
    prompt, (none, most) = prompts(checkpoint, 1)[0], ordinary_ids(checkpoint)[3:5]

    def spoil(module, given, logits):
        logits = logits.clone()
        logits[..., none], logits[..., most] = torch.nan, torch.inf
        return logits

    hook = model.get_output_embeddings().register_forward_hook(spoil)
    try:
        settings = {"remove_invalid_values": True, "max_new_tokens": 2, "eos_token_id": None}
        out = generate(model, checkpoint, [prompt], **settings)
    finally:
        hook.remove()
    value = [float(out.scores[0][0, token]) for token in (none, most)]
    call = f"scores of a nan and an infinity in model.generate(ids, **{settings})"
    expect.equal(value, [0.0, torch.finfo(torch.float32).max], call, prompt=prompt)
    new = out.sequences[0, -2:].tolist()
    expect.equal(new, [most, most], f"model.generate(ids, **{settings})[0, -2:]", prompt=prompt)


@applies_to(decoder, generates, light)
@pytest.mark.parametrize("cache", [True, False])
def test_guidance_moves_away_from_another_prompt(checkpoint, model, dtype, expect, cache):
    """guidance_scale=s: log p without the prompt, and s times what the prompt adds (Sanchez et al. 2023, eq. 7)."""
    prompt, other = prompts(checkpoint, 2)
    logits, scale = next_logits(model, checkpoint, prompt), 1.5
    allowed = 4 * scale * logits_tolerance(checkpoint, dtype)
    for context in ([prompt[-1]], other):
        options = {"guidance_scale": scale, "use_cache": cache}
        if context is other:
            options["negative_prompt_ids"] = torch.tensor([other])
        out = generate(model, checkpoint, [prompt], eos_token_id=None, **options)
        new = out.sequences[0, len(prompt) :].tolist()
        for step, scores in enumerate(out.scores):
            with_prompt, without = (
                logits([*start, *new[:step]]).log_softmax(-1) for start in (prompt, context)
            )
            wanted = without + scale * (with_prompt - without)
            call = f"model.generate(ids, guidance_scale={scale}, ...).scores[{step}]"
            expect.close(scores[0].float(), wanted, allowed, call, prompt=prompt, context=context)


@applies_to(decoder, generates, light)
def test_guidance_heeds_the_other_prompts_mask(checkpoint, model, dtype, expect):
    """What the mask of a negative prompt hides does not matter, at any step; what it shows does."""
    prompt, other = prompts(checkpoint, 2)
    another = next(i for i in ordinary_ids(checkpoint) if i not in other)
    rows = [other, [other[0], another, *other[2:]]]
    allowed, found = 8 * logits_tolerance(checkpoint, dtype), {}
    for hidden in (True, False):
        mask = torch.ones(1, len(other), dtype=torch.long)
        mask[0, 1] = int(not hidden)
        own = {"negative_prompt_attention_mask": mask, "guidance_scale": 1.5, "eos_token_id": None}
        given = (own | {"negative_prompt_ids": torch.tensor([row])} for row in rows)
        one, two = (generate(model, checkpoint, [prompt], **each) for each in given)
        pairs = zip(one.scores[:2], two.scores[:2], strict=True)
        found[hidden] = max(float((a - b).abs().max()) for a, b in pairs)
    call = "change of scores when token 1 of negative_prompt_ids changes"
    expect.true(found[True] <= allowed, found[True], f"at most {allowed:.3g}", f"{call}, hidden")
    expect.true(found[False] > allowed, found[False], f"more than {allowed:.3g}", f"{call}, shown")


def new_text(checkpoint, reader, model, prompt, **options):
    """The new ids of a greedy answer to a text."""
    inputs = reader(prompt, return_tensors="pt").to(model.device)
    inputs.pop("token_type_ids", None)
    with torch.no_grad():
        ids = model.generate(**inputs, do_sample=False, num_beams=1, max_new_tokens=12, **options)[
            0
        ]
    start = inputs["input_ids"].shape[1] if checkpoint.kind == "decoder" else 1
    return ids[start:].tolist()


@applies_to(decoder, generates, tokenizer, has_fact("greedy"), light)
def test_stop_strings_stop(checkpoint, tokenizer, model, expect):
    """stop_strings ends generation with the token that completes one of them."""
    prompt = checkpoint.facts_of("greedy")[0].input
    free = new_text(checkpoint, tokenizer, model, prompt)
    texts = [tokenizer.decode(free[: i + 1], skip_special_tokens=True) for i in range(len(free))]
    several = texts[-2][len(texts[max(0, len(texts) - 6)]) :]  # of up to four tokens
    begun = texts[-1].split()[1][:3]
    for stops in ([begun], [several], [f"{several} never said", begun]):
        wanted = next(i for i, text in enumerate(texts) if any(s in text for s in stops)) + 1
        options = {"stop_strings": stops, "tokenizer": tokenizer}
        value = new_text(checkpoint, tokenizer, model, prompt, **options)
        call = f"new ids of model.generate(**inputs, stop_strings={stops}, tokenizer=tokenizer)"
        expect.equal(value, free[:wanted], call, text=prompt)


@applies_to(tokenizer, trait("lossless"), walk_sample)
def test_texts_of_several_bytes_end_an_answer(tokenizer, expect):
    """A stop string ends an answer with the token that completes it, also where a character is several tokens."""
    text = "It is 日本 🤗 now"
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    begun = [ids[: i + 1] for i in range(len(ids))]
    stops = ["日本", "🤗", "now"]
    # one criterion for all: a large vocabulary is looked through for each
    ends = transformers.StopStringCriteria(tokenizer, stops)
    found = [i for i, some in enumerate(begun) if ends(torch.tensor([some]), None)]
    texts = [tokenizer.decode(some) for some in begun]
    wanted = [next(i for i, some in enumerate(texts) if stop in some) for stop in stops]
    call = f"the places where StopStringCriteria(tokenizer, {stops}) is met"
    expect.equal(found, wanted, call, text=text)


@applies_to(tokenizer, trait("lossless"), walk_sample)
def test_streamed_text_is_the_decoded_one(tokenizer, expect):
    """Token by token a streamer says the decoded text, lines as soon as they end, whatever it is used for before."""
    options, said = {"skip_special_tokens": True}, []
    streamer = transformers.TextStreamer(tokenizer, skip_prompt=True, **options)
    streamer.on_finalized_text = lambda text, stream_end=False: said.append(text)
    for text in STREAMED:
        said.clear()
        ids = tokenizer(text, add_special_tokens=False)["input_ids"] + tokenizer.all_special_ids[:1]
        streamer.put(torch.tensor([ids[:2]]))
        call = f"what a TextStreamer(tokenizer, skip_prompt=True, **{options}) says of its ids"
        for count, token in enumerate(ids, 1):
            streamer.put(torch.tensor([token]))
            so_far = tokenizer.decode(ids[:count], **options)
            if so_far.endswith("\n"):
                expect.equal("".join(said), so_far, call, text=text)
        streamer.end()
        expect.equal("".join(said), tokenizer.decode(ids, **options), call, text=text)


@applies_to(decoder, generates, tokenizer, has_fact("greedy"), light)
def test_streamers_write_the_text(checkpoint, tokenizer, model, expect, capsys):
    """TextStreamer prints, and TextIteratorStreamer yields, the text of the new tokens."""
    prompt = checkpoint.facts_of("greedy")[0].input
    free = new_text(checkpoint, tokenizer, model, prompt)
    wanted = tokenizer.decode(free, skip_special_tokens=True)
    options = {"skip_prompt": True, "skip_special_tokens": True}
    capsys.readouterr()
    printing = transformers.TextStreamer(tokenizer, **options)
    for times in ("at first", "used again"):
        new_text(checkpoint, tokenizer, model, prompt, streamer=printing)
        call = f"what a TextStreamer prints, {times}"
        expect.equal(capsys.readouterr().out, wanted + "\n", call, text=prompt)
    yielding = transformers.TextIteratorStreamer(tokenizer, timeout=60, **options)
    run = {"checkpoint": checkpoint, "reader": tokenizer, "model": model, "prompt": prompt}
    worker = Thread(target=new_text, kwargs=run | {"streamer": yielding})
    worker.start()
    value = "".join(yielding)
    worker.join()
    expect.equal(value, wanted, "''.join(TextIteratorStreamer)", text=prompt)


@applies_to(generates, text_model, light)
def test_time_and_the_input_bound_generation(checkpoint, model, expect):
    """max_time=0 ends after one token; encoder_no_repeat_ngram_size=2 repeats no pair of the prompt."""
    prompt = prompts(checkpoint, 1)[0]
    start = len(start_of(checkpoint, prompt))
    out = generate(model, checkpoint, [prompt], eos_token_id=None, max_time=0.0)
    call = "model.generate(ids, max_time=0.0)"
    expect.equal(out.sequences.shape[1], start + 1, f"{call}.shape[1]", prompt=prompt)
    free = continued(model, checkpoint, prompt).sequences[0].tolist()
    again = [*prompt[:2], *free[start : start + 2]]  # a pair that would come, in the prompt
    options = {"eos_token_id": None, "encoder_no_repeat_ngram_size": 2}
    ids = generate(model, checkpoint, [again], **options).sequences[0].tolist()
    new = ids[len(start_of(checkpoint, again)) :]
    pairs = set(itertools.pairwise(again)) & set(itertools.pairwise(new))
    call = (
        "pairs shared by prompt and new ids of model.generate(ids, encoder_no_repeat_ngram_size=2)"
    )
    expect.equal(sorted(pairs), [], call, prompt=again)
