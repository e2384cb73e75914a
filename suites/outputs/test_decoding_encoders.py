"""Layers used as a decoder that attends to another model: causal, cached, attending across."""

from __future__ import annotations

import inspect
from importlib import import_module

from fixtures.applicability import applies_to, model_type, one_each, referenced, small, widens
from fixtures.gradients import library_gradients, rounding
from fixtures.ids import batch, ordinary_ids
from fixtures.lazy import torch, transformers
from fixtures.loading import checkpoint_activations
from fixtures.oracle import judged_apart, real_positions, run
from fixtures.reference import REFERENCES
from fixtures.tolerance import allowed, allowed_sum, flattened
from fixtures.weights import filled

AS_DECODER = {"is_decoder": True, "add_cross_attention": True}
WIDTHS = ("hidden_size", "n_embd", "d_model")
MEMORY = 7  # positions of what is attended across


def decoding(checkpoint, attention="eager", **settings):
    """A causal language model of the checkpoint's configuration, its weights drawn at random; attention: None for the default."""
    config = {n: v for n, v in checkpoint.stated().items() if n != "architectures"}
    made = transformers.AutoConfig.for_model(**config | AS_DECODER | settings)
    if attention:
        made._attn_implementation = attention
    return filled(transformers.AutoModelForCausalLM.from_config(made), seed=7).float().eval()


def given(checkpoint):
    """Ids without padding, and what they attend to, the second row's last two positions masked."""
    ids = batch(checkpoint, [10, 10])["input_ids"]
    draw = torch.Generator().manual_seed(68)
    width = next(checkpoint.config[n] for n in WIDTHS if n in checkpoint.config)
    memory = torch.randn(2, MEMORY, width, generator=draw)
    mask = torch.ones(2, MEMORY, dtype=torch.long)
    mask[1, -2:] = 0
    return {"input_ids": ids, "encoder_hidden_states": memory, "encoder_attention_mask": mask}


def logits_of(model, inputs, **options):
    """(outputs, logits) of one pass."""
    outputs = run(model, inputs, output_attentions=False, output_hidden_states=False, **options)
    return outputs, outputs.logits


def takes_counts(model):
    """Whether the loss of this version's model takes options of the caller's."""
    taken = inspect.signature(type(model).forward).parameters.values()
    return any(each.kind is each.VAR_KEYWORD for each in taken)


GIVEN_SHIFTED = ("bart", "mbart")  # trained with ids that the caller has shifted
DECODES = ("bert", "roberta", "gpt2", *GIVEN_SHIFTED)
CROSS_REFERENCED = ("bert", "roberta", "gpt2")
# What drops out attention's weights, and what it hands on.
DROPOUTS = (
    *"attention_probs_dropout_prob attn_pdrop attention_dropout".split(),
    *"hidden_dropout_prob resid_pdrop dropout".split(),
)


STEPS = ((0, 6), (6, 7), (7, 10))


def agrees_in_steps(expect, model, inputs, whole, limit):
    """Going on from a cache gives what all ids at once give."""
    past = None
    for start, stop in STEPS:
        step = dict(inputs, input_ids=inputs["input_ids"][:, start:stop])
        outputs, logits = logits_of(model, step, past_key_values=past, use_cache=True)
        past = outputs.past_key_values
        kind = model.config._attn_implementation
        call = f"model(ids {start}:{stop} with the cache of the others).logits, {kind} attention"
        expect.close(logits.double(), whole[:, start:stop], limit, call, inputs=inputs)


@applies_to(model_type(*DECODES), small, widens)
def test_encoder_layers_decode(checkpoint, expect):
    """As a decoder, a family's layers hide the future, heed what they attend to, and go on from a cache."""
    model, inputs = decoding(checkpoint), given(checkpoint)
    _, rounded = logits_of(model, inputs)
    model = model.double()
    _, whole = logits_of(model, inputs)
    limit = allowed(whole, rounded)
    call = "AutoModelForCausalLM.from_config(config)(**inputs).logits"
    expect.close(rounded.double(), whole, limit, call, inputs=inputs)

    later = dict(inputs, input_ids=inputs["input_ids"].clone())
    later["input_ids"][:, -1] = ordinary_ids(checkpoint)[0]
    _, changed = logits_of(model, later)
    expect.close(changed[:, :-1], whole[:, :-1], limit, f"{call}[:, :-1], last id changed")

    hidden = dict(inputs, encoder_hidden_states=inputs["encoder_hidden_states"].clone())
    hidden["encoder_hidden_states"][1, -2:] = 3.0
    _, changed = logits_of(model, hidden)
    expect.close(changed, whole, limit, f"{call}, masked encoder_hidden_states changed")
    hidden["encoder_hidden_states"][0, -1] = 3.0
    _, changed = logits_of(model, hidden)
    moved = float((changed[0] - whole[0]).abs().amax(-1).min())
    expect.true(moved > limit, moved, f"more than {limit:.3g} at every position", call)
    agrees_in_steps(expect, model, inputs, whole, limit)


@applies_to(model_type(*DECODES), small, widens)
def test_decoding_kernels_agree(checkpoint, expect):
    """As a decoder, a family's layers give by the default kernel what eager attention gives, masked or not, at once or from a cache."""
    model, fused = decoding(checkpoint), decoding(checkpoint, attention=None)
    masked = given(checkpoint)
    unmasked = {name: value for name, value in masked.items() if not name.endswith("mask")}
    for inputs in (masked, unmasked):
        (_, rounded), (_, value) = (logits_of(each.float(), inputs) for each in (model, fused))
        _, whole = logits_of(model.double(), inputs)
        limit = allowed(whole, rounded)
        call = "AutoModelForCausalLM.from_config(config)(**inputs).logits, the default attention"
        expect.close(value.double(), whole, limit, call, inputs=inputs)
        agrees_in_steps(expect, fused, inputs, whole, limit)


@applies_to(model_type(*CROSS_REFERENCED), referenced, small)
def test_decoding_layers_equal_reference(checkpoint, expect):
    """As a decoder, a family's layers give the reference's states, logits, loss and weights, those across too, by each kernel."""
    padded = given(checkpoint) | {"attention_mask": torch.ones(2, 10, dtype=torch.long)}
    padded["attention_mask"][0, 7:] = 0
    padded["labels"] = padded["input_ids"].masked_fill(padded["attention_mask"] == 0, -100)
    bare = {n: v for n, v in given(checkpoint).items() if not n.endswith("mask")}
    # not by `reference_for`, which speaks of a family's usual checkpoints
    module = import_module(f"fixtures.reference.{REFERENCES[checkpoint.model_type]}")
    for attention in ("eager", None):
        model = decoding(checkpoint, attention)
        for inputs in (padded, bare):
            told = model.config.to_dict(), model.state_dict(), inputs
            exact, limits = judged_apart(module, *told, "CausalLM")
            weights = attention == "eager"
            outputs = flattened(run(model, inputs, output_attentions=weights, use_cache=False))
            call = f"AutoModelForCausalLM.from_config(config)(**inputs), {attention or 'default'} attention"
            unasked = {n for n in exact if "attentions" in n and not weights}
            missing = exact.keys() - outputs.keys() - unasked - {"last_hidden_state"}
            expect.equal(sorted(missing), [], f"outputs left out by {call}", inputs=inputs)
            for name in exact.keys() & outputs.keys():
                value, wanted = (real_positions(name, o[name], inputs) for o in (outputs, exact))
                expect.close(value, wanted, limits[name], f"{call}.{name}", inputs=inputs)


@applies_to(model_type(*DECODES), small)
def test_what_is_attended_across_is_dropped(checkpoint, expect):
    """In training, a dropout of one, in attention or behind it, hides what a decoder attends to."""
    inputs = given(checkpoint)
    other = dict(inputs, encoder_hidden_states=inputs["encoder_hidden_states"].flip(0, 2))
    # not the checkpoint's own: some configurations hold other families' fields
    family = type(decoding(checkpoint).config)
    fields = [name for name in family().to_dict() if "drop" in name]
    for field in (name for name in DROPOUTS if name in fields):
        settings = dict.fromkeys(fields, 0.0) | {field: 1.0}
        model = decoding(checkpoint, **settings).train()
        outputs = (logits_of(model, each, use_cache=False) for each in (inputs, other))
        (_, first), (_, second) = outputs
        call = f"from_config(config, {field}=1.0).train()(**inputs).logits, other encoder_hidden_states"
        expect.close(second, first, 0.0, call, inputs=inputs)


@applies_to(model_type(*DECODES), small)
def test_decoding_layers_learn_the_next_token(checkpoint, expect):
    """As a decoder, a family's layers are trained on the next token, BART's on what the caller says follows, and keep no cache unless wanted."""
    from fixtures.reference.losses import cross_entropy, next_token_loss

    model, inputs = decoding(checkpoint), given(checkpoint)
    labels = inputs["input_ids"].clone()
    labels[0, 3] = -100
    outputs, logits = logits_of(model, dict(inputs, labels=labels), use_cache=False)
    exact = logits.double()
    shifted = checkpoint.model_type in GIVEN_SHIFTED
    wanted = (cross_entropy if shifted else next_token_loss)(exact, labels)
    limit = allowed(exact, logits) + allowed_sum(labels.numel(), "float32")
    call = "AutoModelForCausalLM.from_config(config)(**inputs, labels=labels, use_cache=False)"
    expect.close(outputs.loss.double(), wanted, limit, f"{call}.loss", inputs=inputs)
    past = outputs.get("past_key_values")
    expect.true(past is None, type(past).__name__, "no cache", f"{call}.past_key_values")
    if takes_counts(model) and not shifted:
        loss = model(**inputs, labels=labels, num_items_in_batch=64).loss.double()
        summed = wanted * int((labels[:, 1:] != -100).sum()) / 64
        expect.close(loss, summed, limit, f"{call[:-1]}, num_items_in_batch=64).loss")


@applies_to(model_type(*DECODES), small, one_each)
def test_decoding_layers_learn_frugally(checkpoint, expect):
    """As a decoder, a family's layers learn the same when they compute activations anew, from what they attend to, too."""
    inputs = given(checkpoint)
    inputs["labels"] = inputs["input_ids"]
    still = dict.fromkeys((n for n in decoding(checkpoint).config.to_dict() if "drop" in n), 0.0)
    model = decoding(checkpoint, **still, use_cache=False).train()
    plain = library_gradients(model, inputs)
    checkpoint_activations(model)
    frugal = library_gradients(model, inputs)
    largest = max(float(value.abs().max()) for value in plain.values())
    expect.equal(sorted(frugal), sorted(plain), "parameters with a gradient, checkpointed")
    for name, wanted in plain.items():
        limit = max(allowed(wanted.double(), wanted), rounding(largest, "float32"))
        call = f"model.get_parameter({name!r}).grad, checkpointed"
        expect.close(frugal[name], wanted, limit, call, inputs=inputs)


@applies_to(model_type("gpt2"), small, widens)
def test_cross_attention_reads_normed_states(checkpoint, expect):
    """What GPT-2 asks another model depends on its states through a norm: flat norm, same question everywhere."""
    model, inputs = decoding(checkpoint), given(checkpoint)
    for name, parameter in model.named_parameters():
        if name.endswith("ln_cross_attn.weight"):
            parameter.data.zero_()
    for layer, weights in enumerate(run(model, inputs, output_attentions=True).cross_attentions):
        wanted = weights[:, :, :1].expand_as(weights)
        limit = allowed(weights.double(), weights)
        call = f"model(**inputs).cross_attentions[{layer}], its norm's weight at zero"
        expect.close(weights, wanted, limit, call, inputs=inputs)
