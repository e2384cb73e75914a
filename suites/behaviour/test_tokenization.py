"""The wide walk over texts: ids, offsets, decoded text, pairs, batches and chats."""

from __future__ import annotations

import shutil

from fixtures.applicability import applies_to, tokenizer, trait
from fixtures.lazy import transformers
from fixtures.loading import SAFE, fresh_tokenizer
from fixtures.observe import source
from fixtures.tokenizing import private
from fixtures.traits import TOKENIZER_FILES, added_tokens
from fixtures.walk import BATCHES, HOSTILE, PAIRS, as_ids, special_texts, texts

SAMPLE = slice(None, None, 16)
FEW = slice(None, None, 40)
PIPELINE = ("normalizer", "pre_tokenizer", "post_processor", "decoder")
# observation -> what is asked of every sampled text, and how the answer is read
DETAILS = {
    "ids without special tokens": ("tokenizer(text, add_special_tokens=False)['input_ids']", "ids"),
    "tokens": ("tokenizer.tokenize(text)", None),
    "encode": ("tokenizer.encode(text)", "ids"),
    "special mask": (
        "tokenizer(text, return_special_tokens_mask=True)['special_tokens_mask']",
        None,
    ),
    "truncated": ("tokenizer(text, truncation=True, max_length=8)['input_ids']", "ids"),
    "keys": ("sorted(tokenizer(text).keys())", None),
    "decoded with clean up True": (
        "tokenizer.decode(tokenizer.encode(text), clean_up_tokenization_spaces=True)",
        None,
    ),
    "decoded with clean up False": (
        "tokenizer.decode(tokenizer.encode(text), clean_up_tokenization_spaces=False)",
        None,
    ),
    "decoded token by token": (
        "[tokenizer.decode([i]) for i in tokenizer.encode(text)[:30]]",
        None,
    ),
}
OFFSETS = "[list(o) for o in tokenizer(text, return_offsets_mapping=True)['offset_mapping']]"


@applies_to(tokenizer)
def test_encoding(checkpoint, tokenizer, observe):
    """The ids of several hundred texts with special tokens, and their decoding."""
    for text in [*texts(), *special_texts(checkpoint)]:
        names = {"tokenizer": tokenizer, "text": text}
        observe.evaluate(
            "tokenization/ids",
            "tokenizer(text)['input_ids']",
            names,
            input=text,
            read=lambda ids: as_ids(ids, tokenizer),
        )
        observe.evaluate(
            "tokenization/decoded",
            "tokenizer.decode(tokenizer(text)['input_ids'], skip_special_tokens=True)",
            names,
            input=text,
        )


@applies_to(tokenizer)
def test_encoding_details(checkpoint, tokenizer, observe):
    """Tokens, offsets, masks and the other switches, on a sample of the texts."""
    asked = {**DETAILS, "offsets": (OFFSETS, None)} if tokenizer.is_fast else DETAILS
    for text in [HOSTILE, *texts()[SAMPLE], *list(special_texts(checkpoint))[SAMPLE]]:
        for name, (expression, kind) in asked.items():
            observe.evaluate(
                f"tokenization/{name}",
                expression,
                {"tokenizer": tokenizer, "text": text},
                input=text,
                read=(lambda ids: as_ids(ids, tokenizer)) if kind else None,
            )


@applies_to(tokenizer)
def test_pairs_and_batches(tokenizer, observe):
    """Pairs, padded batches, pretokenized words, truncation strategies."""
    names = {"tokenizer": private(tokenizer)}
    for pair in PAIRS:
        asked = {"pair": "dict(tokenizer(*pair))"}
        for strategy in ("longest_first", "only_first", "only_second"):
            asked[f"pair truncated {strategy}"] = (
                f"dict(tokenizer(*pair, truncation={strategy!r}, max_length=9))"
            )
        for name, expression in asked.items():
            observe.evaluate(
                f"tokenization/{name}", expression, {**names, "pair": pair}, input=repr(pair)
            )
    for batch in BATCHES:
        asked = {
            f"batch {options}": f"dict(tokenizer(list(batch), **{options}))"
            for options in (
                {"padding": True},
                {"padding": "max_length", "max_length": 20},
                {"padding": True, "pad_to_multiple_of": 8},
                {"padding": True, "padding_side": "left"},
            )
        }
        asked["words"] = (
            "dict(tokenizer([batch[0].split(), batch[1].split()], is_split_into_words=True))"
        )
        asked["batch decoded"] = "tokenizer.batch_decode(tokenizer(list(batch))['input_ids'])"
        for name, expression in asked.items():
            observe.evaluate(
                f"tokenization/{name}", expression, {**names, "batch": batch}, input=repr(batch)
            )


@applies_to(tokenizer)
def test_vocabulary(checkpoint, tokenizer, observe):
    """What single ids and tokens convert to, and what decoding each id gives."""
    size = len(tokenizer)
    ids = sorted({*range(0, size, max(1, size // 200)), *range(max(0, size - 30), size)})
    tokens = added_tokens(checkpoint.path)[:100]
    names = {"tokenizer": tokenizer}
    for name, expression, given in (
        ("tokens of ids", "tokenizer.convert_ids_to_tokens(ids)", {"ids": ids}),
        ("decoded ids", "[tokenizer.decode([i]) for i in ids]", {"ids": ids}),
        ("ids of added tokens", "tokenizer.convert_tokens_to_ids(tokens)", {"tokens": tokens}),
        (
            "id of an unknown token",
            "tokenizer.convert_tokens_to_ids('no such token, surely')",
            {},
        ),
    ):
        observe.evaluate(f"tokenization/{name}", expression, {**names, **given})


@applies_to(tokenizer)
def test_each_file_alone(checkpoint, observe, tmp_path):
    """The tokenizer loaded from one kind of file at a time, and without its configuration."""
    kinds = {
        "tokenizer.json": ["tokenizer.json"],
        "vocabulary": [*TOKENIZER_FILES[1:], "merges.txt"],
    }
    settings = [
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "config.json",
    ]
    for kind, names in kinds.items():
        for extra in (settings, ["config.json"]):
            directory = tmp_path / f"{kind}-{len(extra)}"
            directory.mkdir()
            files = [n for n in [*names, *extra] if (checkpoint.path / n).is_file()]
            for file in files:
                shutil.copy(checkpoint.path / file, directory)
            label = f"{kind} alone" if extra is settings else f"{kind} alone, no settings"
            if any((directory / name).is_file() for name in names):
                observe_loaded(
                    observe,
                    label,
                    lambda d=directory: transformers.AutoTokenizer.from_pretrained(d, **SAFE),
                    "import shutil, tempfile\n"
                    "directory = tempfile.mkdtemp()\n"
                    f"for file in {files}:\n"
                    "    shutil.copy(f'{checkpoint}/{file}', directory)\n"
                    "tokenizer = transformers.AutoTokenizer.from_pretrained(directory)",
                )


@applies_to(tokenizer)
def test_subfolder(checkpoint, observe):
    """The tokenizer loaded from a folder inside a directory."""
    path = checkpoint.path
    observe_loaded(
        observe,
        "of a subfolder",
        lambda: transformers.AutoTokenizer.from_pretrained(
            path.parent, subfolder=path.name, **SAFE
        ),
        "import os\ndirectory, folder = os.path.split(checkpoint)\n"
        "tokenizer = transformers.AutoTokenizer.from_pretrained(directory, subfolder=folder)",
    )


@applies_to(tokenizer)
def test_saved_and_reloaded(checkpoint, tokenizer, observe, tmp_path):
    """What save_pretrained writes, and the tokenizer that comes back from it."""
    observe.attempt(
        "persistence/tokenizer files",
        lambda: sorted(p.rsplit("/", 1)[-1] for p in tokenizer.save_pretrained(tmp_path)),
        group="outputs",
        reproduce="import tempfile\n"
        "sorted(p.rsplit('/', 1)[-1] for p in tokenizer.save_pretrained(tempfile.mkdtemp()))",
    )
    alone = tmp_path / "vocabulary"
    alone.mkdir()
    observe.attempt(
        "persistence/vocabulary files",
        lambda: sorted(p.rsplit("/", 1)[-1] for p in tokenizer.save_vocabulary(str(alone))),
        group="outputs",
        reproduce="import tempfile\n"
        "sorted(p.rsplit('/', 1)[-1] for p in tokenizer.save_vocabulary(tempfile.mkdtemp()))",
    )
    observe_loaded(
        observe,
        "saved and reloaded",
        lambda: transformers.AutoTokenizer.from_pretrained(tmp_path, **SAFE),
        "import tempfile\n"
        "directory = tempfile.mkdtemp()\n"
        "transformers.AutoTokenizer.from_pretrained(checkpoint).save_pretrained(directory)\n"
        "tokenizer = transformers.AutoTokenizer.from_pretrained(directory)",
    )


@applies_to(tokenizer, trait("tokenizer-json"))
def test_slow(checkpoint, observe):
    """The tokenizer asked for with use_fast=False."""
    observe_loaded(
        observe,
        "use_fast=False",
        lambda: fresh_tokenizer(checkpoint, use_fast=False),
        "tokenizer = transformers.AutoTokenizer.from_pretrained(checkpoint, use_fast=False)",
    )


def observe_loaded(observe, label, load, code) -> None:
    """The class and pipeline that a way of loading gives, and its ids for a sample of texts.

    code: Python that does the same, leaving `tokenizer`.
    """
    made = []

    def loaded():
        made.append(load())
        return type(made[0]).__name__

    observe.attempt(
        f"load/tokenizer/{label}",
        loaded,
        group="load",
        reproduce=f"{code}\ntype(tokenizer).__name__",
    )
    if not made:
        return
    observe.attempt(
        f"load/tokenizer/{label}/pipeline",
        lambda: pipeline(made[0]),
        group="load",
        reproduce=f"{code}\nstr(tokenizer.backend_tokenizer.normalizer)",
    )
    observe.attempt(
        f"load/tokenizer/{label}/length",
        lambda: len(made[0]),
        group="load",
        reproduce=f"{code}\nlen(tokenizer)",
    )
    for text in [HOSTILE, *texts()[FEW]]:
        observe.attempt(
            f"tokenization/{label}",
            lambda text=text: as_ids(made[0](text)["input_ids"], made[0]),
            input=text,
            reproduce=f"{code}\n" + source("tokenizer(text)['input_ids']", {"text": text}, text),
        )


def pipeline(tokenizer):
    """Which library a tokenizer runs in, and the parts around its model as that one prints them."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return {"backend": "Python"}
    parts = {part: str(getattr(backend, part))[:400] for part in PIPELINE}
    return {"backend": "tokenizers", **parts}
