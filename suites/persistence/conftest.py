"""What the persistence checks share: one plain load, one copy saved again, one load of that copy."""

from __future__ import annotations

import shutil

import pytest

from fixtures.lazy import transformers
from fixtures.loading import SAFE, dtype_argument, load_model, require_loadable
from fixtures.plugin import loaded, subject

objects = {}  # by name, of the checkpoint in turn


@pytest.fixture(scope="session")
def root(tmp_path_factory):
    """The directory that the checkpoint in turn is saved in."""
    directory = tmp_path_factory.mktemp("saved")
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item, nextitem):
    """Let go of a checkpoint's copies after its last check here: they are hundreds of megabytes."""
    here = nextitem is not None and nextitem.path.parent == item.path.parent
    if not here or subject(nextitem) != subject(item):
        objects.clear()


def kept(name, make):
    """What `make` gave for the checkpoint in turn, made once."""
    if name not in objects:
        objects[name] = make()
    return objects[name]


@pytest.fixture
def plain(checkpoint):
    """(model, loading info) of `from_pretrained` left alone but for the files' own dtype."""
    return kept("plain", lambda: loaded(load_with_info, checkpoint, checkpoint.path, "auto"))


@pytest.fixture
def single(checkpoint):
    """The checkpoint's model in float32 on the CPU, shared: what the files' numbers are compared with."""
    return loaded(load_model, checkpoint, "eager", "float32", "cpu")


@pytest.fixture
def saved(single, root):
    """The directory that `save_pretrained` wrote from `single`."""

    def save():
        directory = root / "again"
        shutil.rmtree(directory, ignore_errors=True)
        single.save_pretrained(directory)
        return directory

    return kept("saved", save)


@pytest.fixture
def reloaded(checkpoint, saved):
    """(model, loading info) of the saved copy, in float32."""
    return kept("reloaded", lambda: load_with_info(checkpoint, saved, "float32"))


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
