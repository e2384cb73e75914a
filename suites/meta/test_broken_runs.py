"""Runs over damaged checkpoints: one line or one red check with the reason, and the rest did not run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures.catalogue import BUILT_IN
from fixtures.lazy import torch
from suites.meta.damaging import copy, merged

pytestmark = pytest.mark.meta

ROOT = Path(__file__).parents[2]


def run(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`pytest --checkpoint DIRECTORY` with some of the checks; plugins may lie beside it."""
    record = directory.parent / "record"
    path = os.pathsep.join([str(directory.parent), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(
        [*command, f"--record={record}", f"--checkpoint={directory}"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def test_unloadable_model_is_one_red_check(tmp_path: Path) -> None:
    """A model that does not load fails one check, in one line; the others say that they did not run."""
    file = copy(tmp_path) / "config.json"
    settings = json.loads(file.read_text()) | {"hidden_act": "no_such_activation"}
    file.write_text(json.dumps(settings))
    done = run(
        file.parent,
        "-k",
        "loads or shapes or longest or saved_weights or gradient or dtype or pipelines",
    )
    assert done.returncode == 1, done.stdout
    assert done.stdout.count("\nFAILED") == 1
    assert "test_model_loads[stranger]" in done.stdout
    assert "does not load: KeyError" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


def rewrite(
    directory: Path, change: Callable[[str, torch.Tensor], tuple[str, torch.Tensor]]
) -> None:
    """Change the names or numbers of its weights."""
    from safetensors.torch import load_file, save_file

    file = directory / "model.safetensors"
    changed = dict(change(name, weight) for name, weight in load_file(file).items())
    save_file(changed, file, metadata={"format": "pt"})


DAMAGES = {
    "NaN": (lambda n, w: (n, w * float("nan")), "holds NaN or infinity"),
    "another's": (
        lambda n, w: (f"other.{n}", w),
        "weights of BertForSequenceClassification are not",
    ),
    "holes": (
        lambda n, w: (n.replace("layer.1.output", "other"), w),
        "bert.encoder.layer.1.output",
    ),
    "no head": (lambda n, w: (n.replace("classifier.weight", "gone"), w), "classifier.weight"),
    "cut": (lambda n, w: (n, w[:-1].clone() if "word_emb" in n else w), "word_embeddings"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_useless_weights_are_one_red_check(tmp_path: Path, name: str) -> None:
    """Weights of NaN, of other names or shapes fail one check, in one line that names them."""
    directory, (change, says) = copy(tmp_path), DAMAGES[name]
    rewrite(directory, change)
    done = run(directory, "-k", "loads or padding or shapes or activation_is or other_heads")
    assert done.returncode == 1, done.stdout
    assert done.stdout.count("\nFAILED") == 1
    assert says in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert "above exception" not in done.stdout


def test_head_that_cannot_answer_is_one_red_check(tmp_path: Path) -> None:
    """A head whose every forward pass fails is one red check that quotes the library."""
    file = copy(tmp_path) / "config.json"
    labels = {str(number): f"LABEL_{number}" for number in range(9)}
    heads = {"architectures": ["BertForQuestionAnswering"], "id2label": labels, "label2id": {}}
    file.write_bytes(merged("bert-sentiment", "config.json", **heads))
    rewrite(
        file.parent,
        lambda n, w: (
            (n.replace("classifier", "qa_outputs"), w[[0] * 9].clone())
            if n.startswith("classifier")
            else (n, w)
        ),
    )
    done = run(file.parent, "-k", "loads or padding or shapes or answers")
    assert done.returncode == 1, done.stdout
    assert done.stdout.count("\nFAILED") == 1
    assert "its forward pass fails: ValueError" in done.stdout


def test_habits_of_a_configuration_are_no_fault(tmp_path: Path) -> None:
    """Tuples asked for, and chunks that no length is a multiple of, change no outcome."""
    file = copy(tmp_path) / "config.json"
    habits = {"return_dict": False, "chunk_size_feed_forward": 8, "output_hidden_states": True}
    file.write_bytes(merged("bert-sentiment", "config.json", **habits))
    done = run(file.parent, "-k", "loads or parts or gradients or function_to_apply")
    assert done.returncode == 0, done.stdout


def test_unencodable_text_is_one_red_check(tmp_path: Path) -> None:
    """A vocabulary without its own unknown token encodes next to nothing: one red check says so."""
    directory = copy(tmp_path)
    (directory / "tokenizer.json").unlink()
    (directory / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    words = (directory / "vocab.txt").read_text(encoding="utf-8")
    (directory / "vocab.txt").write_text(words.replace("[UNK]", "[GONE]"), encoding="utf-8")
    done = run(directory, "-k", "loads or truncation or special")
    assert done.returncode == 1, done.stdout
    assert done.stdout.count("\nFAILED") == 1
    assert "encodes no unknown letter" in done.stdout


def test_odd_pipeline_among_others_is_one_line(tmp_path: Path) -> None:
    """Files of a form that no release writes end a run over several checkpoints in one line."""
    directory = copy(tmp_path).rename(tmp_path / "odd \x1b[2J")
    odd = merged("bert-sentiment", "tokenizer.json", post_processor={"type": "BertProcessing"})
    (directory / "tokenizer.json").write_bytes(odd)
    done = run(directory, f"--checkpoint={BUILT_IN / 'gpt2-counting'}")
    assert done.returncode == 4, done.stdout
    assert "INTERNALERROR" not in done.stdout
    assert "a form of their own" in done.stderr
    assert "\x1b" not in done.stderr


def test_failures_never_steer_the_terminal(tmp_path: Path) -> None:
    """What a failing check, a warning or the library's own output quotes of the files is escaped."""
    steering, text = "a\x1b]0;b\x07\x1b[2J", "\ud800"
    file = copy(tmp_path) / "config.json"
    file.write_bytes(merged("bert-sentiment", "config.json", transformers_version=text))
    (tmp_path / "quoting.py").write_text(
        "import sys, warnings\n"
        "def pytest_runtest_call(item):\n"
        f"    print({steering!r}, file=sys.stderr)\n"
        f"    warnings.warn({steering!r})\n"
        f"    raise ValueError({steering!r})\n"
    )
    done = run(file.parent, "-k", "vocabulary_is_the", "-p", "quoting")
    assert done.returncode == 1, done.stdout
    assert done.stdout.count("a\\x1b]0;b\\x07\\x1b[2J") >= 4
    assert not {"\x1b", "\x07"} & set(done.stdout + done.stderr)


def test_unloadable_is_red_without_its_check(tmp_path: Path) -> None:
    """Deselecting the check that a model loads hides no damage."""
    file = copy(tmp_path) / "config.json"
    settings = json.loads(file.read_text()) | {"hidden_act": "no_such_activation"}
    file.write_text(json.dumps(settings))
    done = run(file.parent, "-k", "test_output_keys or test_hidden_states or test_shapes")
    assert done.returncode == 1, done.stdout
    assert "does not load: KeyError" in done.stdout


def test_bad_input_is_exit_code_4(tmp_path: Path) -> None:
    """A damaged file is one line on the terminal and exit code 4."""
    directory = copy(tmp_path)
    (directory / "model.safetensors").write_bytes(b"oops")
    done = run(directory)
    assert done.returncode == 4
    (line,) = [line for line in done.stderr.splitlines() if line]
    assert line.startswith("ERROR: ")
    assert "model.safetensors: damaged or cut off" in line
