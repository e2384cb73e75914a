"""Weights in files of other names and formats, and what is left of a configuration as a dictionary."""

from __future__ import annotations

import json

from fixtures.applicability import any_model, applies_to, generates, light, loader_sample
from fixtures.lazy import torch, transformers
from fixtures.loading import SAFE
from fixtures.stored import copied, same

SPLIT = "20KB"
# Settings of generation of every kind of value, none its default.
SETTINGS = {
    "do_sample": True,
    "temperature": 0.7,
    "top_k": 7,
    "top_p": 0.9,
    "repetition_penalty": 1.3,
    "max_new_tokens": 9,
    "min_new_tokens": 2,
    "num_return_sequences": 2,
    "pad_token_id": 1,
    "eos_token_id": [3, 5],
    "bad_words_ids": [[4], [5, 6]],
    "suppress_tokens": [7, 8],
    "sequence_bias": [[[9, 10], -2.5]],
    "stop_strings": ["end", "."],
    "use_cache": False,
    "return_dict_in_generate": True,
    "output_scores": True,
    "renormalize_logits": True,
}


def loaded_from(directory, model, **options):
    """The state of a model of the same class, loaded from another directory, in float32."""
    return type(model).from_pretrained(directory, **SAFE, **options).float().state_dict()


@applies_to(any_model, loader_sample)
def test_pickled_weights_are_the_same(checkpoint, single, expect, tmp_path):
    """Weights in pytorch_model.bin, as older tools write them, load to the same state."""
    directory = copied(checkpoint, tmp_path / "bin")
    for file in directory.glob("*.safetensors*"):
        file.unlink()
    state = {name: tensor.clone() for name, tensor in single.state_dict().items()}
    torch.save(state, directory / "pytorch_model.bin")
    found = loaded_from(directory, single)
    call = "type(model).from_pretrained(directory with pytorch_model.bin).state_dict()"
    expect.equal(sorted(found), sorted(state), f"sorted({call})")
    expect.equal(same(found, state), [], f"names whose values differ in {call}")


@applies_to(any_model, loader_sample)
def test_variants_lie_beside_each_other(checkpoint, single, expect, tmp_path):
    """A variant, whole or in several files, is saved and loaded under its name; the plain files stay."""
    directory = copied(checkpoint, tmp_path / "variants")
    other = type(single).from_pretrained(directory, **SAFE).float()
    with torch.no_grad():
        for value in other.parameters():
            value.add_(1.0)
    before = {f.name: f.read_bytes() for f in directory.glob("model*.safetensors")}
    other.save_pretrained(directory, variant="other")
    other.save_pretrained(directory, variant="split", max_shard_size=SPLIT)
    after = {n: (directory / n).read_bytes() for n in before if (directory / n).is_file()}
    expect.equal(sorted(after), sorted(before), "plain files after save_pretrained(variant=...)")
    expect.true(after == before, "other bytes", "the plain files' own", "the plain files")
    index = directory / "model.safetensors.index.split.json"
    expect.true(index.is_file(), "no such file", "an index of the variant's own", index.name)
    for variant in ("other", "split"):
        found, wanted = loaded_from(directory, single, variant=variant), dict(other.state_dict())
        call = f"type(model).from_pretrained(directory, variant={variant!r}).state_dict()"
        expect.equal(same(found, wanted), [], f"names whose values differ in {call}")


@applies_to(any_model, light)
def test_configuration_survives_as_a_dictionary(checkpoint, expect):
    """A configuration made of another's dictionary, or of its JSON text, has all its fields."""
    config = transformers.AutoConfig.from_pretrained(checkpoint.path, **SAFE)
    config._name_or_path = ""
    fields = config.to_dict()
    written = {
        "config.to_dict()": config.to_dict(),
        **{
            f"json.loads(config.to_json_string(use_diff={diff}))": json.loads(
                config.to_json_string(use_diff=diff)
            )
            for diff in (False, True)
        },
    }
    for call, content in written.items():
        again = type(config).from_dict(content).to_dict()
        found = {name: again[name] for name in fields if name in again}
        expect.equal(found, fields, f"type(config).from_dict({call})")


@applies_to(generates, loader_sample)
def test_generation_settings_of_every_kind_are_kept(checkpoint, expect, tmp_path):
    """Settings of generation are as told, written, read and updated; what is no setting is given back."""
    own = transformers.GenerationConfig(**SETTINGS)
    own.save_pretrained(tmp_path)
    read = transformers.GenerationConfig.from_pretrained
    left = (told := transformers.GenerationConfig()).update(**SETTINGS, nobody_s_field=3)
    for call, config, wanted in (
        ("GenerationConfig(**settings)", own, SETTINGS),
        ("GenerationConfig.from_pretrained(directory)", read(tmp_path), SETTINGS),
        (
            "GenerationConfig.from_pretrained(directory, top_k=5)",
            read(tmp_path, top_k=5),
            SETTINGS | {"top_k": 5},
        ),
        ("(config := GenerationConfig()).update(**settings); config", told, SETTINGS),
    ):
        found = {name: value for name, value in config.to_dict().items() if name in SETTINGS}
        expect.equal(found, wanted, f"{call}.to_dict()", settings=SETTINGS)
    expect.equal(left, {"nobody_s_field": 3}, "GenerationConfig().update(nobody_s_field=3)")


@applies_to(any_model, light)
def test_unknown_settings_are_returned(checkpoint, expect):
    """AutoConfig takes fields to change, and gives back what is no field when asked to."""
    config, unused = transformers.AutoConfig.from_pretrained(
        checkpoint.path,
        **SAFE,
        output_hidden_states=True,
        nobody_s_field=3,
        return_unused_kwargs=True,
    )
    call = "AutoConfig.from_pretrained(path, output_hidden_states=True, nobody_s_field=3, return_unused_kwargs=True)"
    expect.equal(config.output_hidden_states, True, f"{call}[0].output_hidden_states")
    expect.equal(unused.get("nobody_s_field"), 3, f"{call}[1]")
