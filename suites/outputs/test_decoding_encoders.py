"""Layers used as a decoder that attends to another model: causal, cached, attending across."""

from __future__ import annotations

from fixtures.applicability import applies_to, model_type, small, widens
from fixtures.ids import batch, ordinary_ids
from fixtures.lazy import torch, transformers
from fixtures.oracle import run
from fixtures.tolerance import allowed, allowed_sum
from fixtures.weights import filled

AS_DECODER = {"is_decoder": True, "add_cross_attention": True}
WIDTHS = ("hidden_size", "n_embd", "d_model")
MEMORY = 7  # positions of what is attended across


def decoding(checkpoint, **settings):
    """A causal language model of the checkpoint's configuration, its weights drawn at random."""
    config = {n: v for n, v in checkpoint.stated().items() if n != "architectures"}
    made = transformers.AutoConfig.for_model(**config | AS_DECODER | settings)
    made._attn_implementation = "eager"
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


GIVEN_SHIFTED = ("bart", "mbart")  # trained with ids that the caller has shifted
DECODES = ("bert", "roberta", "gpt2", *GIVEN_SHIFTED)
# What drops out attention's weights, and what it hands on.
DROPOUTS = (
    *"attention_probs_dropout_prob attn_pdrop attention_dropout".split(),
    *"hidden_dropout_prob resid_pdrop dropout".split(),
)


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

    past = None
    for start, stop in ((0, 6), (6, 7), (7, 10)):
        step = dict(inputs, input_ids=inputs["input_ids"][:, start:stop])
        outputs, logits = logits_of(model, step, past_key_values=past, use_cache=True)
        past = outputs.past_key_values
        call = f"model(ids {start}:{stop} with the cache of the others).logits"
        expect.close(logits, whole[:, start:stop], limit, call, inputs=inputs)


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
