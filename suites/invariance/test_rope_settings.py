"""Each number of a rotary scaling acts as its paper says, not only those that a checkpoint happens to set."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fixtures.agreement import agree_with_reference
from fixtures.applicability import (
    Predicate,
    applies_to,
    decoder,
    light,
    model_type,
    referenced,
)
from fixtures.expect import Expect
from fixtures.ids import batch
from fixtures.loading import fresh_model
from fixtures.oracle import run
from fixtures.stored import copied, reconfigured

YARN = {"rope_type": "yarn", "factor": 3.0, "original_max_position_embeddings": 4000}
SETTINGS = {
    "linear": {"rope_type": "linear", "factor": 2.5},
    "llama3": {
        "rope_type": "llama3",
        "factor": 5.0,
        "low_freq_factor": 1.5,
        "high_freq_factor": 3.0,
        "original_max_position_embeddings": 40,
    },
    "yarn": {**YARN, "beta_fast": 6.0, "beta_slow": 0.01},
    "yarn-by-length": {**YARN, "factor": None, "original_max_position_embeddings": 16},
    "yarn-attention": {**YARN, "attention_factor": 1.3},
    "yarn-scales": {**YARN, "mscale": 0.8, "mscale_all_dim": 0.4},
    # Texts of 23 tokens are longer than the first was trained on, and not than the others.
    "longrope": {"rope_type": "longrope", "original_max_position_embeddings": 16},
    "longrope-short": {"rope_type": "longrope", "original_max_position_embeddings": 40},
    "longrope-just": {
        "rope_type": "longrope",
        "original_max_position_embeddings": 23,
        "attention_factor": 1.3,
    },
}
sample = Predicate(
    "not a built-in checkpoint, but for one that shows the family",
    lambda c: c.source != "built-in" or c.name in ("llama-chat", "llama-yarn", "mistral-random"),
)


def settings_for(config, setting):
    """The fields of a configuration that say it: longrope has a scale for each pair, and its length beside them."""
    scaling, other = dict(SETTINGS[setting]), {}
    if scaling["rope_type"] == "longrope":
        width = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
        scaling["short_factor"] = [1 + i / width for i in range(width // 2)]
        scaling["long_factor"] = [1 + 3 * i / width for i in range(width // 2)]
        length = "original_max_position_embeddings"
        other = {length: scaling[length], "max_position_embeddings": 3 * scaling[length]}
    return {"rope_scaling": scaling, "rope_parameters": None, "rope_theta": 10000.0, **other}


@applies_to(decoder, model_type("llama", "mistral"), referenced, light, sample)
@pytest.mark.parametrize("setting", SETTINGS)
def test_each_rotary_number_acts(checkpoint, dtype, tmp_path, setting):
    """With any other rotary scaling in its configuration, a model gives the reference's outputs."""
    fields = settings_for(checkpoint.config, setting)
    directory = reconfigured(copied(checkpoint, tmp_path / setting), **fields)
    other = replace(checkpoint, path=directory)
    inputs = batch(other, [23, 14], seed=53)
    outputs = run(fresh_model(other, dtype=dtype), inputs)
    call = f"the model with rope_scaling={fields['rope_scaling']}, (**inputs)"
    agree_with_reference(Expect(other), outputs, inputs, dtype, call)
