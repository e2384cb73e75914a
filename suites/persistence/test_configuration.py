"""Configuration: every field of the files has its value in memory, and again after saving."""

from __future__ import annotations

from fixtures.applicability import (
    Predicate,
    any_model,
    applies_to,
    convention,
    generates,
    light,
    loader_sample,
    one_each,
)
from fixtures.checkpoint import read_json
from fixtures.expect import plain as values
from fixtures.lazy import transformers
from fixtures.loading import SAFE
from fixtures.settings import GENERATION, described, generation_settings, rope_settings

SAYS_GENERATION = Predicate("generation settings", lambda c: bool(generation_settings(c)))
ABSENT = "absent"
# What the library sets or asks elsewhere, whatever a file says.
DECIDED = ("output_attentions", "tie_word_embeddings")
CALL = "model.config.to_dict()"
AGAIN = (
    "(model.save_pretrained(directory), type(model).from_pretrained(directory).config.to_dict())[1]"
)
GENERATION_AGAIN = AGAIN.replace("config.to_dict()", "generation_config")
NOTHING = "nothing here: field -> (value, wanted value)"


def without_own(fields):
    """Fields a user wrote: not the record of the library's version, path and dtype, nor generation's."""
    own = ("transformers_version", "dtype", "torch_dtype", *GENERATION)
    return {k: values(v) for k, v in fields.items() if not k.startswith("_") and k not in own}


def differing(wanted, got):
    """What of the wanted fields is another: name -> (got, wanted)."""
    return {k: (got.get(k, ABSENT), v) for k, v in wanted.items() if got.get(k, ABSENT) != v}


def in_memory(checkpoint, model):
    """The model's configuration under the names config.json uses."""
    return {
        name: values(getattr(model.config, name, ABSENT)) for name in described(checkpoint.config)
    }


@convention
@applies_to(any_model)
def test_configuration_keeps_every_field(checkpoint, plain, expect):
    """Each field of config.json has its value in model.config."""
    got = in_memory(checkpoint, plain[0])
    expect.true(not (found := differing(described(checkpoint.config), got)), found, NOTHING, CALL)


@convention
@applies_to(any_model)
def test_configuration_keeps_rope_settings(checkpoint, plain, expect):
    """The base and scaling of rotary positions are in model.config, wherever the version keeps them."""
    wanted, got = rope_settings(checkpoint.config), rope_settings(plain[0].config.to_dict())
    expect.true(not (found := differing(wanted, got)), found, NOTHING, CALL)


@convention
@applies_to(any_model)
def test_labels_keep_their_names(checkpoint, plain, expect):
    """id2label and label2id are each other's inverse and name the labels of config.json."""
    config = plain[0].config
    wanted = {
        int(i): name for i, name in (checkpoint.config.get("id2label") or config.id2label).items()
    }
    expect.equal(config.id2label, wanted, "model.config.id2label")
    expect.equal(config.label2id, {name: i for i, name in wanted.items()}, "model.config.label2id")
    expect.equal(config.num_labels, len(wanted), "model.config.num_labels")


@convention
@applies_to(any_model, light)
def test_saved_configuration_keeps_every_field(checkpoint, saved, reloaded, expect):
    """Each field of config.json has its value after saving and loading again."""
    got = in_memory(checkpoint, reloaded[0])
    expect.true(
        not (found := differing(described(checkpoint.config), got)),
        found,
        NOTHING,
        AGAIN,
        directory="saved",
    )
    written = read_json(saved / "config.json")
    expect.true(
        not (found := differing(rope_settings(checkpoint.config), rope_settings(written))),
        found,
        NOTHING,
        AGAIN,
        directory="saved",
    )
    expect.equal(
        written["architectures"],
        [type(reloaded[0]).__name__],
        f"{AGAIN}['architectures']",
        directory="saved",
    )
    expect.equal(
        written["model_type"], checkpoint.model_type, f"{AGAIN}['model_type']", directory="saved"
    )


@applies_to(any_model, light)
def test_reloaded_configuration_is_the_same(checkpoint, single, reloaded, expect):
    """A configuration saved and loaded again is the same configuration."""
    before, after = (without_own(model.config.to_dict()) for model in (single, reloaded[0]))
    found = differing(before, after) | differing(after, before)
    expect.true(not found, found, NOTHING, AGAIN, directory="saved")


@applies_to(generates, any_model, SAYS_GENERATION)
def test_generation_settings_are_read(checkpoint, plain, expect, observe):
    """What the files say about generation, in their own file or in config.json, is in force."""
    got = values(plain[0].generation_config.to_dict())
    observe(
        "persistence/generation settings",
        {k: v for k, v in got.items() if k in GENERATION},
        group="load",
    )
    expect.true(
        not (found := differing(generation_settings(checkpoint), got)),
        found,
        NOTHING,
        "model.generation_config",
    )


@applies_to(generates, any_model, light)
def test_reloaded_generation_settings_are_the_same(checkpoint, single, reloaded, expect):
    """Generation settings saved and loaded again are the same settings."""
    before, after = (values(model.generation_config.to_dict()) for model in (single, reloaded[0]))
    kept = {k: v for k, v in before.items() if k in GENERATION}
    expect.true(
        not (found := differing(kept, after)), found, NOTHING, GENERATION_AGAIN, directory="saved"
    )


@applies_to(any_model, loader_sample)
def test_configuration_is_written_whole(checkpoint, single, expect, tmp_path):
    """A configuration written with all its fields, or as a dictionary, is read back the same, and says what was updated."""
    config, file = single.config, tmp_path / "config.json"
    config.to_json_file(file, use_diff=False)
    written = read_json(file)
    fields = [name for name in config.to_dict() if name not in written]
    call = "json.load(config.to_json_file(file, use_diff=False))"
    expect.equal(fields, [], f"fields of the configuration that are not in {call}")
    again = type(config).from_json_file(file)
    found = differing(without_own(config.to_dict()), without_own(again.to_dict()))
    expect.true(not found, found, NOTHING, f"{type(config).__name__}.from_json_file(file)")
    again.update({"initializer_range": 0.125})
    expect.equal(again.initializer_range, 0.125, "config.update({'initializer_range': 0.125})")
    expect.true(again != config, again == config, "False", "updated == config")
    bounds = again.lowest, again.highest = float("-inf"), float("inf")
    again.save_pretrained(tmp_path)
    back = type(config).from_pretrained(tmp_path, **SAFE)
    call = "config.lowest, config.highest, saved and loaded"
    expect.equal((back.lowest, back.highest), bounds, call)


@convention
@applies_to(any_model, one_each)
def test_every_switch_is_saved(checkpoint, expect, tmp_path):
    """Each field that is true or false is saved and loaded with its value, whichever of them is the default."""
    config = transformers.AutoConfig.from_pretrained(checkpoint.path, **SAFE)
    fields = config.to_dict().items()
    own = [n for n, v in fields if isinstance(v, bool) and hasattr(config, n)]
    switches = {n: not getattr(config, n) for n in own if n not in DECIDED}
    vars(config).update(switches)
    config.save_pretrained(tmp_path)
    again = type(config).from_pretrained(tmp_path, **SAFE).to_dict()
    call = "type(config).from_pretrained(directory), each of its switches turned and saved"
    expect.true(not (found := differing(switches, again)), found, NOTHING, call)


NOTHING_AT_ALL = {"use_cache": False, "bos_token_id": 0, "pad_token_id": 0, "eos_token_id": [0]}


@applies_to(generates, any_model, loader_sample)
def test_settings_of_nothing_are_saved(checkpoint, expect, tmp_path):
    """Generation settings of 0 or False are said in the file, and are what they were when it is read."""
    config = transformers.GenerationConfig(**NOTHING_AT_ALL)
    config.save_pretrained(tmp_path)
    again = transformers.GenerationConfig.from_pretrained(tmp_path).to_dict()
    call = "GenerationConfig.from_pretrained(directory)"
    value = {name: again.get(name) for name in NOTHING_AT_ALL}
    expect.equal(value, NOTHING_AT_ALL, call, directory=str(tmp_path))
