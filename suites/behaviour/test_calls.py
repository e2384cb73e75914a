"""A model called in every way it accepts: masks of each form, positions, embeddings, caches, losses."""

from __future__ import annotations

import copy
from zlib import crc32

import pytest

from fixtures.applicability import (
    applies_to,
    computes_positions,
    decoder,
    encoder,
    head,
    light,
    model_type,
    vision,
    walk_sample,
    walkable,
)
from fixtures.ids import batch, labels, max_length, ordinary_ids, pad_id, pixels
from fixtures.lazy import torch, transformers
from fixtures.loading import SAFE, cache_layers, load_model
from fixtures.observe import source
from fixtures.oracle import tolerances
from fixtures.plugin import loaded

ATTENDED = "model(**{{**inputs, 'attention_mask': {}}})[0]"
SQUARE = "(mask[:, None, None, :] * torch.ones(9, 9).tril())"
# as exporters and other runtimes take a model
TRACED = "torch.jit.trace(lambda *v: model(**dict(zip(inputs, v)))[0], tuple(inputs.values()), check_trace=False)(*inputs.values())"
# what is asked of every model of text
TEXT = {
    "as loaded": "model(**inputs)[0]",
    "traced": TRACED,
    "float mask": ATTENDED.format("mask.float()"),
    "boolean mask": ATTENDED.format("mask.bool()"),
    "mask of fractions": ATTENDED.format("mask.float().index_fill(1, torch.tensor([3]), 0.5)"),
    "mask of three axes": ATTENDED.format("mask[:, None, :].repeat(1, 9, 1)"),
    "mask of four axes, added": ATTENDED.format(f"(1 - {SQUARE}) * torch.finfo(torch.float32).min"),
    "mask of four axes, kept": ATTENDED.format(f"{SQUARE}.bool()"),
    "a row without tokens": ATTENDED.format("mask * torch.tensor([[1], [0]])"),
    "padding within a text": "model(**{**inputs, 'input_ids': inputs['input_ids'].index_fill(-1, torch.tensor([4]), pad)})[0]",
    "positions": "model(**inputs, position_ids=torch.arange(8, -1, -1)[None])[0]",
    "embeddings": "model(**others, inputs_embeds=model.get_input_embeddings()(inputs['input_ids']))[0]",
    "token types": "model(**{**inputs, 'token_type_ids': torch.zeros_like(mask)})[0]",
    "head mask": "model(**inputs, head_mask=torch.zeros(layers, heads))[0]",
    "ids of 32 bits": "model(**{n: v.int() for n, v in inputs.items()})[0]",
    "an unknown keyword": "model(**inputs, no_such_thing=1)[0].shape",
    "an id beyond the vocabulary": "model(**{**inputs, 'input_ids': inputs['input_ids'] + size})",
    "attentions": "{n: [list(a.shape) for a in v if a is not None] for n, v in "
    "model(**inputs, output_attentions=True).items() if 'attentions' in n}",
    "types of a tuple": "[type(v).__name__ for v in model(**inputs, return_dict=False)]",
}
CACHED = {
    "continued": "model(ids[:, 5:], past_key_values=model(ids[:, :5], use_cache=True).past_key_values)[0]",
    "continued with a whole mask": "model(ids[:, 5:], attention_mask=mask, "
    "past_key_values=model(ids[:, :5], use_cache=True).past_key_values)[0]",
    "packed texts": "model(ids[:1], position_ids=torch.tensor([[0, 1, 2, 3, 0, 1, 2, 3, 4]]), use_cache=False)[0]",
    "cache, indexed": "model(ids, use_cache=True).past_key_values[0][0].shape",
    "cache, counted": "len(model(ids, use_cache=True).past_key_values)",
    "an empty cache": "model(ids, past_key_values=transformers.DynamicCache())[0]",
    "a fixed cache": "model(ids, past_key_values=transformers.StaticCache(config=model.config, max_cache_len=20))[0]",
    "a cache in training with checkpoints": "(lambda m: (m.gradient_checkpointing_enable(), "
    "type(m.train()(ids, use_cache=True).get('past_key_values')).__name__)[1])(__import__('copy').deepcopy(model))",
    "last logits": "model(ids, logits_to_keep=2)[0].shape",
    "last logits, by the older name": "model(ids, num_logits_to_keep=2)[0].shape",
}
SEQ2SEQ = {
    "decoder's mask": "model(**inputs, decoder_attention_mask=decoder_mask)[0]",
    "decoder's head mask": "model(**inputs, decoder_head_mask=torch.zeros(decoder_layers, decoder_heads))[0]",
    "nothing for the decoder": "model(inputs['input_ids'], attention_mask=mask)[0]",
    "encoder's outputs": "model(encoder_outputs=(model.get_encoder()(inputs['input_ids'])[0],), "
    "decoder_input_ids=inputs['decoder_input_ids'])[0]",
    "decoder's embeddings": "model(inputs['input_ids'], attention_mask=mask, decoder_inputs_embeds="
    "model.get_input_embeddings()(inputs['decoder_input_ids']))[0]",
}
AS_DECODER = {
    "masked": "model(ids, attention_mask=mask)[0]",
    "continued": CACHED["continued"],
    "generated": "model.generate(ids[:1], max_new_tokens=6, do_sample=False, pad_token_id=pad)[0].tolist()",
    "attending across": "model(ids, encoder_hidden_states=memory, encoder_attention_mask=mask[:, 2:])[0]",
    "continued across": "model(ids[:, 5:], encoder_hidden_states=memory, past_key_values="
    "model(ids[:, :5], encoder_hidden_states=memory, use_cache=True).past_key_values)[0]",
}
VISION = {
    "as loaded": "model(inputs['pixel_values'])[0]",
    "traced": TRACED,
    "larger images": "model(larger)[0].shape",
    "larger images, interpolated": "model(larger, interpolate_pos_encoding=True)[0]",
    "head mask": "model(**inputs, head_mask=torch.zeros(layers, heads))[0]",
    "types of a tuple": "[type(v).__name__ for v in model(**inputs, return_dict=False)]",
}
LONG = 160
LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers")
HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads", "encoder_attention_heads")
GROUPED = ("ForMultipleChoice", "DoubleHeadsModel")  # rows are candidates of one question
PROBLEMS = {
    "regression": "torch.linspace(-1, 1, 2)",
    "single_label_classification": "torch.tensor([0, count - 1])",
    "multi_label_classification": "torch.ones(2, count)",
}
of_text = walkable & ~vision


@pytest.fixture
def default(checkpoint):
    """The model in float32, its attention the library's choice; shared."""
    return loaded(load_model, checkpoint, None, "float32", "cpu")


def given(checkpoint, seed):
    """A batch of two rows whose first has three masked tokens at its end."""
    inputs = batch(checkpoint, [9, 9], seed=seed)
    inputs.pop("position_ids", None)
    inputs["attention_mask"][0, 6:] = 0
    if checkpoint.architecture.endswith(GROUPED):
        inputs = {name: value[None] for name, value in inputs.items()}
    return inputs


def first(config, names, default=1):
    """The first of several fields that a configuration has."""
    return next((config[name] for name in names if name in config), default)


@applies_to(of_text, light, walk_sample)
def test_ways_to_call(checkpoint, default, observe):
    """Each form of mask, positions, embeddings, ids: what comes back."""
    inputs, config = given(checkpoint, 67), checkpoint.config
    names = {
        "model": default,
        "torch": torch,
        "inputs": inputs,
        "mask": inputs["attention_mask"],
        "others": {n: v for n, v in inputs.items() if n != "input_ids"},
        "layers": first(config, LAYERS),
        "heads": first(config, HEADS),
        "size": config["vocab_size"],
        "pad": pad_id(checkpoint),
    }
    asked = dict(TEXT)
    if "decoder_input_ids" in inputs:
        asked |= SEQ2SEQ
        names |= {
            "decoder_mask": (torch.arange(9) < torch.tensor([[9], [6]])).long(),
            "decoder_layers": first(config, ("decoder_layers", "num_decoder_layers", *LAYERS)),
            "decoder_heads": first(config, ("decoder_attention_heads", *HEADS)),
        }
    observe_calls(checkpoint, observe, "forward/call", asked, names)


@applies_to(decoder, light, walk_sample)
def test_caches(checkpoint, default, observe):
    """A text read in two parts, with the cache of the first handed on in each form."""
    ids = batch(checkpoint, [9, 9], seed=68)["input_ids"]
    names = {"model": default, "torch": torch, "transformers": transformers, "ids": ids}
    names["mask"] = torch.ones_like(ids)
    observe_calls(checkpoint, observe, "forward/cache", CACHED, names)

    def handed_on():
        past = tuple(cache_layers(default(ids[:, :5], use_cache=True).past_key_values))
        return default(ids[:, 5:], past_key_values=past)[0]

    observe.attempt("forward/cache/a tuple", no_gradients(handed_on), group="numbers")


@applies_to(of_text, light, walk_sample)
def test_long_texts(checkpoint, default, observe):
    """A text that fills the table of positions, or is twice as long as trained for; a short one after it."""
    limit = max_length(checkpoint) or LONG
    count = min(2 * limit if computes_positions(checkpoint) else limit, LONG)
    inputs = given(checkpoint, 71)
    if inputs["input_ids"].dim() != 2:
        return
    drawn = torch.Generator().manual_seed(71)
    ordinary = torch.tensor(ordinary_ids(checkpoint))
    rest = {n: v[:1] for n, v in inputs.items() if n.startswith("decoder")}
    long = {
        "input_ids": ordinary[torch.randint(len(ordinary), (1, count), generator=drawn)],
        **rest,
    }
    # a model of its own: what a long text leaves behind is part of what is seen
    names = {"model": copy.deepcopy(default), "long": long, "inputs": inputs}
    asked = {"a long text": "model(**long)[0]", "a short text after it": "model(**inputs)[0]"}
    observe_calls(checkpoint, observe, "forward/call", asked, names, long)


@applies_to(model_type("bert", "roberta", "gpt2"), light, walk_sample, head("MaskedLM", "CausalLM"))
def test_as_a_decoder(checkpoint, observe):
    """Layers that decode, alone and attending to another model's states: masked, cached, generating."""
    made, memory = (
        [],
        torch.randn(2, 7, width(checkpoint), generator=torch.Generator().manual_seed(82)),
    )
    names = {"ids": batch(checkpoint, [9, 9], seed=82)["input_ids"], "memory": memory}
    names |= {"mask": given(checkpoint, 82)["attention_mask"], "pad": pad_id(checkpoint)}
    options = {"add_cross_attention": True, **({"is_decoder": True} if encoder(checkpoint) else {})}
    loading = f"model = transformers.AutoModelForCausalLM.from_pretrained(checkpoint, **{options})"

    def load():
        auto = transformers.AutoModelForCausalLM
        made.append(auto.from_pretrained(checkpoint.path, **options, **SAFE).eval())
        for name, value in made[0].named_parameters():
            if "cross" in name:  # not in the files: drawn by name, the same in every version
                draw = torch.Generator().manual_seed(crc32(name.encode()))
                value.data = 0.3 * torch.randn(value.shape, generator=draw)
        return type(made[0]).__name__

    observe.attempt("load/auto/as a decoder", load, group="load", reproduce=loading)
    allowed = max(tolerances(checkpoint, batch(checkpoint, [9, 9], seed=82)).values(), default=None)
    for name, expression in AS_DECODER.items() if made else ():
        used = {n: v for n, v in names.items() if n in expression}
        observe.attempt(
            f"forward/as a decoder/{name}",
            no_gradients(lambda e=expression: eval(e, {"model": made[0], **names})),
            group="numbers",
            tolerance=allowed,
            reproduce=f"{loading}\n" + source(expression, used, ""),
        )


def width(checkpoint):
    """Numbers in a hidden state."""
    return first(checkpoint.config, ("hidden_size", "n_embd"))


@applies_to(vision, light, walk_sample)
def test_ways_to_see(checkpoint, default, observe):
    """Images of the configured size and of another."""
    inputs = batch(checkpoint, [1, 1], seed=69)
    shape = pixels(checkpoint).shape
    patch = checkpoint.config.get("patch_size", 16)
    drawn = torch.Generator().manual_seed(70)
    larger = torch.randn(1, shape[1], shape[2] + patch, shape[3] + 2 * patch, generator=drawn)
    names = {"model": default, "torch": torch, "inputs": inputs, "larger": larger}
    names |= {n: first(checkpoint.config, f) for n, f in (("layers", LAYERS), ("heads", HEADS))}
    observe_calls(checkpoint, observe, "forward/call", VISION, names)


def observe_calls(checkpoint, observe, place, asked, names, typical=None) -> None:
    """The values of expressions over a model, numbers with the error allowed on typical inputs."""
    limits = tolerances(checkpoint, typical or batch(checkpoint, [9, 9], seed=67))
    allowed = max(limits.values(), default=None)
    with torch.no_grad():
        for name, expression in asked.items():
            used = {n: v for n, v in names.items() if n in expression}
            observe.evaluate(
                f"{place}/{name}", expression, used, group="numbers", tolerance=allowed
            )


def no_gradients(call):
    """The call, without gradients."""

    def called():
        with torch.no_grad():
            return call()

    return called


@applies_to(walkable, light, walk_sample, head("CausalLM", "MaskedLM", "Seq2SeqLM"))
def test_losses_of_words(checkpoint, default, observe):
    """The loss of a language model over a counted batch, with nothing to predict, and its gradient."""
    inputs = batch(checkpoint, [9, 9], seed=72)
    targets = labels(checkpoint, inputs)["labels"]
    inputs = {n: v for n, v in inputs.items() if n not in ("position_ids", "decoder_input_ids")}
    for name, expression in (
        ("loss as loaded", "model(**inputs, labels=targets).loss"),
        ("loss of a counted batch", "model(**inputs, labels=targets, num_items_in_batch=5).loss"),
        (
            "loss of labels shifted before",
            "model(**inputs, labels=targets, shift_labels=targets.roll(-1, 1)).loss",
        ),
        ("loss of nothing", "model(**inputs, labels=torch.full_like(targets, -100)).loss"),
        ("keys with a loss", "list(model(**inputs, labels=targets))"),
    ):
        names = {"model": default, "torch": torch, "inputs": inputs, "targets": targets}
        used = {n: v for n, v in names.items() if n in expression}
        observe.evaluate(f"outputs/{name}", expression, used, group="numbers")


@applies_to(walkable, light, walk_sample, head("SequenceClassification"))
def test_losses_of_texts(checkpoint, default, observe):
    """A classifier's loss for each kind of problem, told and inferred, and what it then calls it."""
    inputs = batch(checkpoint, [9, 9], seed=73)
    inputs.pop("position_ids", None)
    count = default.config.num_labels
    for problem, expression in PROBLEMS.items():
        for told in (None, problem):
            model = copy.copy(default)
            model.config = copy.deepcopy(default.config)
            model.config.problem_type = told
            names = {"inputs": inputs, "count": count}

            def loss(model=model, expression=expression):
                with torch.no_grad():
                    targets = eval(expression, {"torch": torch, "count": count})
                    return model(**inputs, labels=targets).loss

            shown = f"model.config.problem_type = {told!r}\n"
            observe.attempt(
                f"outputs/loss, {problem}{'' if told else ', not told'}",
                loss,
                group="numbers",
                reproduce=shown + source(f"model(**inputs, labels={expression}).loss", names, ""),
            )


@applies_to(walkable, light, walk_sample)
def test_gradients(checkpoint, default, observe):
    """The size of a gradient through the whole model, and how many parameters it reaches."""
    inputs = batch(checkpoint, [9, 9], seed=74)
    inputs.pop("position_ids", None)
    for name, again in (("gradient", False), ("gradient, activations computed anew", True)):
        norms = []

        def reached(again=again, norms=norms):
            norms += gradients(default, inputs, again)
            return len(norms)

        observe.attempt(f"outputs/{name}, parameters reached", reached)
        if norms:
            observe(f"outputs/{name}", torch.stack(norms).norm().float(), group="numbers")


def gradients(default, inputs, again):
    """The norm of each parameter's gradient, in float64, where another order of sums does not show."""
    model = copy.deepcopy(default).double().requires_grad_(True)
    if again:
        model.gradient_checkpointing_enable()
        without_dropout(model.train())
    given = {n: v.double() if v.is_floating_point() else v for n, v in inputs.items()}
    model(**given)[0].square().mean().backward()
    return [p.grad.norm() for p in model.parameters() if p.grad is not None]


def without_dropout(model) -> None:
    """Set every dropout rate to zero, wherever a family keeps it."""
    for module in model.modules():
        for name, value in list(vars(module).items()):
            if isinstance(value, float) and ("drop" in name or name == "p"):
                setattr(module, name, 0.0)
