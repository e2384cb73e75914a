"""Each number of a rotary scaling acts as its paper says, not only those that a checkpoint happens to set."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fixtures.agreement import agree_with_reference
from fixtures.applicability import Predicate, applies_to, light, model_type, referenced
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
}
sample = Predicate(
    "not a built-in checkpoint, but for one that shows the family",
    lambda c: c.source != "built-in" or c.name in ("llama-chat", "llama-yarn", "mistral-random"),
)


@applies_to(model_type("llama", "mistral"), referenced, light, sample)
@pytest.mark.parametrize("setting", SETTINGS)
def test_each_rotary_number_acts(checkpoint, dtype, tmp_path, setting):
    """With any other rotary scaling in its configuration, a model gives the reference's outputs."""
    fields = {"rope_scaling": SETTINGS[setting], "rope_parameters": None, "rope_theta": 10000.0}
    directory = reconfigured(copied(checkpoint, tmp_path / setting), **fields)
    other = replace(checkpoint, path=directory)
    inputs = batch(other, [23, 14], seed=53)
    outputs = run(fresh_model(other, dtype=dtype), inputs)
    call = f"the model with rope_scaling={SETTINGS[setting]}, (**inputs)"
    agree_with_reference(Expect(other), outputs, inputs, dtype, call)
