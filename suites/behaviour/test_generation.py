"""Generation in every mode a user asks for."""

from __future__ import annotations

from contextlib import redirect_stdout
from io import StringIO

from fixtures.applicability import applies_to, generates, light, options_sample, tokenizer
from fixtures.ids import batch, pad_id
from fixtures.lazy import torch, transformers
from fixtures.loading import load_tokenizer
from fixtures.observe import source
from fixtures.oracle import tolerances

MODES = {
    "greedy": {"do_sample": False, "num_beams": 1},
    "beams": {"do_sample": False, "num_beams": 3},
    "beams, all returned": {"do_sample": False, "num_beams": 3, "num_return_sequences": 3},
    "beams, length penalty": {
        "do_sample": False,
        "num_beams": 3,
        "length_penalty": 2.0,
        "early_stopping": True,
    },
    "repetition penalty": {"do_sample": False, "num_beams": 1, "repetition_penalty": 1.5},
    "no repeated pairs": {"do_sample": False, "num_beams": 1, "no_repeat_ngram_size": 2},
    "at least six": {"do_sample": False, "num_beams": 1, "min_new_tokens": 6},
    "without cache": {"do_sample": False, "num_beams": 1, "use_cache": False},
    "sampled": {"do_sample": True, "num_beams": 1, "top_k": 0, "temperature": 0.8},
    "sampled, top k": {"do_sample": True, "num_beams": 1, "top_k": 5},
    "sampled, top p": {"do_sample": True, "num_beams": 1, "top_k": 0, "top_p": 0.7},
    "sampled beams": {"do_sample": True, "num_beams": 2},
    "contrastive": {"do_sample": False, "penalty_alpha": 0.6, "top_k": 4},
    "diverse beams": {
        "do_sample": False,
        "num_beams": 4,
        "num_beam_groups": 2,
        "diversity_penalty": 1.0,
    },
    "static cache": {"do_sample": False, "num_beams": 1, "cache_implementation": "static"},
}
GENERATE = (
    "inputs = tokenizer({{input!r}}, return_tensors='pt')\n"
    "inputs.pop('token_type_ids', None)\n"
    "tokenizer.decode(model.generate({})[0], skip_special_tokens=True)"
)
# Ten log-probabilities, each off by twice the error of logits, by a length of one at the least.
SUMMED = 20
SOFTMAX = 2  # logits off by at most d move a log-probability by at most 2 d
TRANSITION = (
    "(lambda out: model.compute_transition_scores(out.sequences, out.scores, out.beam_indices))"
    "(model.generate(ids, max_new_tokens=6, do_sample=False, num_beams=3, pad_token_id=pad,"
    " output_scores=True, return_dict_in_generate=True))"
)
STREAMED = (
    "model.generate(ids, max_new_tokens=6, do_sample=False, num_beams=1, pad_token_id=pad,"
    " streamer=transformers.TextStreamer(tokenizer))"
)
SETTINGS = (
    {"temperature": 0.5},
    {"num_return_sequences": 2},
    {"do_sample": False, "top_p": 0.3, "top_k": 3},
    {"pad_token_id": -1},
)
PROMPTS = ("The capital of France is", "one two three", "Hello", " leading space")
# A large model's step costs as much as a tiny one's text: the modes and prompts it is asked for.
FEW_MODES = ("greedy", "beams", "repetition penalty", "sampled, top p")
FEW_PROMPTS = PROMPTS[:1]


@applies_to(generates)
def test_generation_modes(checkpoint, model, observe):
    """Ids generated from fixed prompts in every mode, with their scores."""
    given = batch(checkpoint, [9, 9] if checkpoint.kind == "encoder-decoder" else [9], seed=71)
    inputs = {n: given[n] for n in ("input_ids", "attention_mask")}
    allowed = tolerances(checkpoint, given).get("logits")
    for mode in MODES if light(checkpoint) else FEW_MODES:
        best = []

        def generated(options=MODES[mode], best=best):
            torch.manual_seed(0)
            out = model.generate(
                **inputs,
                max_new_tokens=10,
                pad_token_id=pad_id(checkpoint),
                output_scores=True,
                return_dict_in_generate=True,
                **options,
            )
            best.append(out.get("sequences_scores"))
            return as_generated(out)

        options = {"max_new_tokens": 10, "pad_token_id": pad_id(checkpoint), **MODES[mode]}
        observe.attempt(
            f"generation/{mode}",
            generated,
            group="generation",
            tolerance=allowed,
            reproduce=source(f"model.generate(**inputs, **{options})", {"inputs": inputs}, ""),
        )
        if best and best[0] is not None:
            told = {**options, "output_scores": True, "return_dict_in_generate": True}
            observe(
                f"generation/{mode}/scores of beams",
                best[0],
                group="generation",
                tolerance=allowed and SUMMED * allowed,
                reproduce=source(
                    f"model.generate(**inputs, **{told}).sequences_scores", {"inputs": inputs}, ""
                ),
            )


def as_generated(out):
    """All ids, with the gap between the two best scores at each step of every row (of beams, none)."""
    rows, scores = len(out.sequences), torch.stack(list(out.scores)).float()
    best = scores.topk(2).values
    gaps = (best[..., 0] - best[..., 1]).T.tolist()
    front = out.sequences.shape[1] - len(scores)
    known = len(gaps) == rows or rows == 1
    return {
        "type": "ids",
        "data": [int(i) for i in out.sequences.flatten()],
        "gaps": [gap for row in gaps[:rows] for gap in [1e9] * front + row]
        if known and front >= 0
        else None,
    }


@applies_to(generates, tokenizer)
def test_generated_text(checkpoint, tokenizer, model, observe):
    """From a prompt to text, with the defaults left alone and with greedy decoding."""
    for prompt in PROMPTS if light(checkpoint) else FEW_PROMPTS:

        def text(prompt=prompt, **options):
            torch.manual_seed(0)
            inputs = tokenizer(prompt, return_tensors="pt")
            inputs.pop("token_type_ids", None)
            return tokenizer.decode(
                model.generate(**inputs, **options)[0], skip_special_tokens=True
            )

        observe.attempt(
            "generation/text, greedy",
            lambda p=prompt: text(p, max_new_tokens=12, do_sample=False, num_beams=1),
            input=prompt,
            group="generation",
            reproduce=GENERATE.format("**inputs, max_new_tokens=12, do_sample=False, num_beams=1"),
        )
        observe.attempt(
            "generation/text, defaults",
            lambda p=prompt: text(p),
            input=prompt,
            group="generation",
            reproduce=GENERATE.format("**inputs"),
        )


@applies_to(generates, light, options_sample)
def test_around_generation(checkpoint, model, observe, tmp_path):
    """The log-probabilities of beams, what a streamer prints, which settings can be saved."""
    given = batch(checkpoint, [9], seed=81)
    names = {"model": model, "ids": given["input_ids"], "pad": pad_id(checkpoint)}
    allowed = tolerances(checkpoint, given).get("logits")
    observe.evaluate(
        "generation/beams/transition scores",
        TRANSITION,
        names,
        group="generation",
        tolerance=allowed and SOFTMAX * allowed,
    )
    if "tokenizer" in checkpoint.traits:
        used = {**names, "transformers": transformers, "tokenizer": load_tokenizer(checkpoint)}

        def printed():
            with redirect_stdout(StringIO()) as found:
                eval(STREAMED, used)
            return found.getvalue()

        shown = {name: value for name, value in names.items() if name != "model"}
        observe.attempt(
            "generation/printed by a streamer",
            printed,
            group="generation",
            reproduce=source(f"import transformers\n{STREAMED}", shown, ""),
        )
    for settings in SETTINGS:
        observe.attempt(
            f"generation/saved settings {settings}",
            lambda s=settings: transformers.GenerationConfig(**s).save_pretrained(tmp_path),
            group="generation",
            reproduce=f"transformers.GenerationConfig(**{settings}).save_pretrained('settings')",
        )
