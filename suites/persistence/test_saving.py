"""What saving is asked for: these weights, in this precision, in place of what lay there."""

from __future__ import annotations

from fixtures.applicability import any_model, applies_to, light, loader_sample
from fixtures.checkpoint import read_json
from fixtures.lazy import torch, transformers
from fixtures.loading import SAFE
from fixtures.stored import fingerprints, learned, same, stored

SAVE = "model.save_pretrained(directory)"


@applies_to(any_model, loader_sample)
def test_saving_takes_the_place_of_shards(checkpoint, fresh, expect, tmp_path):
    """Saved whole where it had been saved in several files, a model leaves none of them."""
    model, _ = fresh()
    size = sum(p.numel() * p.element_size() for p in model.parameters())
    model.save_pretrained(tmp_path, max_shard_size=f"{max(size // 3000, 1)}KB")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    model.save_pretrained(tmp_path)
    files = sorted(file.name for file in tmp_path.glob("*.safetensors"))
    call = (
        "model.save_pretrained(directory) over model.save_pretrained(directory, max_shard_size=...)"
    )
    expect.equal(files, ["model.safetensors"], call)
    differing = same(fresh(tmp_path)[0].state_dict(), model.state_dict())
    expect.true(not differing, differing, "the weights saved last", call)


@applies_to(any_model, loader_sample)
def test_given_weights_are_saved(checkpoint, fresh, expect, tmp_path):
    """A state_dict given to save_pretrained is saved instead of the model's own."""
    model, _ = fresh()
    moved = {tensor.data_ptr(): tensor + 1 for tensor in model.state_dict().values()}
    given = {name: moved[tensor.data_ptr()] for name, tensor in model.state_dict().items()}
    model.save_pretrained(tmp_path, state_dict=given)
    found, wanted = (
        set(fingerprints(learned(part)).values()) for part in (stored(tmp_path), given)
    )
    text = "the weights that were given, and no other"
    expect.true(
        found == wanted,
        len(found & wanted),
        text,
        "model.save_pretrained(directory, state_dict=given)",
    )


@applies_to(any_model, loader_sample)
def test_order_of_memory_is_not_saved(checkpoint, fresh, single, expect, tmp_path):
    """Matrices that lie in memory column by column are saved as the matrices they are."""
    model, _ = fresh()
    places = [tensor.data_ptr() for tensor in model.state_dict().values()]
    for parameter in model.parameters():
        # one that is tied cannot be saved so at all
        if parameter.dim() == 2 and places.count(parameter.data_ptr()) == 1:
            parameter.data = parameter.data.t().contiguous().t()
    model.save_pretrained(tmp_path)
    call = (
        "model.save_pretrained(directory) with parameter.data.t().contiguous().t() for each matrix"
    )
    differing = same(fresh(tmp_path)[0].state_dict(), single.state_dict())
    expect.true(not differing, differing, "the weights of the model", call)


@applies_to(any_model, loader_sample)
def test_a_changed_dtype_is_written(checkpoint, fresh, expect, tmp_path):
    """A model converted after loading is saved with the dtype it has then in its configuration."""
    model, _ = fresh()
    model.bfloat16().save_pretrained(tmp_path)
    written = read_json(tmp_path / "config.json")
    value = written.get("dtype", written.get("torch_dtype"))
    expect.equal(
        value, "bfloat16", "model.bfloat16().save_pretrained(directory); config.json's dtype"
    )


@applies_to(any_model, light)
def test_fields_of_a_users_are_saved(checkpoint, expect, tmp_path):
    """What a user adds to a configuration is there after saving: tuples as lists, names letter by letter."""
    config = transformers.AutoConfig.from_pretrained(checkpoint.path, **SAFE)
    config.id2label = {0: "Über", 1: "mixedCase", 2: "with space"}
    config.label2id = {name: i for i, name in config.id2label.items()}
    config.pairs, config.switch, config.share = ((1, 2), (3, 4)), False, 0.5
    wanted = {"pairs": [[1, 2], [3, 4]], "switch": False, "share": 0.5}
    wanted |= {"id2label": dict(config.id2label), "label2id": dict(config.label2id)}
    config.save_pretrained(tmp_path)
    again = transformers.AutoConfig.from_pretrained(tmp_path, **SAFE)
    call = "type(config).from_pretrained(directory), saved from a configuration with these fields"
    expect.equal({name: getattr(again, name) for name in wanted}, wanted, call)


@applies_to(any_model, light)
def test_a_configuration_is_updated_from_text(checkpoint, expect):
    """update_from_string reads whole numbers, fractions, words and every documented yes and no."""
    config = transformers.AutoConfig.from_pretrained(checkpoint.path, **SAFE)
    config.switch, config.count, config.share, config.word = True, 1, 0.1, "none"
    config.update_from_string("count=12,share=0.25,word=some")
    value = [config.count, config.share, config.word]
    expect.equal(
        value, [12, 0.25, "some"], "config.update_from_string('count=12,share=0.25,word=some')"
    )
    for no, yes in zip(("false", "0", "n", "no"), ("true", "1", "y", "yes"), strict=True):
        for text, wanted in ((no, False), (yes, True)):
            config.update_from_string(f"switch={text}")
            expect.equal(config.switch, wanted, f"config.update_from_string('switch={text}')")
