"""The walk for one observation: only the modules that can see it."""

from __future__ import annotations

import pytest

# first part of an observation's name -> modules; others are looked for everywhere
PLACES = {
    "api": ("test_loading", "test_making"),
    "forward": ("test_calls", "test_forward", "test_saving"),
    "generation": ("test_generation", "test_generation_options"),
    "load": ("test_loading", "test_making", "test_saving", "test_tokenization", "test_images"),
    "outputs": ("test_forward", "test_calls"),
    "persistence": ("test_saving", "test_tokenization", "test_tokenizer_calls"),
    "pipelines": ("test_pipelines",),
    "tokenization": ("test_tokenization", "test_tokenizer_calls", "test_chats", "test_making"),
    "vision": ("test_images",),
}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With --observation, drop what cannot see it."""
    wanted = config.getoption("observation") or ""
    places = PLACES.get(wanted.split("/", 1)[0])
    if places is not None:
        walk = [item for item in items if item.path.parent.name == "behaviour"]
        dropped = [item for item in walk if item.path.stem not in places]
        items[:] = [item for item in items if item not in dropped]
        config.hook.pytest_deselected(items=dropped)
