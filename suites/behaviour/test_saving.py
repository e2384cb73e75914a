"""What from_pretrained makes of options, what save_pretrained writes, and what comes back of it."""

from __future__ import annotations

import copy
import json

import pytest

from fixtures.applicability import (
    Predicate,
    applies_to,
    head,
    light,
    own_weights,
    vision,
    walk_sample,
    walkable,
)
from fixtures.checkpoint import Checkpoint
from fixtures.ids import batch
from fixtures.lazy import torch, transformers
from fixtures.loading import SAFE, fresh_model
from fixtures.observe import source
from fixtures.oracle import tolerances
from fixtures.plugin import loaded
from suites.behaviour.test_loading import drawn

# what a file says of the library that wrote it
WRITER = ("transformers_version", "_name_or_path")
# options of from_pretrained, and what is asked of the model they give
OPTIONS = {
    "return_dict=False": "type(model(**inputs)).__name__",
    "output_hidden_states=True": "list(model(**inputs))",
    "output_attentions=True": "list(model(**inputs))",
    "use_cache=False": "list(model(**inputs))",
    "low_cpu_mem_usage=True": "sorted({str(p.device) for p in model.parameters()})",
    "tie_word_embeddings=True": "tied(model)",
    "tie_word_embeddings=False": "tied(model)",
    "no_such_field=1": "model.config.to_dict().get('no_such_field')",
    "attn_implementation={'': 'eager'}": "model.config._attn_implementation",
    "attn_implementation='flex_attention'": "model.config._attn_implementation",
}
# a model is given another number of embeddings
SIZES = {
    "grown by three": "3",
    "grown to a multiple": "0, pad_to_multiple_of=64",
    "shrunk by three": "-3",
}
PREFIX = "model = transformers.{}.from_pretrained(checkpoint, {})\n"
other_class = Predicate(
    "an architecture that no Auto class of this walk builds",
    lambda c: c.head is None and bool(c.architecture) and not c.architecture.endswith("Model"),
)
embeds = walkable & ~vision


@pytest.fixture
def single(checkpoint):
    """The checkpoint's model in float32, eager attention; its own, for generation may leave caches in it."""
    return loaded(fresh_model, checkpoint)


def inputs_of(checkpoint: Checkpoint):
    """A batch without padding, as most calls give it."""
    inputs = batch(checkpoint, [9, 9], seed=77)
    inputs.pop("position_ids", None)
    return inputs


def tied(model) -> bool | None:
    """Whether input and output embeddings are one tensor; None without output embeddings."""
    output = model.get_output_embeddings()
    return None if output is None else output.weight is model.get_input_embeddings().weight


@applies_to(walkable, light, walk_sample)
def test_loading_options(checkpoint, observe):
    """Options of from_pretrained, and the model they give."""
    given = inputs_of(checkpoint)
    for option, expression in OPTIONS.items():
        name, value = option.split("=", 1)

        def loaded_so(name=name, value=value, expression=expression):
            attention = {} if name == "attn_implementation" else {"attention": None}
            model = fresh_model(checkpoint, **attention, **{name: eval(value)})
            with torch.no_grad():
                return eval(expression, {"model": model, "inputs": given, "tied": tied})

        shown = PREFIX.format(checkpoint.auto_class, option)
        observe.attempt(
            f"load/option/{option}",
            loaded_so,
            group="outputs",
            reproduce=shown + source(expression, {"inputs": given}, ""),
        )


@applies_to(own_weights, light, walk_sample)
def test_loading_around_files(checkpoint, single, observe, tmp_path):
    """Weights that the caller holds, what loading leaves of a seed, what a process not the main one saves."""
    loader = f"transformers.{checkpoint.auto_class}.from_pretrained"
    names = {"transformers": transformers, "torch": torch, "checkpoint": str(checkpoint.path)}
    names |= {"model": single, "directory": str(tmp_path)}
    for name, expression in (
        (
            "load/option/state_dict",
            f"sum({loader}(None, config=model.config, state_dict=model.state_dict())"
            ".state_dict()[n].equal(v) for n, v in model.state_dict().items())",
        ),
        (
            "load/option/seed after loading",
            f"(torch.manual_seed(1), {loader}(checkpoint), torch.rand(1).item())[2]",
        ),
        (
            "load/option/attention set later",
            "(lambda m: (m.set_attn_implementation('sdpa'), m.config._attn_implementation)[1])"
            "(__import__('copy').deepcopy(model))",
        ),
        (
            "persistence/files, asked for otherwise than safetensors",
            "(model.save_pretrained(f'{directory}/old', safe_serialization=False),"
            " sorted(__import__('os').listdir(f'{directory}/old')))[1]",
        ),
        (
            "persistence/files of another process",
            "(model.save_pretrained(directory, is_main_process=False),"
            " sorted(__import__('os').listdir(directory)))[1]",
        ),
    ):
        observe.attempt(
            name,
            lambda e=expression: eval(e, names),
            group="outputs",
            reproduce=f"directory = __import__('tempfile').mkdtemp()\n{expression}",
        )


@applies_to(own_weights, light, walk_sample)
def test_subfolder(checkpoint, observe):
    """The model loaded from a folder inside a directory: what is missing, and what it weighs."""
    path, auto = checkpoint.path, getattr(transformers, checkpoint.auto_class)

    def load():
        model, info = auto.from_pretrained(
            path.parent, subfolder=path.name, output_loading_info=True, **SAFE
        )
        return [type(model).__name__, sorted(info["missing_keys"]), model.num_parameters()]

    observe.attempt(
        "load/option/subfolder",
        load,
        group="outputs",
        reproduce="import os\ndirectory, folder = os.path.split(checkpoint)\n"
        f"type(transformers.{checkpoint.auto_class}.from_pretrained(directory, subfolder=folder)).__name__",
    )


@applies_to(
    own_weights,
    light,
    walk_sample,
    walkable,
    head("SequenceClassification", "ImageClassification", "TokenClassification"),
)
def test_other_numbers_of_labels(checkpoint, observe):
    """A head of another size than the files have: which weights do not fit, and how they begin."""
    loader, made = getattr(transformers, checkpoint.auto_class), []

    def load():
        torch.manual_seed(0)
        model, info = loader.from_pretrained(
            checkpoint.path,
            num_labels=7,
            ignore_mismatched_sizes=True,
            output_loading_info=True,
            **SAFE,
        )
        names = sorted(key if isinstance(key, str) else key[0] for key in info["mismatched_keys"])
        state = model.state_dict()
        made.extend([model, names])
        return {
            "labels": [model.config.num_labels, len(model.config.id2label)],
            "mismatched": names,
            "begin": {name: beginning(state[name]) for name in names if name in state},
        }

    shown = f"transformers.{checkpoint.auto_class}.from_pretrained(checkpoint, num_labels=7"
    observe.attempt(
        "load/option/num_labels=7",
        load,
        group="outputs",
        reproduce=f"{shown}, ignore_mismatched_sizes=True).config.id2label",
    )
    if made:
        observe("load/option/num_labels=7, what is drawn after a seed", drawn(*made), group="load")
    observe.attempt(
        "load/option/num_labels=7, sizes checked",
        lambda: type(fresh_model(checkpoint, num_labels=7)).__name__,
        group="outputs",
        reproduce=f"{shown})",
    )


def beginning(tensor) -> str:
    """What a weight was initialized with, as far as no seed decides it."""
    if not bool(tensor.isfinite().all()):
        return "not finite"
    low, high = float(tensor.min()), float(tensor.max())
    return f"all {low:g}" if low == high else "spread" if high < 10 * abs(low) else "wild"


@applies_to(embeds, light, walk_sample)
def test_resizing(checkpoint, single, observe):
    """More or fewer embeddings: sizes, tying, the configuration, the rows that were there."""
    size = checkpoint.config.get("vocab_size", 0)
    for name, arguments in SIZES.items():
        count, *more = arguments.split(", ")

        def resized(by=int(count), more=tuple(more)):
            model = copy.deepcopy(single)
            options = {"pad_to_multiple_of": 64} if more else {}
            model.resize_token_embeddings(size + by, mean_resizing=False, **options)
            weight, output = model.get_input_embeddings().weight, model.get_output_embeddings()
            kept = min(size, len(weight))
            return {
                "embeddings": list(weight.shape),
                "output": None if output is None else list(output.weight.shape),
                "bias": None if output is None or output.bias is None else list(output.bias.shape),
                "vocab_size": model.config.vocab_size,
                "tied": tied(model),
                "kept": bool((weight[:kept] == single.get_input_embeddings().weight[:kept]).all()),
            }

        shown = f"model.resize_token_embeddings({size} + {arguments}).weight.shape"
        observe.attempt(f"load/resized/{name}", resized, group="outputs", reproduce=shown)


@applies_to(own_weights, light)
def test_saved_model(checkpoint, single, observe, tmp_path):
    """Files, names of weights, configurations that are written; the loading info of what comes back."""
    written = (
        "import os, tempfile\ndirectory = tempfile.mkdtemp()\nmodel.save_pretrained(directory)\n"
    )

    def files():
        single.save_pretrained(tmp_path)
        return sorted(file.name for file in tmp_path.iterdir())

    observe.attempt(
        "persistence/model files",
        files,
        group="outputs",
        reproduce=f"{written}sorted(os.listdir(directory))",
    )
    observe.attempt(
        "persistence/weights",
        lambda: names_of_weights(tmp_path),
        group="outputs",
        reproduce=f"from safetensors import safe_open\n{written}"
        "sorted(safe_open(f'{directory}/model.safetensors', 'pt').keys())",
    )
    for file in ("config", "generation_config"):
        path = tmp_path / f"{file}.json"
        content = json.loads(path.read_text()) if path.is_file() else {}
        for name in sorted(content.keys() - set(WRITER)):
            observe(
                f"persistence/{file}/{name}",
                content[name],
                group="api",
                reproduce=f"import json\n{written}json.load(open(directory + '/{file}.json'))[{name!r}]",
            )


@applies_to(walkable, light, walk_sample)
def test_saved_and_reloaded_model(checkpoint, single, observe, tmp_path):
    """What is saved and loaded again, whole and in shards: its outputs and its loading info."""
    given, auto = inputs_of(checkpoint), getattr(transformers, checkpoint.auto_class)
    limit = max(tolerances(checkpoint, given).values(), default=None)
    for name, options in (
        ("whole", {}),
        ("shards", {"max_shard_size": "40KB"}),
        ("variant", {"variant": "fp16"}),
    ):

        def again(name=name, options=options):
            single.save_pretrained(tmp_path / name, **options)
            variant = {n: v for n, v in options.items() if n == "variant"}
            model = auto.from_pretrained(
                tmp_path / name, attn_implementation="eager", **variant, **SAFE
            )
            with torch.no_grad():
                return model.eval()(**given)[0]

        shown = ", ".join(f"{n}={v!r}" for n, v in options.items())
        observe.attempt(
            f"persistence/reloaded, {name}",
            again,
            group="numbers",
            tolerance=limit,
            reproduce="import tempfile\ndirectory = tempfile.mkdtemp()\n"
            f"model.save_pretrained(directory, {shown})\n"
            f"transformers.{checkpoint.auto_class}.from_pretrained(directory)",
        )


def names_of_weights(directory) -> dict[str, list[int]]:
    """Names and shapes of the tensors in saved files."""
    from fixtures.integrity import tensor_shapes

    files = directory.glob("*.safetensors")
    return {n: list(s) for file in files for n, s in tensor_shapes(file).items()}


@applies_to(walkable, light, other_class)
def test_own_class(checkpoint, observe):
    """An architecture that is no plain head: all its outputs, by its own class."""
    given = inputs_of(checkpoint)
    if checkpoint.architecture.endswith(("ForMultipleChoice", "DoubleHeadsModel")):
        given = {name: value[None] for name, value in given.items()}
    outputs = {}

    def call():
        model = fresh_model(checkpoint, auto_class=checkpoint.architecture)
        with torch.no_grad():
            outputs.update(model(**given).items())
        return list(outputs)

    shown = f"model = transformers.{checkpoint.architecture}.from_pretrained(checkpoint)\n"
    shown += source("model(**inputs)", {"inputs": given}, "")
    observe.attempt("forward/own class/keys", call, group="outputs", reproduce=shown)
    for name, value in outputs.items():
        if hasattr(value, "shape"):
            observe(f"forward/own class/{name}", value, group="numbers", reproduce=shown)
