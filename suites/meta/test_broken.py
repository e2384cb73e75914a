"""Damaged, odd and hostile checkpoints: one line or a red check, in bounded time, and nothing runs."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path
from typing import Any

import pytest

from fixtures import hub
from fixtures.catalogue import BUILT_IN, chosen_checkpoints, entries, hub_checkpoints
from fixtures.errors import UserError, one_line, printable
from fixtures.expect import few
from fixtures.lazy import torch
from fixtures.round_trip import in_order
from fixtures.traits import added_tokens, infer_traits
from suites.meta.damaging import copy, merged

pytestmark = pytest.mark.meta

ROOT = Path(__file__).parents[2]
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"


def header(content: Any, numbers: bytes = b"") -> bytes:
    """A safetensors file with this header."""
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    return struct.pack("<Q", len(text)) + text + numbers


def tensor(shape: Any, end: Any = 4, **more: Any) -> dict[str, Any]:
    """The header of a file with one tensor."""
    return {"a": {"dtype": "F32", "shape": shape, "data_offsets": [0, end]} | more}


CONTENTS = {
    "empty": ("model.safetensors", b"", "empty"),
    "pointer": ("model.safetensors", POINTER, "git lfs pull"),
    "header beyond the file": ("model.safetensors", struct.pack("<Q", 2**62), "cut off"),
    "header of brackets": ("model.safetensors", header(b"[" * 200_000), "cannot be read"),
    "header cut off": ("model.safetensors", header(tensor([1], 8), b"0000"), "cut off"),
    "shape of words": ("model.safetensors", header(tensor(["x"]), b"0000"), "shape"),
    "shape beyond the bytes": ("model.safetensors", header(tensor([2**40]), b"0000"), "bytes"),
    "shape of many axes": ("model.safetensors", header(tensor([2**62] * 200_000)), "shape"),
    "type a list": ("model.safetensors", header(tensor([1], dtype=[]), b"0000"), "type"),
    "place of words": ("model.safetensors", header(tensor([1], "4"), b"0000"), "place"),
    "place without end": ("model.safetensors", header(tensor([1], 1e999), b"0000"), "place"),
    "half a place": ("model.safetensors", header(tensor([1], data_offsets=[4]), b"0000"), "place"),
    "bytes of two": (
        "model.safetensors",
        header(tensor([1]) | {"b": tensor([1])["a"]}, b"0000"),
        "two's",
    ),
    "image of no rows": (
        "preprocessor_config.json",
        b'{"size": {"height": 0, "width": 9}}',
        "size",
    ),
    "image of a mile": ("preprocessor_config.json", b'{"size": 1000000}', "size"),
    "deviation of zero": ("preprocessor_config.json", b'{"image_std": [0.5, 0]}', "image_std"),
    "architectures a word": (
        "config.json",
        merged("bert-sentiment", "config.json", architectures="BertModel"),
        "list of names",
    ),
    "type of model a list": ("config.json", b'{"model_type": ["bert"]}', "model_type"),
    "problem nobody poses": (
        "config.json",
        merged("bert-sentiment", "config.json", problem_type="guessing"),
        "problem_type is none of",
    ),
    "labels with a gap": (
        "config.json",
        merged("bert-sentiment", "config.json", id2label={"0": "a", "5": "b"}),
        "id2label names 0, 5, not 0 to 1",
    ),
    "labels a list": (
        "config.json",
        merged("bert-sentiment", "config.json", id2label=["a"]),
        "id2label",
    ),
    "step without a type": (
        "tokenizer.json",
        merged("bert-sentiment", "tokenizer.json", normalizer={}),
        "no type",
    ),
    "vocabulary of words": (
        "tokenizer.json",
        b'{"model": {"vocab": {"a": "b"}}}',
        "without an id",
    ),
    "merges no list": (
        "tokenizer.json",
        b'{"model": {"vocab": {"a": 0}, "merges": {}}}',
        "merges are no list",
    ),
    "padding without end": (
        "tokenizer.json",
        merged("bert-sentiment", "tokenizer.json", padding={"strategy": {"Fixed": 10**9}}),
        "ids or letters",
    ),
    "text that explodes": (
        "tokenizer.json",
        merged(
            "bert-sentiment",
            "tokenizer.json",
            normalizer={
                "type": "Sequence",
                "normalizers": 5 * [{"type": "Replace", "content": "x" * 100}],
            },
        ),
        "ids or letters",
    ),
    "added without ids": ("added_tokens.json", b'{"a": -1}', "without ids"),
    "config cut off": ("config.json", b'{"model_type": "bert",', "not readable as JSON"),
    "config of bytes": ("config.json", b"\xff\xfe\x00", "not readable as JSON"),
    "config nested deep": ("config.json", b'{"a":' + b"[" * 100_000, "not readable as JSON"),
    "config a list": ("config.json", b"[]", "holds no JSON object"),
    "tokenizer without model": ("tokenizer.json", b'{"version": 1}', "holds no model"),
    "tokens without ids": (
        "tokenizer.json",
        b'{"model": {"vocab": {}}, "added_tokens": ["x"]}',
        "added_tokens",
    ),
    "settings of numbers": ("tokenizer_config.json", b'{"tokenizer_class": 5}', "tokenizer_class"),
    "template a number": ("tokenizer_config.json", b'{"chat_template": 5}', "chat_template"),
    "ids of words": (
        "tokenizer_config.json",
        b'{"added_tokens_decoder": {"x": {"content": "a"}}}',
        "added_tokens_decoder",
    ),
    "whole numbers": (
        "model.safetensors",
        header({"a.weight": tensor([1], dtype="I32")["a"]}, b"0000"),
        "holds whole numbers",
    ),
    "index without map": ("model.safetensors.index.json", b"{}", "weight_map"),
    "index outside": (
        "model.safetensors.index.json",
        b'{"weight_map": {"a": "../../x.safetensors"}}',
        "no safetensors file beside it",
    ),
    "index of pickles": (
        "model.safetensors.index.json",
        b'{"weight_map": {"a": "evil.bin"}}',
        "no safetensors file beside it",
    ),
    "absent shard": (
        "model.safetensors.index.json",
        b'{"weight_map": {"a": "other.safetensors"}}',
        "which is missing",
    ),
    "absent tensor": (
        "model.safetensors.index.json",
        b'{"weight_map": {"a": "model.safetensors"}}',
        "lacks a",
    ),
}


@pytest.mark.parametrize("damage", CONTENTS)
def test_damaged_file_is_named(tmp_path: Path, damage: str) -> None:
    """A file that cannot be what its name says is one line that names it, before it is loaded."""
    name, content, says = CONTENTS[damage]
    directory = copy(tmp_path)
    (directory / name).write_bytes(content)
    with pytest.raises(UserError, match=says) as refusal:
        chosen_checkpoints([str(directory)])
    assert name.split(".", maxsplit=1)[0] in str(refusal.value)
    assert len(one_line(str(refusal.value), 500).splitlines()) == 1


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
@pytest.mark.parametrize("kind", ["directory", "fifo", "loop", "dangling"])
def test_what_is_no_file_is_not_opened(tmp_path: Path, name: str, kind: str) -> None:
    """Directories, pipes and links that lead nowhere in place of files are refused unopened."""
    file = copy(tmp_path) / name
    file.unlink()
    {
        "directory": file.mkdir,
        "fifo": lambda: os.mkfifo(file),
        "loop": lambda: file.symlink_to(file.name),
        "dangling": lambda: file.symlink_to("gone"),
    }[kind]()
    with pytest.raises(UserError, match=r"regular file|leads nowhere"):
        chosen_checkpoints([str(file.parent)])


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_hidden_layers", 10**6),
        ("decoder_layers", 10**7),
        ("hidden_size", 10**9),
        ("intermediate_size", 10**9),
        ("vocab_size", 10**12),
        ("num_labels", 10**9),
        ("text_config", {"n_layer": 10**6}),
    ],
)
def test_absurd_size_costs_nothing(tmp_path: Path, field: str, value: Any) -> None:
    """A configuration beyond what the weight files can hold is refused before memory is spent."""
    file = copy(tmp_path) / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {field: value}))
    with pytest.raises(UserError, match="but the weight files hold"):
        chosen_checkpoints([str(file.parent)])


@pytest.mark.parametrize(
    ("field", "value"),
    [("num_hidden_layers", -1), ("num_hidden_layers", 0), ("hidden_size", -32)],
)
def test_what_no_model_has_is_told(tmp_path: Path, field: str, value: int) -> None:
    """A number of layers or a width below what any model has is one line."""
    file = copy(tmp_path) / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {field: value}))
    with pytest.raises(UserError, match=f"{field} is {value}, which no model has"):
        chosen_checkpoints([str(file.parent)])


@pytest.mark.parametrize("name", sorted(path.name for path in BUILT_IN.iterdir() if path.is_dir()))
def test_healthy_directory_is_taken(name: str) -> None:
    """Every built-in checkpoint is accepted as a stranger's, with the traits it has by name."""
    (stranger,) = chosen_checkpoints([str(BUILT_IN / name)])
    assert stranger.source == "path"
    assert stranger.traits == infer_traits(BUILT_IN / name)


@pytest.mark.parametrize(
    "name",
    [
        "config.json",
        "tokenizer.json",
        "vocab.txt",
        "chat_template.jinja",
        "additional_chat_templates/rag.jinja",
    ],
)
def test_large_file_is_not_read(tmp_path: Path, name: str) -> None:
    """A file far larger than any that is published is refused by its size."""
    directory = copy(tmp_path)
    file = directory / name
    file.parent.mkdir(exist_ok=True)
    with file.open("ab") as stream:
        stream.truncate(4_000_000_000)
    with pytest.raises(UserError, match=f"{name}: 4000000000 bytes, more than"):
        chosen_checkpoints([str(directory)])


@pytest.mark.parametrize("names", [["default", "rag"], ["rag", "tool_use"]])
def test_named_templates_alone_are_no_default(tmp_path: Path, names: list[str]) -> None:
    """Where no template is the default a conversation must name one: no check is owed one without."""
    directory = copy(tmp_path)
    templates = [{"name": name, "template": "{{ messages }}"} for name in names]
    told = merged("bert-sentiment", "tokenizer_config.json", chat_template=templates)
    (directory / "tokenizer_config.json").write_bytes(told)
    assert ("chat-template" in infer_traits(directory)) is ("default" in names)


@pytest.mark.parametrize(("name", "held"), [("ByT5Tokenizer", True), ("T5Tokenizer", False)])
def test_a_class_may_need_no_vocabulary(tmp_path: Path, name: str, held: bool) -> None:
    """A tokenizer that cuts into bytes or characters is one without any file of tokens."""
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": name}))
    assert ("tokenizer" in infer_traits(tmp_path)) is held


def test_unknown_letters_are_skipped_at_once() -> None:
    """Whether known letters come back in order is decided without trying every place for each."""
    assert in_order(["ab", "", "c"], "ab--c")
    assert not in_order(["ab", "ba"], "aba")
    assert not in_order(["a"] * 3000, "a" * 2999)


@pytest.mark.parametrize("name", ["/" + "a" * 9999, "~nobody-of-that-name/x"])
def test_unreadable_path_is_one_line(name: str) -> None:
    """A path that the system does not even look up is bad input like any other."""
    with pytest.raises(UserError, match="cannot be read"):
        chosen_checkpoints([name])


def test_all_that_cannot_be_used_are_told_at_once(tmp_path: Path) -> None:
    """Among many checkpoints each that cannot be used has a line of its own."""
    names = [str(tmp_path), str(BUILT_IN / "bert-random"), "./nowhere", str(BUILT_IN / "x")]
    with pytest.raises(UserError) as refusal:
        chosen_checkpoints(names)
    lines = str(refusal.value).splitlines()
    assert [line.split(":")[0] for line in lines] == [names[0], *names[2:]]


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    """A directory with only pickled weights is refused, and told how to save them."""
    directory = copy(tmp_path, "gpt2-counting")
    (directory / "model.safetensors").rename(directory / "pytorch_model.bin")
    with pytest.raises(UserError, match=r"only pickled weights .* safe_serialization"):
        chosen_checkpoints([str(directory)])


def test_weights_of_other_frameworks_are_told(tmp_path: Path) -> None:
    """A directory with TensorFlow's weights alone says how to convert them."""
    directory = copy(tmp_path)
    (directory / "model.safetensors").rename(directory / "tf_model.h5")
    with pytest.raises(UserError, match=r"only TensorFlow's weights .* safe_serialization"):
        chosen_checkpoints([str(directory)])


def test_square_of_positions_is_never_made(tmp_path: Path) -> None:
    """GPT-2's mask is a square of its positions: more of them than any table has rows are refused."""
    file = copy(tmp_path, "gpt2-counting") / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"n_positions": 150_000}))
    with pytest.raises(UserError, match="but the weight files hold"):
        chosen_checkpoints([str(file.parent)])


def test_adapter_alone_is_told(tmp_path: Path) -> None:
    """A directory with an adapter and no base model says so."""
    directory = copy(tmp_path)
    (directory / "config.json").rename(directory / "adapter_config.json")
    with pytest.raises(UserError, match="merge it into its base model"):
        chosen_checkpoints([str(directory)])


def test_shards_without_index_are_told(tmp_path: Path) -> None:
    """One shard of several, and nothing that says what the others hold, is one line."""
    directory = copy(tmp_path)
    (directory / "model.safetensors").rename(directory / "model-00001-of-00002.safetensors")
    with pytest.raises(UserError, match=r"model-00001-of-00002.safetensors and no .*index"):
        chosen_checkpoints([str(directory)])


def test_subfolder_is_named(tmp_path: Path) -> None:
    """A directory whose checkpoint lies in a folder of it says which folder."""
    directory = copy(tmp_path)
    with pytest.raises(UserError, match=f"try --checkpoint {directory}"):
        chosen_checkpoints([str(tmp_path)])


def test_escapes_never_reach_the_terminal(tmp_path: Path) -> None:
    """Control characters of names and messages are shown as spaces."""
    directory = copy(tmp_path).rename(tmp_path / "a\x1b[2Jb\x07c")
    (checkpoint,) = chosen_checkpoints([str(directory)])
    assert checkpoint.name == "ab c"
    assert one_line("x\n\x1b[31my" + "z" * 999, 10) == "x yzzzz..."
    assert printable("é\x1b[31m\x1b[2J\n\ud800\r", colours=True) == "é\x1b[31m\\x1b[2J\n\\ud800\\r"
    assert str(UserError(f"{directory}: \x1b[31m")).endswith("a\\x1b[2Jb\\x07c: \\x1b[31m")


def test_added_tokens_are_the_named_ones(tmp_path: Path) -> None:
    """Tokens are what the files name as such: as texts, objects or lists, and no other list of texts."""
    named = {
        "cls_token": "[C]",
        "pad_token": {"content": "[P]", "__type": "AddedToken"},
        "additional_special_tokens": ["<a>", {"content": "<b>"}],
        "model_input_names": ["input_ids"],
        "padding_side": "left",
    }
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(named))
    assert set(added_tokens(tmp_path)) == {"[C]", "[P]", "<a>", "<b>"}


def test_a_failure_prints_little_of_a_large_tensor() -> None:
    """What is shown of a model's weights is cut before it becomes text."""
    assert few(torch.zeros(3000, 3000)).shape == (600,)


def test_missing_hub_checkpoints_are_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the hub does not give is named as not run; only nothing at all ends the run."""
    first = next(entry for entry in entries() if entry.source == "hub")

    def resolve(repo_id: str, revision: str | None = None) -> Path:
        if repo_id == first.path:
            return BUILT_IN / "bert-sentiment"
        raise UserError(f"{repo_id}: no answer")

    monkeypatch.setattr(hub, "resolve", resolve)
    found, missing = hub_checkpoints()
    assert [checkpoint.name for checkpoint in found] == [first.name]
    assert all("no answer" in row.reason for row in missing)
    assert missing
    monkeypatch.setattr(hub, "resolve", lambda *_: resolve("none"))
    with pytest.raises(UserError, match="--hub: none of"):
        hub_checkpoints()
