"""The loader says what it missed, refuses what is broken, and runs nothing it finds in a directory."""

from __future__ import annotations

import json
import pickle

import pytest

from fixtures.agreement import agree_with_itself
from fixtures.applicability import any_head, any_model, applies_to, head, loader_sample, model_type
from fixtures.ids import batch
from fixtures.lazy import torch, transformers
from fixtures.loading import SAFE
from fixtures.oracle import run
from fixtures.stored import copied, fingerprints, lasting, learned, reconfigured, same, stored


class Trap:
    """Unpickling it writes a file."""

    def __init__(self, target):
        self.target = str(target)

    def __reduce__(self):
        return (open, (self.target, "w"))


def refused(load):
    """The exception a load raises, or what it loaded."""
    try:
        return type(load()[0]).__name__
    except Exception as error:
        return error


def without(tensors, wanted):
    """The first weight whose name ends so, and the other tensors."""
    name = next(
        name for name in sorted(tensors) if name.endswith(wanted) and tensors[name].dim() == 2
    )
    return name, {other: tensor for other, tensor in tensors.items() if other != name}


LOAD = "type(model).from_pretrained(directory)"
STATE = f"{LOAD}.state_dict()"
INFO = "type(model).from_pretrained(directory, output_loading_info=True)[1]"
# Each of the families calls some matrix of its first layer by one of these.
MATRICES = (
    "output.dense.weight",
    "out_lin.weight",
    "mlp.c_proj.weight",
    "o_proj.weight",
    "out_proj.weight",
    ".o.weight",
)


@applies_to(any_model, loader_sample)
def test_a_missing_weight_is_reported(checkpoint, fresh, expect, tmp_path):
    """A weight that is not in the files is named as missing; the others are loaded all the same."""
    name, rest = without(stored(checkpoint.path), MATRICES)
    model, info = fresh(copied(checkpoint, tmp_path, rest))
    missing = sorted({lasting(key) for key in info["missing_keys"]})
    expect.true(
        len(missing) == 1,
        missing,
        f"one missing key, for {name}",
        f"{INFO}['missing_keys']",
        directory=str(tmp_path),
    )
    kept, files = fingerprints(learned(model.state_dict())), fingerprints(learned(rest))
    lost = sorted(key for key, bits in files.items() if bits not in kept.values())
    expect.true(
        not lost, lost, "no weight of the files that is not loaded", STATE, directory=str(tmp_path)
    )
    finite = all(bool(p.isfinite().all()) for p in model.parameters())
    expect.true(
        finite,
        missing,
        "a newly initialised weight of finite numbers",
        STATE,
        directory=str(tmp_path),
    )


@applies_to(any_model, loader_sample)
def test_a_missing_norm_is_even(checkpoint, fresh, expect, tmp_path):
    """A norm's weights that are not in the files are ones, so that it scales nothing."""
    rest = dict(stored(checkpoint.path))
    norm = min(n for n, t in rest.items() if n.endswith((".weight", ".gamma")) and t.dim() == 1)
    shape = rest.pop(norm).shape
    model, info = fresh(copied(checkpoint, tmp_path, rest))
    call = f"{STATE}[{norm!r}]"
    expect.equal(len(info["missing_keys"]), 1, f"len({INFO}['missing_keys'])")
    # 4.4x tells the name of a body's weight without the body's
    missing = next(iter(info["missing_keys"]))
    value = next(p for name, p in model.named_parameters() if name.endswith(missing))
    expect.close(value.float(), torch.ones(shape), 0.0, call, directory=str(tmp_path))


@applies_to(any_model, loader_sample)
def test_an_unexpected_weight_is_reported(checkpoint, fresh, expect, tmp_path):
    """A weight the model has no place for is named as unexpected, and changes nothing."""
    tensors = {**stored(checkpoint.path), "stray.weight": torch.ones(2, 3)}
    model, info = fresh(copied(checkpoint, tmp_path, tensors))
    found = {lasting(key) for key in info["unexpected_keys"]}
    expect.true(
        "stray.weight" in found,
        sorted(found),
        "stray.weight among them",
        f"{INFO}['unexpected_keys']",
        directory=str(tmp_path),
    )
    expect.equal(list(info["missing_keys"]), [], f"{INFO}['missing_keys']", directory=str(tmp_path))
    differing = same(model.state_dict(), fresh()[0].state_dict())
    expect.true(
        not differing,
        differing,
        "no weight that the stray one changed",
        STATE,
        directory=str(tmp_path),
    )


@applies_to(any_model, loader_sample)
def test_a_weight_of_another_shape_is_refused(checkpoint, fresh, expect, tmp_path):
    """A weight of another shape than the configuration asks for is an error unless one allows it."""
    name, rest = without(stored(checkpoint.path), MATRICES)
    directory = copied(checkpoint, tmp_path, {**rest, name: torch.ones(3, 5)})
    outcome = refused(lambda: fresh(directory))
    expect.true(
        isinstance(outcome, Exception),
        outcome,
        f"an error: {name} has shape (3, 5)",
        LOAD,
        directory=str(directory),
    )
    model, info = fresh(directory, ignore_mismatched_sizes=True)
    reported = [key[0] if isinstance(key, tuple) else key for key in info["mismatched_keys"]]
    call = LOAD.replace(
        ")", ", ignore_mismatched_sizes=True, output_loading_info=True)[1]['mismatched_keys']"
    )
    expect.true(
        len(reported) == 1,
        reported,
        f"one mismatched key, for {name}",
        call,
        directory=str(directory),
    )
    # 4.5x says the name alone
    said = [list(map(list, key[1:])) for key in info["mismatched_keys"] if isinstance(key, tuple)]
    wanted = [[[3, 5], list(stored(checkpoint.path)[name].shape)]] * len(said)
    expect.equal(said, wanted, f"shapes in {call}", directory=str(directory))
    lost = set(fingerprints(learned(rest)).values()) - set(
        fingerprints(learned(model.state_dict())).values()
    )
    expect.true(
        not lost, sorted(lost), "no other weight that is not loaded", call, directory=str(directory)
    )


@applies_to(any_model, loader_sample)
@pytest.mark.parametrize("damage", ["truncated", "header", "empty", "absent"])
def test_damaged_weights_are_refused(checkpoint, fresh, expect, tmp_path, damage):
    """Weights that are cut off, garbled, empty or not there are an error, never a model."""
    directory = copied(checkpoint, tmp_path, stored(checkpoint.path))
    file = directory / "model.safetensors"
    content = file.read_bytes()
    garbled = content[:8] + b"\x00" * 64 + content[72:]
    file.write_bytes({"truncated": content[:-100], "header": garbled}.get(damage, b""))
    if damage == "absent":
        file.unlink()
    outcome = refused(lambda: fresh(directory))
    expect.true(
        isinstance(outcome, Exception),
        outcome,
        f"an error: the weights are {damage}",
        LOAD,
        directory=str(directory),
    )


@applies_to(any_model, loader_sample)
def test_sharded_weights_are_the_same(checkpoint, fresh, single, expect, tmp_path):
    """Saved in several files with an index, the weights are the same, each in the file the index says."""
    size = sum(t.numel() * t.element_size() for t in single.state_dict().values())
    shard = f"{max(size // 3000, 1)}KB"
    single.save_pretrained(tmp_path, max_shard_size=shard)
    files = sorted(file.name for file in tmp_path.glob("*.safetensors"))
    call = f"model.save_pretrained(directory, max_shard_size='{shard}')"
    expect.true(len(files) > 1, files, "several files", call, directory="saved")
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text("utf-8"))
    places = {name: file.name for file in tmp_path.glob("*.safetensors") for name in names_in(file)}
    expect.equal(index["weight_map"], places, call, directory="saved")
    found, parameters = index["metadata"], sum(p.numel() for p in single.parameters())
    # older versions do not count parameters
    wanted = {"total_parameters": parameters, "total_size": bytes_in(tmp_path)}
    expect.equal({"total_parameters": parameters, **found}, wanted, f"{call}, the index' metadata")
    model, info = fresh(tmp_path)
    found = {kind: list(info[f"{kind}_keys"]) for kind in ("missing", "unexpected")}
    expect.equal(found, {"missing": [], "unexpected": []}, INFO, directory=str(tmp_path))
    differing = same(model.state_dict(), single.state_dict())
    expect.true(
        not differing, differing, "no weight that sharding changed", STATE, directory=str(tmp_path)
    )
    (tmp_path / files[-1]).unlink()
    outcome = refused(lambda: fresh(tmp_path))
    expect.true(
        isinstance(outcome, Exception),
        outcome,
        f"an error: {files[-1]} is gone",
        LOAD,
        directory=str(tmp_path),
    )


def bytes_in(directory):
    """The bytes of all tensors in a directory's files."""
    return sum(t.numel() * t.element_size() for t in stored(directory).values())


def names_in(file):
    """Names of the tensors in one file."""
    from safetensors import safe_open

    with safe_open(str(file), "pt") as opened:
        return list(opened.keys())


@applies_to(any_head, loader_sample)
def test_base_weights_load_into_a_head(checkpoint, fresh, expect, tmp_path):
    """A saved base model loads into a headed one: its weights all arrive, only the head's are missing."""
    base, _ = fresh(auto_class="AutoModel")
    base.save_pretrained(tmp_path)
    model, info = fresh(tmp_path)
    inner = model.base_model.state_dict()
    differing = same(inner, base.state_dict())
    expect.true(
        not differing,
        differing,
        "no weight that differs from AutoModel's",
        STATE,
        directory=str(tmp_path),
    )
    ours = {f"{model.base_model_prefix}.{name}" for name in base.state_dict()}
    absent = sorted(set(info["missing_keys"]) & ours - {n for n in ours if "pooler" in n})
    expect.true(
        not absent, absent, "no missing key of the base model", INFO, directory=str(tmp_path)
    )


@applies_to(any_model, loader_sample)
def test_code_in_a_directory_is_not_run(checkpoint, fresh, expect, tmp_path):
    """auto_map and the Python files it names are not executed unless one trusts them."""
    marker = tmp_path / "marker"
    directory = copied(checkpoint, tmp_path / "trap")
    auto = {
        "AutoConfig": "code.Config",
        "AutoModel": "code.Model",
        checkpoint.auto_class: "code.Model",
    }
    reconfigured(directory, auto_map=auto)
    (directory / "code.py").write_text(
        f"open({str(marker)!r}, 'w')\nclass Config: pass\nclass Model: pass\n"
    )
    asked = refused(lambda: fresh(directory))
    expect.equal(asked, checkpoint.architecture, f"type({LOAD}).__name__", directory=str(directory))
    plainly = getattr(transformers, checkpoint.auto_class)
    refused(lambda: [plainly.from_pretrained(directory, local_files_only=True)])
    words = "the Python file beside config.json left alone"
    expect.true(not marker.exists(), "it ran", words, LOAD, directory=str(directory))


@applies_to(any_model, loader_sample)
def test_pickled_weights_are_not_run(checkpoint, fresh, expect, tmp_path):
    """A pickle that would run code runs none, whether or not safetensors were asked for."""
    marker = tmp_path / "marker"
    directory = copied(checkpoint, tmp_path / "trap", {})
    (directory / "model.safetensors").unlink()
    (directory / "pytorch_model.bin").write_bytes(
        pickle.dumps({"weight": Trap(marker)}, protocol=2)
    )
    for options in ({"use_safetensors": True}, {"use_safetensors": None}):
        outcome = refused(lambda options=options: fresh(directory, **options))
        call = LOAD.replace(")", f", **{options})")
        expect.true(
            isinstance(outcome, Exception), outcome, "an error", call, directory=str(directory)
        )
        expect.true(
            not marker.exists(), "it ran", "the pickle left alone", call, directory=str(directory)
        )


@applies_to(any_model, loader_sample)
def test_state_dict_goes_in_and_out(checkpoint, single, fresh, expect):
    """A model's state dict fits another model of its class, which then gives the same outputs."""
    model, _ = fresh()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    fits = model.load_state_dict(single.state_dict())
    expect.equal(
        [list(part) for part in fits], [[], []], "model.load_state_dict(model.state_dict())"
    )
    inputs = batch(checkpoint, [7])
    call = "(model.load_state_dict(model.state_dict()), model(**inputs))[1]"
    agree_with_itself(expect, run(model, inputs), run(single, inputs), inputs, call)


@applies_to(any_model, loader_sample)
def test_a_path_may_be_text_or_a_subfolder(checkpoint, fresh, single, expect, tmp_path):
    """A directory is found by path, by text, and as the subfolder of another."""
    copied(checkpoint, tmp_path / "inner")
    for directory, more in ((str(checkpoint.path), {}), (tmp_path, {"subfolder": "inner"})):
        model, _ = fresh(directory, **more)
        differing = same(model.state_dict(), single.state_dict())
        call = LOAD.replace(")", f", **{more})")
        expect.true(
            not differing, differing, "the weights of the directory", call, directory=str(directory)
        )


TEACHERS = {"deit": "DeiTForImageClassificationWithTeacher"}


@applies_to(model_type(*TEACHERS), head("ImageClassification"))
def test_the_class_that_is_named_is_made(checkpoint, expect, tmp_path):
    """Of several classes that an Auto class knows for a family, the one that config.json names is made."""
    named = TEACHERS[checkpoint.model_type]
    directory = reconfigured(copied(checkpoint, tmp_path), architectures=[named])
    made = getattr(transformers, checkpoint.auto_class).from_pretrained(directory, **SAFE)
    call = f"type({checkpoint.auto_class}.from_pretrained(directory that names {named})).__name__"
    expect.equal(type(made).__name__, named, call)
