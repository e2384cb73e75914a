"""A GGUF file becomes the Hugging Face checkpoint it was made from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from fixtures.errors import UserError
from fixtures.gguf_conversion import convert
from fixtures.reference.bytebpe import SYMBOLS

pytestmark = pytest.mark.meta

HEADS, KEY_VALUE_HEADS, HEAD_DIM, HIDDEN, INNER = 4, 2, 8, 32, 64


def llama_cpp_permute(weight: np.ndarray, heads: int) -> np.ndarray:
    """llama.cpp's LlamaModel.permute: what its converter does to q and k rows."""
    halves = weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:])
    return halves.swapaxes(1, 2).reshape(weight.shape)


def write_gguf(file: Path, weights: Mapping[str, np.ndarray], pre: str = "smollm") -> list[str]:
    """A one-layer LLaMA with a byte-level tokenizer; gives the vocabulary."""
    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *SYMBOLS.values(), "20", "Ġa"]
    writer = gguf.GGUFWriter(file, "llama")
    for name, number in (
        ("block_count", 1), ("context_length", 64), ("embedding_length", HIDDEN),
        ("feed_forward_length", INNER), ("head_count", HEADS), ("head_count_kv", KEY_VALUE_HEADS),
        ("rope_dimension_count", HEAD_DIM), ("vocab_size", len(tokens)), ("bos_token_id", 1),
        ("eos_token_id", 2), ("unk_token_id", 0), ("pad_token_id", 2),
    ):  # fmt: skip
        getattr(writer, f"add_{name}")(number)
    writer.add_rope_freq_base(10000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.CONTROL] * 3 + [gguf.TokenType.NORMAL] * 258)
    writer.add_token_merges(["2 0", "Ġ a"])
    writer.add_add_space_prefix(False)
    writer.add_chat_template("{{ messages }}")
    for name, weight in weights.items():
        if weight.ndim == 1:
            writer.add_tensor(name, weight)
        else:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(name, gguf.quantize(weight, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return tokens


@pytest.fixture(scope="module")
def hugging_face_weights() -> dict[str, np.ndarray]:
    """Random weights under Hugging Face names, exact in Q8_0: whole numbers, 127 in every block."""
    random = np.random.default_rng(0)
    shapes = {
        "embed_tokens": (261, HIDDEN), "layers.0.self_attn.q_proj": (HEADS * HEAD_DIM, HIDDEN),
        "layers.0.self_attn.k_proj": (KEY_VALUE_HEADS * HEAD_DIM, HIDDEN),
        "layers.0.self_attn.v_proj": (KEY_VALUE_HEADS * HEAD_DIM, HIDDEN),
        "layers.0.self_attn.o_proj": (HIDDEN, HEADS * HEAD_DIM),
        "layers.0.mlp.gate_proj": (INNER, HIDDEN), "layers.0.mlp.up_proj": (INNER, HIDDEN),
        "layers.0.mlp.down_proj": (HIDDEN, INNER), "layers.0.input_layernorm": (HIDDEN,),
        "layers.0.post_attention_layernorm": (HIDDEN,), "norm": (HIDDEN,),
    }  # fmt: skip
    weights = {}
    for name, shape in shapes.items():
        weight = random.integers(-100, 100, shape).astype(np.float32)
        weight[..., ::32] = 127
        weights[f"model.{name}.weight"] = weight
    return weights


@pytest.fixture(scope="module")
def gguf_weights(hugging_face_weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same weights as llama.cpp's converter names and orders them."""
    parts = {
        "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
        "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
        "ffn_down": "mlp.down_proj", "attn_norm": "input_layernorm",
        "ffn_norm": "post_attention_layernorm",
    }  # fmt: skip
    named = {"token_embd": "model.embed_tokens", "output_norm": "model.norm"}
    named |= {f"blk.0.{ours}": f"model.layers.0.{theirs}" for ours, theirs in parts.items()}
    weights = {f"{o}.weight": hugging_face_weights[f"{t}.weight"] for o, t in named.items()}
    for name, heads in (("q", HEADS), ("k", KEY_VALUE_HEADS)):
        key = f"blk.0.attn_{name}.weight"
        weights[key] = llama_cpp_permute(weights[key], heads)
    return weights


@pytest.fixture(scope="module")
def converted(
    gguf_weights: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The directory the conversion writes."""
    directory = tmp_path_factory.mktemp("converted")
    write_gguf(directory.parent / "small.gguf", gguf_weights)
    convert(directory.parent / "small.gguf", directory)
    return directory


def test_conversion_gives_the_weights_back(
    converted: Path, hugging_face_weights: dict[str, np.ndarray]
) -> None:
    """GGUF made as llama.cpp makes it, converted back, is the model it was made from, exactly."""
    weights = load_file(converted / "model.safetensors")
    assert weights.keys() == hugging_face_weights.keys()
    for name, expected in hugging_face_weights.items():
        assert weights[name].dtype == np.float32
        np.testing.assert_array_equal(weights[name], expected, err_msg=name)


def test_conversion_writes_the_configuration(converted: Path) -> None:
    """config.json states what the GGUF metadata states, under Hugging Face's names."""
    config: dict[str, Any] = json.loads((converted / "config.json").read_text())
    expected = {
        "model_type": "llama", "hidden_size": HIDDEN, "intermediate_size": INNER,
        "num_attention_heads": HEADS, "num_key_value_heads": KEY_VALUE_HEADS,
        "head_dim": HEAD_DIM, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "vocab_size": 261,
        "tie_word_embeddings": True, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2,
    }  # fmt: skip
    assert config.items() >= expected.items()


def test_conversion_splits_digits(converted: Path) -> None:
    """The smollm pre-tokenizer keeps digits apart, so that the merge "2 0" never applies."""
    tokenizer = Tokenizer.from_file(str(converted / "tokenizer.json"))
    assert tokenizer.encode("20 a<|im_end|>").tokens == ["2", "0", "Ġa", "<|im_end|>"]
    assert tokenizer.decode(tokenizer.encode("né 20\n").ids) == "né 20\n"


def test_conversion_refuses_other_tokenizers(
    gguf_weights: dict[str, np.ndarray], tmp_path: Path
) -> None:
    """A GGUF whose text would be split by rules we do not have is refused, not approximated."""
    write_gguf(tmp_path / "other.gguf", gguf_weights, pre="llama-bpe")
    with pytest.raises(UserError, match="only LLaMA models with the smollm tokenizer"):
        convert(tmp_path / "other.gguf", tmp_path)
