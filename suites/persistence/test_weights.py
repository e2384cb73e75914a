"""Weights: what is in the files is in memory, and what is saved is what was loaded, bit for bit."""

from __future__ import annotations

from collections import Counter

from fixtures.agreement import agree_with_itself
from fixtures.applicability import any_model, applies_to, convention, light, loader_sample
from fixtures.ids import batch
from fixtures.lazy import torch
from fixtures.oracle import run
from fixtures.stored import (
    based,
    digests,
    fingerprints,
    is_table,
    lasting,
    learned,
    metadata_of,
    names,
    same,
    stored,
)
from fixtures.tolerance import flattened

SAVE = "model.save_pretrained(directory)"


def reported(info, kind):
    """The names a loading info lists, without a base model's prefix; tables left out."""
    listed = (key[0] if isinstance(key, tuple) else key for key in info[f"{kind}_keys"])
    empty = torch.zeros(2, 2)
    return sorted({lasting(name) for name in listed if not is_table(name, empty)})


@convention
@applies_to(any_model)
def test_nothing_is_missing_or_unexpected(checkpoint, plain, expect, observe):
    """A checkpoint's own class finds every weight it needs in the files, and needs every one there."""
    info = plain[1]
    found = {kind: reported(info, kind) for kind in ("missing", "unexpected", "mismatched")}
    observe("persistence/loading info", found, group="load")
    call = "type(model).from_pretrained(model.name_or_path, output_loading_info=True)[1]"
    expect.equal(found, {"missing": [], "unexpected": [], "mismatched": []}, call)


def tied(model):
    """Names, lasting, of the weights that share their memory with another name."""
    state = {
        lasting(name): tensor.data_ptr()
        for name, tensor in model.state_dict().items()
        if tensor.numel()
    }
    places = Counter(state.values())
    return {name for name, place in state.items() if places[place] > 1}


@applies_to(any_model, light)
def test_weights_in_memory_equal_the_files(checkpoint, single, expect):
    """A weight that keeps its name has the file's value, bit for bit."""
    memory, files = learned(single.state_dict()), learned(stored(checkpoint.path))
    shared = memory.keys() & files.keys()
    expect.true(
        bool(shared),
        sorted(memory)[:5],
        f"names like {sorted(files)[:5]}",
        "list(model.state_dict())",
    )
    # of weights tied to each other the files may hold several, and one of them is right
    differing = set(same(memory, files)) - tied(single)
    expect.true(
        not differing,
        sorted(differing),
        "no weight that differs from the files",
        "model.state_dict()",
    )
    kinds = {str(p.dtype) for p in single.parameters() if p.is_floating_point()}
    expect.equal(
        sorted(kinds), ["torch.float32"], "sorted({str(p.dtype) for p in model.parameters()})"
    )


@convention
@applies_to(any_model, light)
def test_every_weight_of_the_files_is_in_memory(checkpoint, single, expect):
    """No weight of the files is dropped, whatever it is called in memory."""
    memory = set(fingerprints(learned(single.state_dict())).values())
    files = fingerprints(learned(stored(checkpoint.path)))
    dropped = sorted(name for name, bits in files.items() if bits not in memory)
    expect.true(
        not dropped, dropped, "no weight of the files that is not there", "list(model.state_dict())"
    )


@convention
@applies_to(any_model, light)
def test_every_parameter_comes_from_the_files(checkpoint, single, expect):
    """No parameter is newly initialised: each has the bits of some weight in the files."""
    files = set(fingerprints(learned(stored(checkpoint.path))).values())
    memory = fingerprints({n: p for n, p in single.named_parameters() if p.numel()})
    invented = sorted(name for name, bits in memory.items() if bits not in files)
    expect.true(
        not invented,
        invented,
        "no parameter that is not in the files",
        "dict(model.named_parameters())",
    )


@applies_to(any_model, light)
def test_saved_weights_equal_the_files(checkpoint, single, saved, expect):
    """Saving what was loaded gives the loaded weights again, bit for bit, under the same names."""
    again, files = learned(stored(saved)), learned(stored(checkpoint.path))
    differing = set(same(again, files)) - tied(single)
    expect.true(
        not differing,
        sorted(differing),
        "no weight that differs from the files",
        SAVE,
        directory="saved",
    )


@convention
@applies_to(any_model, light)
def test_no_weight_is_lost_in_saving(checkpoint, saved, expect):
    """Every weight of the files is in the saved files, a tied one at least once; none is added."""
    again, files = (fingerprints(learned(stored(path))) for path in (saved, checkpoint.path))
    lost = sorted(name for name, bits in files.items() if bits not in again.values())
    added = sorted(name for name, bits in again.items() if bits not in files.values())
    found = {"lost": lost, "added": added}
    expect.true(not (lost or added), found, "the weights of the files", SAVE, directory="saved")


@convention
@applies_to(any_model, light)
def test_saved_names_are_the_stored_names(checkpoint, saved, expect):
    """Weights are saved under the names they are stored under, or legacy ones under today's."""
    before, after = names(checkpoint.path), names(saved)
    allowed = {based(name) for name in before} | {lasting(name) for name in before}
    foreign = sorted(name for name in after if based(name) not in allowed)
    expect.true(not foreign, foreign, "no name that is not in the files", SAVE, directory="saved")


@applies_to(any_model, light)
def test_saved_files_are_safetensors(checkpoint, single, saved, expect):
    """Weights are written as safetensors of torch, never as pickle, beside a config.json and,
    where the model generates, its settings."""
    files = sorted(file.name for file in saved.iterdir())
    expect.true("config.json" in files, files, "a config.json", SAVE, directory="saved")
    safe = any(name.endswith(".safetensors") for name in files)
    expect.true(safe, files, "a file of safetensors", SAVE, directory="saved")
    # without it older versions refuse the file
    formats = {metadata_of(file).get("format") for file in saved.glob("*.safetensors")}
    expect.equal(formats, {"pt"}, f"{SAVE}, the files' metadata['format']", directory="saved")
    settings = "generation_config.json" in files
    expect.equal(settings, single.can_generate(), f"{SAVE}, generation_config.json is there")
    pickled = [name for name in files if name.endswith((".bin", ".pt", ".pth", ".ckpt", ".pkl"))]
    expect.true(not pickled, pickled, "no pickle", SAVE, directory="saved")


@applies_to(any_model, light)
def test_reloading_is_complete(checkpoint, reloaded, expect):
    """What was saved loads again with no weight missing, unexpected or of another shape."""
    found = {kind: reported(reloaded[1], kind) for kind in ("missing", "unexpected", "mismatched")}
    call = f"{SAVE}, type(model).from_pretrained(directory, output_loading_info=True)[1]"
    expect.equal(
        found, {"missing": [], "unexpected": [], "mismatched": []}, call, directory="saved"
    )


@applies_to(any_model, light)
def test_reloaded_state_equals_the_saved_state(checkpoint, single, reloaded, expect):
    """Saved and loaded again, a model has the same state: names, shapes, dtypes, bits."""
    before, after = single.state_dict(), reloaded[0].state_dict()
    call = f"{SAVE}, type(model).from_pretrained(directory).state_dict()"
    expect.equal(sorted(after), sorted(before), call, directory="saved")
    kinds = {name: f"{tensor.dtype} {list(tensor.shape)}" for name, tensor in before.items()}
    got = {name: f"{tensor.dtype} {list(tensor.shape)}" for name, tensor in after.items()}
    expect.equal(got, kinds, call, directory="saved")
    differing = same(after, before)
    expect.true(not differing, differing, "no weight that differs", call, directory="saved")
    expect.equal(type(reloaded[0]).__name__, type(single).__name__, "type(model).__name__")


@applies_to(any_model, light)
def test_reloaded_outputs_are_equal(checkpoint, single, reloaded, expect):
    """Saved and loaded again, a model gives the same outputs.

    Up to rounding: kernels choose their order of summation by where in memory the weights lie.
    """
    inputs = batch(checkpoint, [11, 6])
    after, before = (run(model, inputs) for model in (reloaded[0], single))
    expect.equal(
        sorted(flattened(after)),
        sorted(flattened(before)),
        "sorted(model(**inputs))",
        inputs=inputs,
    )
    call = f"({SAVE}, type(model).from_pretrained(directory)(**inputs))[1]"
    agree_with_itself(expect, after, before, inputs, call)


@applies_to(any_model, loader_sample)
def test_saving_changes_nothing(checkpoint, single, saved, expect, tmp_path):
    """A model that was saved can be saved again: the same files, and the same weights bit for bit."""
    single.save_pretrained(tmp_path)
    # a safetensors header keeps its metadata in no order
    again, first = (
        {**digests(directory, "*.json"), **fingerprints(stored(directory))}
        for directory in (tmp_path, saved)
    )
    expect.equal(again, first, f"{SAVE}, {SAVE}", directory=str(tmp_path))


@applies_to(any_model, light)
def test_loading_is_repeatable(checkpoint, plain, single, expect):
    """Loading twice gives the same weights, but for those reported missing."""
    missing = set(reported(plain[1], "missing"))
    ours = {n: t for n, t in learned(plain[0].state_dict()).items() if n not in missing}
    kept = {n: t.to(plain[0].dtype).float() for n, t in learned(single.state_dict()).items()}
    differing = same(ours, kept)
    expect.true(
        not differing, differing, "no weight that two loads disagree about", "model.state_dict()"
    )


@applies_to(any_model)
def test_loaded_in_eval_mode(checkpoint, plain, expect):
    """`from_pretrained` returns a model whose modules are all in evaluation mode."""
    training = [
        name or type(module).__name__
        for name, module in plain[0].named_modules()
        if module.training
    ]
    expect.equal(training, [], "[n for n, m in model.named_modules() if m.training]")


@applies_to(any_model, light)
def test_loaded_weights_are_real(checkpoint, plain, expect):
    """After loading every parameter and buffer lies in memory and holds finite numbers."""
    tensors = {**dict(plain[0].named_parameters()), **dict(plain[0].named_buffers())}
    meta = sorted(name for name, tensor in tensors.items() if tensor.device.type == "meta")
    expect.equal(meta, [], "[n for n, p in model.named_parameters() if p.is_meta]")
    wild = sorted(
        n for n, t in tensors.items() if t.is_floating_point() and not bool(t.isfinite().all())
    )
    expect.equal(wild, [], "[n for n, p in model.named_parameters() if not p.isfinite().all()]")


@applies_to(any_model, loader_sample)
def test_loading_leaves_the_files_alone(checkpoint, single, fresh, expect):
    """Loading, running and changing a model changes neither its files nor another model's weights."""
    files, others = digests(checkpoint.path), fingerprints(single.state_dict())
    model, _ = fresh()
    run(model, batch(checkpoint, [3]))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    call = "type(model).from_pretrained(model.name_or_path)"
    expect.equal(digests(checkpoint.path), files, call)
    expect.equal(fingerprints(single.state_dict()), others, f"{call}, model.state_dict()")
