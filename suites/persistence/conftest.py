"""What the persistence checks share: one plain load, one copy saved again, one load of that copy."""

from __future__ import annotations

import shutil

import pytest

from fixtures.lazy import transformers
from fixtures.loading import SAFE, dtype_argument, load_model, require_loadable
from fixtures.plugin import loaded


@pytest.fixture(scope="session")
def kept(tmp_path_factory):
    """The directory and the objects of the checkpoint in turn; emptied for the next one."""
    state = {"name": None, "root": tmp_path_factory.mktemp("saved")}
    yield state
    shutil.rmtree(state["root"], ignore_errors=True)


def of(kept, checkpoint, name, make):
    """What `make` gave for this checkpoint, made once."""
    if kept["name"] != checkpoint.path:
        root = kept["root"]
        shutil.rmtree(root, ignore_errors=True)
        kept.clear()
        kept.update(name=checkpoint.path, root=root)
    if name not in kept:
        kept[name] = make()
    return kept[name]


@pytest.fixture
def plain(checkpoint, kept):
    """(model, loading info) of `from_pretrained` left alone but for the files' own dtype."""
    return of(
        kept,
        checkpoint,
        "plain",
        lambda: loaded(load_with_info, checkpoint, checkpoint.path, "auto"),
    )


@pytest.fixture
def single(checkpoint):
    """The checkpoint's model in float32 on the CPU, shared: what the files' numbers are compared with."""
    return loaded(load_model, checkpoint, "eager", "float32", "cpu")


@pytest.fixture
def saved(checkpoint, single, kept):
    """The directory that `save_pretrained` wrote from `single`."""

    def save():
        directory = kept["root"] / "again"
        single.save_pretrained(directory)
        return directory

    return of(kept, checkpoint, "saved", save)


@pytest.fixture
def reloaded(checkpoint, saved, kept):
    """(model, loading info) of the saved copy, in float32."""
    return of(kept, checkpoint, "reloaded", lambda: load_with_info(checkpoint, saved, "float32"))


@pytest.fixture
def fresh(checkpoint):
    """A function that loads the checkpoint anew, (model, loading info), for checks that change it."""
    return lambda directory=checkpoint.path, dtype="float32", **more: load_with_info(
        checkpoint, directory, dtype, **more
    )


def load_with_info(checkpoint, directory, dtype, auto_class=None, **more):
    """(model, loading info) of a directory; eager attention, nothing else asked for."""
    if directory == checkpoint.path:
        require_loadable("model", checkpoint)
    loader = getattr(transformers, auto_class or checkpoint.auto_class)
    options = {
        **SAFE,
        "attn_implementation": "eager",
        "use_safetensors": True,
        **dtype_argument(dtype),
    }
    return loader.from_pretrained(directory, output_loading_info=True, **{**options, **more})
