"""Checkpoints from the hub, checked from the download to the verdict; the hub is a stand-in, its client real."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fixtures.catalogue import BUILT_IN, Entry, entries
from suites.meta.hub_stand_in import Repository, hub_stand_in

pytestmark = pytest.mark.meta

ROOT = Path(__file__).parents[2]
COMMIT = "c0ffee" * 6 + "c0ff"
ROWS = [entry for entry in entries() if entry.source == "hub"]
# Of the family of each row, by the name it has in the catalogue.
LIKE = {
    "bert": "bert-sentiment",
    "roberta": "roberta-span",
    "distilbert": "distilbert-tagger",
    "gpt2": "gpt2-counting",
    "smollm2": "llama-bytes",
    "mistral": "mistral-sliding",
    "t5": "t5-reverse",
    "bart": "bart-reverse",
    "mbart": "mbart-transliterate",
    "vit": "vit-shapes",
}
Run = Callable[..., str]


def served(row: Entry) -> Repository:
    """A built-in checkpoint in the place of a published one."""
    return Repository(BUILT_IN / LIKE[row.name.partition("-")[0]], row.revision or COMMIT)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """Runs pytest against the stand-in, with a hub cache of its own; gives what it printed."""
    repositories = {row.path: served(row) for row in ROWS}
    repositories["owner/model"] = Repository(BUILT_IN / "bert-sentiment", COMMIT)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "PYTEST_"))}
    environment |= {"HF_HOME": str(tmp_path / "home"), "COLUMNS": "100"}
    with hub_stand_in(repositories) as endpoint:

        def pytest_prints(*arguments: str) -> str:
            command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
            command += ["--record", str(tmp_path / "record"), *arguments]
            done = subprocess.run(
                command,
                cwd=ROOT,
                check=False,
                env=environment | {"HF_ENDPOINT": endpoint},
                capture_output=True,
                text=True,
                timeout=240,
            )
            return done.stdout + done.stderr

        yield pytest_prints


def test_somebodys_repository_is_green(run: Run) -> None:
    """A healthy checkpoint named by hub id and commit passes what its files owe."""
    printed = run("--checkpoint", f"owner/model@{COMMIT}", "-m", "tokenization or probabilities")
    assert re.search(r"\n\d\d+ passed, \d+ deselected", printed), printed[-2000:]
    assert re.search(r"^owner--model +\d+ +\d+", printed, re.MULTILINE)


def test_every_row_is_fetched_and_judged_by_its_facts(run: Run) -> None:
    """Other files in the place of the published ones contradict the facts of each row that has some."""
    printed = run("--hub", "-k", "facts")
    refused = set(re.findall(r"^FAILED \S+_facts\[([^\]]+)\]", printed, re.MULTILINE))
    tested = ("encoding", "tokens", "decoding", "special-ids", "vocab-size")
    assert {row.name for row in ROWS if any(fact.kind in tested for fact in row.facts)} == refused
    assert not re.search(r"not run: (?!deselected)", printed)
