"""Settings that no checkpoint has together: small models of the fields a configuration may combine."""

from __future__ import annotations

from fixtures.agreement import agree
from fixtures.applicability import Predicate, applies_to, model_type, one_each
from fixtures.covering import covering
from fixtures.ids import padded
from fixtures.lazy import torch, transformers
from fixtures.oracle import computed, run
from fixtures.tolerance import allowed_each
from fixtures.weights import filled

SAMPLE = ("gpt2-random", "llama-bytes", "mistral-random")
own = Predicate("built-in", lambda c: c.source == "built-in")
sample = Predicate("one of each family that shows it", lambda c: c.name in SAMPLE)

UNSAID = "left out of the configuration"
SIZES = {"vocab_size": 50, "bos_token_id": 47, "eos_token_id": 48, "pad_token_id": 49}
WIDE = {**SIZES, "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 2}
BERT = {
    "hidden_act": (UNSAID, "relu"),
    "num_attention_heads": (2, 4),
    "layer_norm_eps": (UNSAID, 0.1),
    "tie_word_embeddings": (UNSAID, False),
}
DYNAMIC = {"rope_type": "dynamic", "factor": 3.0}
LLAMA = {
    "hidden_act": (UNSAID, "gelu_pytorch_tanh"),
    "head_dim": (UNSAID, 6),
    "num_key_value_heads": (4, 2, 1),
    "rms_norm_eps": (UNSAID, 0.1),
    "rope_theta": (UNSAID, 50.0),
    "tie_word_embeddings": (UNSAID, True),
}
LLAMA_SIZES = {**WIDE, "num_attention_heads": 4, "max_position_embeddings": 8}
BART = {
    "activation_function": (UNSAID, "relu"),
    "encoder_attention_heads": (2, 4),
    "decoder_attention_heads": (2, 4),
    "encoder_layers": (2, 1),
    "decoder_layers": (2, 1),
    "encoder_ffn_dim": (24, 12),
    "scale_embedding": (UNSAID, True),
    "tie_word_embeddings": (UNSAID, False),
}
BART_SIZES = {**SIZES, "d_model": 16, "decoder_ffn_dim": 24, "max_position_embeddings": 40}
# family -> the sizes of its models, and values of each field that they are drawn from
FIELDS = {
    "bert": (WIDE | {"max_position_embeddings": 40}, BERT | {"type_vocab_size": (UNSAID, 1)}),
    "roberta": (WIDE | {"max_position_embeddings": 70, "type_vocab_size": 1}, BERT),
    "distilbert": (
        {**SIZES, "dim": 16, "hidden_dim": 24, "n_layers": 2, "max_position_embeddings": 40},
        {
            "activation": (UNSAID, "relu"),
            "n_heads": (2, 4),
            "sinusoidal_pos_embds": (UNSAID, True),
            "tie_word_embeddings": (UNSAID, False),
        },
    ),
    "gpt2": (
        {**SIZES, "n_embd": 16, "n_layer": 3, "n_positions": 40},
        {
            "activation_function": (UNSAID, "relu"),
            "n_head": (2, 4),
            "n_inner": (UNSAID, None, 24),
            "scale_attn_weights": (UNSAID, False),
            "scale_attn_by_inverse_layer_idx": (UNSAID, True),
            "reorder_and_upcast_attn": (UNSAID, True),
            "layer_norm_epsilon": (UNSAID, 0.1),
            "tie_word_embeddings": (UNSAID, False),
            "add_cross_attention": (UNSAID, True),
        },
    ),
    "llama": (
        LLAMA_SIZES,
        LLAMA
        | {
            "attention_bias": (UNSAID, True),
            "mlp_bias": (UNSAID, True),
            "rope_scaling": (UNSAID, {"type": "linear", "factor": 2.5}, DYNAMIC),
        },
    ),
    "mistral": (LLAMA_SIZES, LLAMA | {"sliding_window": (UNSAID, None, 3)}),
    "t5": (
        {**SIZES, "d_model": 16, "d_ff": 24, "num_layers": 2, "decoder_start_token_id": 49},
        {
            "feed_forward_proj": (UNSAID, "gated-gelu", "gated-silu"),
            "d_kv": (4, 6),
            "num_heads": (2, 4),
            "num_decoder_layers": (UNSAID, 1),
            "relative_attention_num_buckets": (UNSAID, 4),
            "relative_attention_max_distance": (UNSAID, 6),
            "layer_norm_epsilon": (UNSAID, 0.1),
        },
    ),
    "bart": (BART_SIZES, BART),
    "mbart": (BART_SIZES, BART),
}
HEADS = dict.fromkeys(("bert", "roberta", "distilbert"), ("MaskedLM", "SequenceClassification"))
HEADS |= dict.fromkeys(("gpt2", "llama", "mistral"), ("CausalLM", "SequenceClassification"))
HEADS |= dict.fromkeys(("t5", "bart", "mbart"), ("Seq2SeqLM",))
# How the model is called, which is drawn with them; each kernel has a way of its own for each kind of mask.
PADDINGS = {"none": (12, 12), "left": (12, 7), "right": (7, 12), "gaps": (12, 12)}
CALLS = [(kernel, name) for kernel in ("eager", "sdpa") for name in PADDINGS]
own = Predicate("built-in", lambda c: c.source == "built-in")


def legal(case):
    """Whether these may stand together.

    Where a text padded on the left ends is a check of its own; a classifier attends to no other model.
    """
    left = "left" in case.get("kernel, padding", ())
    across = case.get("add_cross_attention") is True
    return case.get("head") != "SequenceClassification" or not (left or across)


def combined(family):
    """(configuration, head, kernel, padding) in which every two values meet."""
    sizes, fields = FIELDS[family]
    for case in covering(fields | {"head": HEADS[family], "kernel, padding": CALLS}, legal):
        stated = {name: case[name] for name in fields if case[name] != UNSAID}
        yield {"model_type": family, **sizes, **stated}, case["head"], *case["kernel, padding"]


def inputs_of(config, head, padding):
    """Seeded ids, padded and masked in this way; so is what the model attends to beside them, if it does."""
    draw = torch.Generator().manual_seed(61)
    rows = [
        torch.randint(0, config["bos_token_id"], (length,), generator=draw).tolist()
        for length in PADDINGS[padding]
    ]
    side = "left" if padding == "left" else "right"
    inputs = padded(rows, config["pad_token_id"], side)
    mask = inputs["attention_mask"]
    if padding == "none":
        del inputs["attention_mask"]
    elif padding == "left" and head == "CausalLM":
        inputs["position_ids"] = (mask.cumsum(-1) - 1).clamp(min=0)
    elif padding == "gaps":
        mask[0, 4:6] = mask[1, 9] = 0
    if head == "Seq2SeqLM":
        inputs["decoder_input_ids"] = inputs["input_ids"].flip(0)[:, :7].clamp(max=46)
    if config.get("add_cross_attention"):
        inputs["encoder_hidden_states"] = torch.randn(2, 7, config["n_embd"], generator=draw)
        if padding != "none":
            inputs["encoder_attention_mask"] = torch.tensor([[1] * 7, [1] * 4 + [0] * 3])
    return inputs


@applies_to(model_type(*FIELDS), own, one_each)
def test_settings_act_together(checkpoint, expect):
    """Whatever two settings of a configuration and of a call meet, a model gives the reference's outputs."""
    from fixtures.reference import reference_for

    for config, head, kernel, padding in combined(checkpoint.model_type):
        inputs, loader = (
            inputs_of(config, head, padding),
            getattr(transformers, f"AutoModelFor{head}"),
        )
        made = transformers.AutoConfig.for_model(**config)
        model = filled(loader.from_config(made, attn_implementation=kernel), seed=15).eval()
        outputs = run(model, inputs, output_attentions=kernel == "eager")
        state, module = model.state_dict(), reference_for(config)
        exact, rounded = (
            computed(module, config, state, inputs, head, dtype) for dtype in ("float64", "float32")
        )
        # of a few numbers none may be rounded by as much as it might be
        limit = max(allowed_each(exact, rounded).values())
        call = f"AutoModelFor{head}.from_config(AutoConfig.for_model(**{config}), attn_implementation={kernel!r})(**inputs)"
        agree(expect, outputs, inputs, exact, dict.fromkeys(exact, limit), call)


# What no model can be made of; width and heads under the names of the family's files.
UNEVEN = {
    "bert": {"hidden_size": 18, "num_attention_heads": 4},
    "roberta": {"hidden_size": 18, "num_attention_heads": 4},
    "gpt2": {"n_embd": 18, "n_head": 4},
    "llama": {"hidden_size": 18, "num_attention_heads": 4},
    "bart": {"d_model": 18, "encoder_attention_heads": 4, "decoder_attention_heads": 4},
    "mbart": {"d_model": 18, "encoder_attention_heads": 4, "decoder_attention_heads": 4},
}


@applies_to(model_type(*UNEVEN), own, one_each)
def test_uneven_heads_are_refused(checkpoint, expect):
    """A width that its heads cannot share evenly is refused, by the configuration or the model."""
    settings = {
        "model_type": checkpoint.model_type,
        "vocab_size": 50,
        **UNEVEN[checkpoint.model_type],
    }
    try:
        config = transformers.AutoConfig.for_model(**settings)
        outcome = type(transformers.AutoModel.from_config(config)).__name__
    except Exception as error:
        outcome = str(error)
    call = f"AutoModel.from_config(AutoConfig.for_model(**{settings}))"
    said = "multiple" in outcome or "divisible" in outcome
    expect.true(said, outcome, "an error that says that heads do not divide the width", call)
