"""Generation with every option, from every kind of input, and all that it can return."""

from __future__ import annotations

import copy
from functools import lru_cache

import pytest

from fixtures.applicability import (
    Predicate,
    applies_to,
    generates,
    head,
    kind,
    light,
    options_sample,
    tokenizer,
    walkable,
)
from fixtures.ids import batch, eos_id, ordinary_ids, pad_id
from fixtures.lazy import torch, transformers
from fixtures.loading import fresh_model, load_model, load_tokenizer
from fixtures.observe import source
from fixtures.oracle import tolerances
from fixtures.plugin import loaded
from suites.behaviour.test_generation import as_generated

# a cache that forgets cannot take drafted tokens back
windowed = Predicate("a built-in sliding window", lambda c: c.name == "mistral-sliding")
NEW = 6
LONGER = 30  # than the length that is the default
GREEDY = {"do_sample": False, "num_beams": 1}
BEAMS = {"do_sample": False, "num_beams": 3}
SAMPLED = {"do_sample": True, "num_beams": 1}
FULL = {
    "return_dict_in_generate": True,
    "output_scores": True,
    "output_logits": True,
    "output_attentions": True,
    "output_hidden_states": True,
}
# Guidance by 1.5 adds 1.5 and takes 0.5 log-probabilities, each off by twice the error of logits: the
# option that widens an error most.
GUIDED = 4
CACHES = ("dynamic", "dynamic_full", "static", "sliding_window", "hybrid", "offloaded")


@pytest.fixture
def default(checkpoint):
    """The model in float32, its attention the library's choice; shared."""
    return loaded(load_model, checkpoint, None, "float32", "cpu")


def rules(checkpoint):
    """name -> options that change which tokens come; ids named in them are ordinary ones."""
    one, two, three, *others = ordinary_ids(checkpoint)[5:]
    short = {"length_penalty": -1.0, "eos_token_id": others[::7]}
    return {
        "typical": {**SAMPLED, "typical_p": 0.5},
        "at least a share of the best": {**SAMPLED, "min_p": 0.2},
        "above epsilon": {**SAMPLED, "epsilon_cutoff": 0.02},
        "above eta": {**SAMPLED, "eta_cutoff": 0.02},
        "several samples": {**SAMPLED, "num_return_sequences": 3},
        "several sampled beams": {**BEAMS, "do_sample": True, "num_return_sequences": 2},
        "beams, little memory": {**BEAMS, "low_memory": True},
        "temperature without sampling": {**GREEDY, "temperature": 0.5},
        "no bad words": {**GREEDY, "bad_words_ids": [[one], [two, three]]},
        "bias": {**GREEDY, "sequence_bias": [[[one], 9.0]]},
        "suppressed": {**GREEDY, "suppress_tokens": others[::2]},
        "suppressed at first": {**GREEDY, "begin_suppress_tokens": others[::2]},
        "forced at first": {**GREEDY, "forced_bos_token_id": one},
        "forced at last": {**GREEDY, "forced_eos_token_id": two},
        "an end ever likelier": {**GREEDY, "exponential_decay_length_penalty": (2, 1.5)},
        "many ends": {**GREEDY, "eos_token_id": others[::2]},
        "no end": {**GREEDY, "eos_token_id": None},
        "encoder repetition penalty": {**GREEDY, "encoder_repetition_penalty": 1.7},
        "no pairs of the encoder": {**GREEDY, "encoder_no_repeat_ngram_size": 2},
        "renormalized": {**SAMPLED, "renormalize_logits": True, "top_k": 4},
        "guidance": {**GREEDY, "guidance_scale": 1.5},
        "constrained": {**BEAMS, "force_words_ids": [[one, two]]},
        "beams, never early": {**BEAMS, **short, "early_stopping": "never"},
        "beams, short ones": {**BEAMS, **short},
        "layers compared": {**GREEDY, "dola_layers": "low"},
        "prompt lookup": {**GREEDY, "prompt_lookup_num_tokens": 2},
        "chunks of the prompt": {**GREEDY, "prefill_chunk_size": 4},
        "a length": {**GREEDY, "max_new_tokens": None, "max_length": 13},
        "a least length": {**GREEDY, "min_length": 13},
        **own_rules(),
        "no tokens": {**GREEDY, "max_new_tokens": 0},
        "an unknown option": {**GREEDY, "no_such_option": 3},
        "watermark": {**GREEDY, "watermarking_config": {"bias": 2.5, "seeding_scheme": "lefthash"}},
        **{f"cache {name}": {**GREEDY, "cache_implementation": name} for name in CACHES},
        "cache static, beams": {**BEAMS, "cache_implementation": "static"},
        "allowed tokens": {**GREEDY, "prefix_allowed_tokens_fn": Allowed((one, two, three))},
    }


def own_rules():
    """name -> what a user hands over beside options: processors, criteria."""
    return {
        "a processor of its own": {**GREEDY, "logits_processor": [Turned()]},
        "a processor given twice": {
            **GREEDY,
            "repetition_penalty": 1.3,
            "logits_processor": [transformers.RepetitionPenaltyLogitsProcessor(2.0)],
        },
        "a criterion of its own": {**GREEDY, "stopping_criteria": [Enough()]},
    }


class Turned:
    """The least likely token becomes the likeliest."""

    def __call__(self, before, scores):
        return -scores

    def __repr__(self):
        return "lambda before, scores: -scores"


class Enough:
    """Three tokens are enough."""

    def __init__(self):
        self.steps = 0

    def __call__(self, before, scores, **given):
        self.steps += 1
        return torch.full((len(before),), self.steps >= 3)

    def __repr__(self):
        return "a callable that is true at its third call"


class Allowed:
    """What may come next, whatever came before."""

    def __init__(self, ids):
        self.ids = list(ids)

    def __call__(self, row, before):
        return self.ids

    def __repr__(self):
        return f"lambda row, before: {self.ids}"


def prompts(checkpoint):
    """A padded batch as the family wants it, and one row."""
    side = "right" if checkpoint.head == "Seq2SeqLM" else "left"
    padded = batch(checkpoint, [9, 5], side=side, seed=75)
    names = ("input_ids", "attention_mask")
    return {n: padded[n] for n in names}, {n: padded[n][:1] for n in names}


@applies_to(walkable, generates, light, options_sample)
def test_generation_options(checkpoint, default, observe):
    """Each option of generate on one prompt: the ids, with the gaps of their scores."""
    _, one = prompts(checkpoint)
    for name, options in rules(checkpoint).items():
        observe_ids(checkpoint, observe, default, name, one, options)


@applies_to(walkable, generates, light, options_sample)
def test_generation_inputs(checkpoint, default, observe):
    """Padded prompts, prompts without mask, of embeddings, with positions, and none."""
    padded, one = prompts(checkpoint)
    ids = one["input_ids"]
    embedded = {"inputs_embeds": default.get_input_embeddings()(ids).detach()}
    for name, inputs, options in (
        ("padded", padded, GREEDY),
        ("padded, beams", padded, BEAMS),
        ("padded, no mask", {"input_ids": padded["input_ids"]}, GREEDY),
        ("padded on the other side", flipped(padded), GREEDY),
        ("embeddings", embedded, GREEDY),
        ("embeddings, a length", embedded, {**GREEDY, "max_length": 8, "max_new_tokens": None}),
        ("positions", {**one, "position_ids": torch.arange(ids.shape[1])[None] + 3}, GREEDY),
        ("token types", {**one, "token_type_ids": torch.zeros_like(ids)}, GREEDY),
        ("no prompt", {}, GREEDY),
    ):
        observe_ids(checkpoint, observe, default, name, inputs, options)
    long = {"input_ids": batch(checkpoint, [LONGER], seed=79)["input_ids"]}
    observe_ids(checkpoint, observe, default, "a long prompt, defaults", long, {}, {})
    for name, inputs, options in (
        ("a long prompt", long, {}),
        ("padded, static cache", padded, {"cache_implementation": "static"}),
        ("padded, in chunks", padded, {"prefill_chunk_size": 4}),
    ):
        observe_ids(checkpoint, observe, default, name, inputs, GREEDY | options)


def flipped(padded):
    """The rows of a batch with their padding on the other side."""
    lengths = padded["attention_mask"].sum(1).tolist()
    left = bool(padded["attention_mask"][-1, -1])
    turned = [n if left else -n for n in lengths]
    return {
        name: torch.stack([row.roll(by) for row, by in zip(value, turned, strict=True)])
        for name, value in padded.items()
    }


@applies_to(walkable, generates, light, options_sample)
def test_generation_settings(checkpoint, default, observe):
    """Settings given in an object, set on the model's, or in its configuration."""
    _, one = prompts(checkpoint)
    pad, end = pad_id(checkpoint), eos_id(checkpoint)
    for name, settings in (
        ("settings in an object", {}),
        ("greedy in an object", GREEDY),
        ("sampling in an object", {"do_sample": True, "top_k": 3, "eos_token_id": end}),
        ("beams in an object", {"num_beams": 2}),
    ):
        config = transformers.GenerationConfig(max_new_tokens=NEW, pad_token_id=pad, **settings)
        observe_ids(checkpoint, observe, default, name, one, {"generation_config": config}, {})
    own = copy.copy(default)
    own.generation_config = copy.deepcopy(default.generation_config)
    own.generation_config.update(max_new_tokens=4, num_beams=1, repetition_penalty=1.9)
    observe_ids(checkpoint, observe, own, "settings of the model", one, {}, {})
    own = copy.copy(default)
    own.config = copy.deepcopy(default.config)
    own.config.max_length = 12
    observe_ids(checkpoint, observe, own, "a length in the configuration", one, GREEDY, {})

    def told():
        model = fresh_model(checkpoint, attention=None, max_length=12)
        return model.generate(**one, pad_token_id=pad)[0].tolist()

    observe.attempt("generation/a length told in loading", told, group="generation")


@applies_to(walkable, generates, light, options_sample | windowed)
def test_assisted_generation(checkpoint, default, observe, tmp_path):
    """A helper model, the first layer for one, and what such calls leave behind in the model."""
    _, one = prompts(checkpoint)
    helper = {"assistant_model": copy.copy(default)}
    observe_ids(checkpoint, observe, default, "assisted", one, {**GREEDY, **helper})
    observe_ids(checkpoint, observe, default, "assisted, sampled", one, {**SAMPLED, **helper})
    if "tokenizer" in checkpoint.traits:
        # a larger vocabulary is taken for another one
        larger, mine = copy.deepcopy(default), load_tokenizer(checkpoint)
        torch.manual_seed(31)
        larger.resize_token_embeddings(checkpoint.config["vocab_size"] + 8)
        helper = {"assistant_model": larger, "tokenizer": mine, "assistant_tokenizer": mine}
        observe_ids(checkpoint, observe, default, "assisted in other tokens", one, GREEDY | helper)
    own = copy.deepcopy(default)
    early = {**GREEDY, "assistant_early_exit": 1}
    observe_ids(checkpoint, observe, own, "assisted by its first layer", one, early)
    observe_ids(checkpoint, observe, own, "greedy, after its first layer assisted", one, GREEDY)

    def saved():
        model = copy.deepcopy(default)
        model.generate(**one, **GREEDY, max_new_tokens=2, cache_implementation="static")
        model.save_pretrained(tmp_path)
        return sorted(file.name for file in tmp_path.iterdir())

    observe.attempt("generation/files saved after a static cache", saved, group="generation")


@applies_to(walkable, generates, light, options_sample, tokenizer)
def test_stop_strings(checkpoint, tokenizer, default, observe):
    """Generation that ends at a text."""
    _, one = prompts(checkpoint)
    options = {**GREEDY, "stop_strings": ["e", "a"], "tokenizer": tokenizer}
    observe_ids(checkpoint, observe, default, "stop strings", one, options)


@applies_to(walkable, generates, light, options_sample)
def test_what_generation_returns(checkpoint, default, observe):
    """Names and shapes of all it can return, and what a streamer is handed."""
    _, one = prompts(checkpoint)
    given = {**one, "max_new_tokens": NEW, "pad_token_id": pad_id(checkpoint)}
    for name, options in (
        ("greedy", GREEDY),
        ("beams", {**BEAMS, "num_return_sequences": 2}),
        ("sampled", SAMPLED),
        ("lookup", {**GREEDY, "prompt_lookup_num_tokens": 2}),
    ):

        def returned(options=options):
            torch.manual_seed(0)
            out = default.generate(**given, **FULL, **options)
            return {"class": type(out).__name__, **{n: shapes(v) for n, v in out.items()}}

        observe.attempt(f"generation/returned, {name}", returned, group="generation")

    class Streamer:
        """Keeps what it is handed."""

        def __init__(self):
            self.seen = []

        def put(self, value):
            self.seen.append(list(value.shape))

        def end(self):
            self.seen.append("end")

    def streamed():
        streamer = Streamer()
        default.generate(**given, **GREEDY, streamer=streamer)
        return streamer.seen

    observe.attempt("generation/streamed", streamed, group="generation")


def shapes(value):
    """The shapes of nested tuples of tensors; of a cache, its class."""
    if hasattr(value, "shape"):
        return list(value.shape)
    if isinstance(value, tuple | list):
        return [shapes(part) for part in value]
    return type(value).__name__


@applies_to(walkable, head("CausalLM"), kind("decoder"), light, options_sample)
def test_continued_generation(checkpoint, default, observe):
    """Generation that goes on from a cache, and the operations on it."""
    ids = batch(checkpoint, [9], seed=76)["input_ids"]
    names = {"model": default, "ids": ids}
    cache = {"input_ids": ids, "past_key_values": transformers.DynamicCache()}
    observe_ids(checkpoint, observe, default, "a cache", cache, GREEDY)
    for name, expression in (
        (
            "from a cache",
            "model.generate(ids, past_key_values=model(ids[:, :5], use_cache=True).past_key_values, "
            "max_new_tokens=6, do_sample=False, num_beams=1, pad_token_id=0)[0].tolist()",
        ),
        (
            "cache cropped",
            "(lambda c: (c.crop(4), c.get_seq_length()))(model(ids).past_key_values)",
        ),
        (
            "cache repeated",
            "(lambda c: (c.batch_repeat_interleave(2), c.get_seq_length()))(model(ids).past_key_values)",
        ),
        ("cache's limit", "model(ids).past_key_values.get_max_cache_shape()"),
        ("cache's layers", "[len(layer) for layer in model(ids).past_key_values]"),
        ("next inputs", "sorted(model.prepare_inputs_for_generation(ids, use_cache=True))"),
    ):
        observe.evaluate(f"generation/{name}", expression, names, group="generation")


USUAL = {"max_new_tokens": NEW}


def observe_ids(checkpoint, observe, model, name, inputs, options, usual=USUAL) -> None:
    """The ids generated from inputs, the best score of each greedy step, and a call that shows them.

    Scores tell where ids do not: many a model repeats one token whatever it is given.
    """
    asked = {**usual, **options}
    if usual:
        asked.setdefault("pad_token_id", pad_id(checkpoint))

    scores = []

    def generated():
        torch.manual_seed(0)
        wanted = {"return_dict_in_generate": True, "output_scores": True}
        out = model.generate(**inputs, **asked, **wanted)
        scores.extend(step.float().amax(-1) for step in out.scores)
        return as_generated(out)

    shown = {n: v for n, v in inputs.items() if hasattr(v, "shape")}
    observe.attempt(
        f"generation/{name}",
        generated,
        group="generation",
        tolerance=allowed(checkpoint),
        reproduce=source(f"model.generate(**inputs, **{asked})", {"inputs": shown}, ""),
    )
    limit = allowed(checkpoint)
    if scores and GREEDY.items() <= asked.items():
        observe(
            f"generation/{name}/best scores",
            torch.stack(scores),
            group="generation",
            tolerance=None if limit is None else GUIDED * limit,
        )


@lru_cache(maxsize=1)
def allowed(checkpoint):
    """The error allowed to logits on a short batch; None where it cannot be derived."""
    return tolerances(checkpoint, batch(checkpoint, [9, 9], seed=75)).get("logits")
