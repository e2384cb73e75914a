"""Options of loading beside the dtype of weights: what configurations then say, which files are read."""

from __future__ import annotations

import json
import shutil

from fixtures.applicability import (
    any_model,
    applies_to,
    generates,
    loader_sample,
    model_type,
    vision,
)
from fixtures.images import noise
from fixtures.lazy import torch, transformers
from fixtures.loading import SAFE, dtype_argument, pillow
from fixtures.stored import stored


def of_files(checkpoint, directory, **more):
    """A directory with the checkpoint's configuration, its weights and more; returns the weights, too."""
    from safetensors.torch import save_file

    directory.mkdir(exist_ok=True)
    shutil.copy(checkpoint.path / "config.json", directory)
    weights = {n: t.clone() for n, t in stored(checkpoint.path).items()} | more
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})
    return directory, weights


@applies_to(any_model, loader_sample)
def test_configurations_tell_the_dtype(checkpoint, fresh, expect):
    """Loaded in bfloat16, a model's configuration says so, and a model made of it is in bfloat16."""
    (key,) = dtype_argument("auto")
    config = fresh(dtype="bfloat16")[0].config
    call = f"AutoModel.from_pretrained(directory, {key}=torch.bfloat16).config"
    expect.equal(str(getattr(config, key)).removeprefix("torch."), "bfloat16", f"{call}.{key}")
    made = getattr(transformers, checkpoint.auto_class).from_config(config)
    expect.equal(str(made.dtype), "torch.bfloat16", f"AutoModel.from_config({call}).dtype")


@applies_to(any_model, loader_sample)
def test_weights_are_of_the_kind_asked_for(checkpoint, fresh, expect, tmp_path):
    """Of two files with other weights, use_safetensors chooses; without a word safetensors are read."""
    directory, weights = of_files(checkpoint, tmp_path / "both")
    torch.save(
        {n: -t if t.is_floating_point() else t for n, t in weights.items()},
        directory / "pytorch_model.bin",
    )
    models = {
        asked: fresh(directory, use_safetensors=asked)[0].state_dict()
        for asked in (True, None, False)
    }
    call = "AutoModel.from_pretrained(directory, use_safetensors={}).state_dict()"
    for asked, sign in ((None, 1), (False, -1)):
        differing = [
            name
            for name, value in models[True].items()
            if name.endswith("weight") and not torch.equal(sign * value, models[asked][name])
        ]
        expect.equal(differing, [], f"weights of the other file in {call.format(asked)}")


@applies_to(model_type("bert", "roberta", "distilbert"), loader_sample)
def test_stored_positions_are_no_surprise(checkpoint, fresh, expect, tmp_path):
    """The numbering of positions, which files of before 4.31 hold beside the weights, is not reported."""
    word = next(n for n in stored(checkpoint.path) if n.endswith("word_embeddings.weight"))
    numbered = word.replace("word_embeddings.weight", "position_ids")
    size = checkpoint.config["max_position_embeddings"]
    positions = {numbered: torch.arange(size).unsqueeze(0)}
    directory, _ = of_files(checkpoint, tmp_path / "old", **positions)
    _, told = fresh(directory)
    call = f"AutoModel.from_pretrained(directory with {numbered}, output_loading_info=True)[1]"
    expect.equal(
        [n for n in told["unexpected_keys"] if "position_ids" in n],
        [],
        f"{call}['unexpected_keys']",
    )


@applies_to(generates, loader_sample)
def test_settings_of_generation_are_of_generation(checkpoint, fresh, expect, tmp_path):
    """Without a file of their own, settings of generation hold nothing that describes the model."""
    directory, _ = of_files(checkpoint, tmp_path / "bare")
    model, _ = fresh(directory)
    known = set(transformers.GenerationConfig().to_dict())
    more = set(model.generation_config.to_dict()) - known
    strange = sorted(more & set(checkpoint.config) - {"transformers_version"})
    expect.equal(strange, [], "fields of config.json in model.generation_config")


@applies_to(generates, loader_sample)
def test_settings_of_generation_have_the_name_given(checkpoint, expect, tmp_path):
    """Saved under a name of their own, settings of generation are read back of it, and nothing else is written."""
    settings = transformers.GenerationConfig(num_beams=3, max_new_tokens=7)
    settings.save_pretrained(tmp_path, config_file_name="mine.json")
    call = "GenerationConfig(num_beams=3).save_pretrained(directory, config_file_name='mine.json')"
    expect.equal(
        sorted(file.name for file in tmp_path.iterdir()), ["mine.json"], f"files of {call}"
    )
    again = transformers.GenerationConfig.from_pretrained(tmp_path, "mine.json")
    expect.equal((again.num_beams, again.max_new_tokens), (3, 7), f"what {call} reads")


@applies_to(vision, loader_sample)
def test_options_beyond_the_file_are_taken(checkpoint, expect, tmp_path):
    """What preprocessor_config.json leaves out can be asked for in loading."""
    file = json.loads((checkpoint.path / "preprocessor_config.json").read_text(encoding="utf-8"))
    options = {"do_rescale": False, "rescale_factor": 0.5, "do_resize": False}
    left = {name: value for name, value in file.items() if name not in options}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(left), encoding="utf-8")
    made = transformers.AutoImageProcessor.from_pretrained(tmp_path, **SAFE, **pillow(), **options)
    found = {name: getattr(made, name) for name in options}
    expect.equal(found, options, f"AutoImageProcessor.from_pretrained(directory, **{options})")


@applies_to(vision, loader_sample)
def test_only_numbers_change_their_dtype(checkpoint, processor, expect):
    """Moved to float16, pictures are in float16, and whole numbers beside them stay whole."""
    made = processor(noise((40, 30)), return_tensors="pt")
    made["labels"], made["mask"] = torch.tensor([1, 70000]), torch.tensor([True, False])
    moved = made.to(torch.float16)
    found = {
        name: str(value.dtype)
        for name, value in moved.items()
        if name in ("pixel_values", "labels", "mask")
    }
    wanted = {"pixel_values": "torch.float16", "labels": "torch.int64", "mask": "torch.bool"}
    expect.equal(found, wanted, "processor(picture, return_tensors='pt').to(torch.float16)")
    expect.equal(
        moved["labels"].tolist(), [1, 70000], "processor(picture).to(torch.float16)['labels']"
    )
