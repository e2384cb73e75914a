"""Settings that no checkpoint has together: small models of the fields a configuration may combine."""

from __future__ import annotations

from fixtures.agreement import agree
from fixtures.applicability import Predicate, applies_to, model_type, one_each
from fixtures.combinations import FIELDS, called, combined
from fixtures.lazy import transformers
from fixtures.oracle import judged_apart, run
from fixtures.stored import stored
from fixtures.weights import filled

own = Predicate("built-in", lambda c: c.source == "built-in")


@applies_to(model_type(*FIELDS), own, one_each)
def test_settings_act_together(checkpoint, expect, tmp_path):
    """Whatever two settings of a configuration and of a call meet, a model gives the reference's outputs."""
    from fixtures.reference import reference_for

    for number, case in enumerate(combined(checkpoint.model_type)):
        config, head, kernel, padding = case
        inputs, loader = called(config, head, padding), getattr(transformers, f"AutoModelFor{head}")
        made = transformers.AutoConfig.for_model(**config)
        model = filled(loader.from_config(made, attn_implementation=kernel), seed=15).eval()
        outputs = run(model, inputs, output_attentions=kernel == "eager")
        # on disk weights have the names that all versions know
        model.save_pretrained(tmp_path / str(number))
        state, module = stored(tmp_path / str(number)), reference_for(config)
        exact, limits = judged_apart(module, config, state, inputs, head)
        # of a few numbers none may be rounded by as much as it might be
        limit = max(limits.values())
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
