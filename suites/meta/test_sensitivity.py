"""Checkpoints that can see: every weight and every field of theirs reaches an output.

A fault in a part that no output depends on cannot be noticed. So each weight is reset to what an
untrained model has there, and each field to what a library that ignores it would use, through the
reference; some output must move by far more than the checks allow.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from fixtures.catalogue import default_checkpoints
from fixtures.ids import batch
from fixtures.lazy import torch
from fixtures.oracle import judged, reference_outputs, weights
from fixtures.reference import reference_for
from fixtures.tolerance import flattened

FAR = 100  # times the error allowed
BUILT_IN = {c.name: c for c in default_checkpoints()[0] if c.source == "built-in"}
TWINS = [n for n in BUILT_IN if n.endswith("-random")] + [
    "llama-spm-only",
    "llama-yarn",
    "deit-shapes",
]
# What a key projection's bias adds to a query's scores is the same for all keys, and softmax,
# exp(s + c) / sum exp(s + c), cancels it: no output depends on it.
KEY_BIASES = ("key.bias", "k_lin.bias", "k_proj.bias")
# What the first papers' models have, hence what a library that ignores the field would use. Left out is
# what the weights' shapes and names say as well: without such a field the files do not load.
SHARED = {"hidden_act": "gelu", "layer_norm_eps": 1e-12, "num_attention_heads": 12}
BART = {
    "activation_function": "gelu",
    "scale_embedding": False,
    "encoder_attention_heads": 16,
    "decoder_attention_heads": 16,
    "encoder_layers": 12,
    "decoder_layers": 12,
}
ROTARY = {
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "num_attention_heads": 32,
    "num_key_value_heads": None,
    "head_dim": None,
    "tie_word_embeddings": False,
}
DEFAULTS = {
    "bert": {**SHARED, "num_hidden_layers": 12},
    "roberta": {**SHARED, "pad_token_id": 1},
    "distilbert": {"activation": "gelu", "n_heads": 12, "n_layers": 6},
    "gpt2": {
        "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-5,
        "scale_attn_weights": True,
        "scale_attn_by_inverse_layer_idx": False,
        "n_head": 12,
        "n_layer": 12,
    },
    "llama": {**ROTARY, "rope_scaling": None},
    "mistral": {**ROTARY, "sliding_window": 4096, "num_key_value_heads": 8},
    "t5": {
        "feed_forward_proj": "relu",
        "layer_norm_epsilon": 1e-6,
        "relative_attention_max_distance": 128,
        "num_heads": 8,
        "num_decoder_layers": 6,
        "tie_word_embeddings": True,
    },
    "bart": BART,
    "mbart": BART,
    "vit": SHARED,
    "deit": {"num_attention_heads": 12, "num_hidden_layers": 12},
}


def untrained(name, tensor):
    """What a new model has in place of a weight: ones in norms, else zeros."""
    is_norm = tensor.dim() == 1 and name.endswith("weight")
    return torch.ones_like(tensor) if is_norm else torch.zeros_like(tensor)


@cache
def seen(name):
    """(inputs, exact outputs, errors allowed) of a built-in checkpoint."""
    checkpoint = BUILT_IN[name]
    inputs = batch(checkpoint, seed=90)
    return inputs, *judged(checkpoint, inputs)


def movement(name, others):
    """How far outputs moved, in units of the error allowed; infinity where their shapes changed."""
    _, exact, allowed = seen(name)
    if {n: v.shape for n, v in others.items()} != {n: v.shape for n, v in exact.items()}:
        return float("inf")
    moved = (
        (others[n] - exact[n]).abs().nan_to_num(0.0).max() / allowed[n] for n in exact if allowed[n]
    )
    return float(max(moved))


@pytest.mark.parametrize("name", TWINS)
def test_every_weight_is_seen(name):
    """Each weight of a random twin, reset, moves some output far beyond what the checks allow."""
    checkpoint, inputs = BUILT_IN[name], seen(name)[0]
    module, state = reference_for(checkpoint.config), dict(weights(checkpoint))
    state = {n: t.double() if t.is_floating_point() else t for n, t in state.items()}
    given = {n: t.double() if t.is_floating_point() else t for n, t in inputs.items()}
    unseen = []
    for key in state:
        changed = {**state, key: untrained(key, state[key])}
        with torch.no_grad():
            outputs = flattened(module.forward(checkpoint.config, changed, given, checkpoint.head))
        if movement(name, outputs) < FAR and not key.endswith(KEY_BIASES):
            unseen.append(key)
    assert unseen == []


FIELDS = [(family, field) for family, fields in DEFAULTS.items() for field in fields]


@pytest.mark.parametrize(("family", "field"), FIELDS)
def test_every_field_is_seen(family, field):
    """Some built-in checkpoint of the family has the field off its default, and an output moves without it."""
    default, best = DEFAULTS[family][field], 0.0
    for name, checkpoint in BUILT_IN.items():
        value = checkpoint.config.get(field, default)
        if checkpoint.model_type != family or value == default:
            continue
        best = max(best, without_field(name, field, default))
    assert best >= FAR, f"no {family} checkpoint shows {field}: set it off {default!r} in one"


def without_field(name, field, default):
    """How far outputs move when a field has its default; infinity where the files no longer fit."""
    checkpoint = replace(BUILT_IN[name], name=f"{name} without {field}")
    checkpoint.__dict__["config"] = {**BUILT_IN[name].config, field: default}
    try:
        return movement(name, reference_outputs(checkpoint, seen(name)[0]))
    except (RuntimeError, ValueError, TypeError, LookupError, ArithmeticError):
        return float("inf")
