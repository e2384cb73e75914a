"""Settings of a model of pictures that no checkpoint has: small models of them equal the reference, too."""

from __future__ import annotations

import json
from dataclasses import replace

from fixtures.agreement import agree_with_reference
from fixtures.applicability import applies_to, model_type, one_each, small, vision
from fixtures.expect import Expect
from fixtures.ids import batch
from fixtures.lazy import transformers
from fixtures.loading import fresh_model, with_attention
from fixtures.oracle import run
from fixtures.weights import filled

SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 4, "image_size": 12}
SIZES |= {"intermediate_size": 24, "patch_size": 4, "id2label": {0: "a", 1: "b", 2: "c"}}
# Every field that changes what is computed, off its default once and beside others.
SETTINGS = (
    {"layer_norm_eps": 0.1, "qkv_bias": False, "hidden_act": "relu"},
    {"image_size": [8, 20], "num_channels": 1, "num_attention_heads": 2, "hidden_act": "gelu_new"},
    {"image_size": [9, 14], "patch_size": [3, 5], "num_hidden_layers": 1, "qkv_bias": False},
    {"layer_norm_eps": 0.01, "intermediate_size": 10, "hidden_size": 12, "patch_size": 5},
)
CLASSES = {
    "vit": ("ViTModel", "ViTForImageClassification"),
    "deit": (
        "DeiTModel",
        "DeiTForImageClassification",
        "DeiTForImageClassificationWithTeacher",
    ),
}


def saved(checkpoint, name, settings, directory):
    """A small model of this class and these settings, its weights drawn at random, as a checkpoint."""
    config = {"model_type": checkpoint.model_type, "architectures": [name], **SIZES, **settings}
    made = getattr(transformers, name)(transformers.AutoConfig.for_model(**config))
    filled(made, seed=15).save_pretrained(directory)
    (directory / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return replace(checkpoint, path=directory, facts=())


@applies_to(vision, model_type(*CLASSES), small, one_each)
def test_unusual_settings_equal_reference(checkpoint, dtype, tmp_path):
    """Whatever sizes, norms, biases and activations its configuration asks for, a model of pictures gives the reference's outputs by each kernel."""
    for i, settings in enumerate(SETTINGS):
        classes = CLASSES[checkpoint.model_type]
        name = classes[i % len(classes)]
        other = saved(checkpoint, name, settings, tmp_path / str(i))
        model, inputs = fresh_model(other, dtype=dtype), batch(other, [1, 1])
        for attention in ("eager", "sdpa"):
            model = with_attention(model, other, attention, dtype)
            outputs = run(model, inputs, output_attentions=attention == "eager")
            call = f"{name}({settings})(**inputs), {attention} attention"
            agree_with_reference(Expect(other), outputs, inputs, dtype, call)
