"""The wide walk over texts: ids, offsets, decoded text, pairs, batches and chats."""

from __future__ import annotations

import shutil

from fixtures.applicability import applies_to, tokenizer, trait
from fixtures.lazy import transformers
from fixtures.loading import SAFE, fresh_tokenizer
from fixtures.traits import TOKENIZER_FILES, added_tokens
from fixtures.walk import BATCHES, CHATS, HOSTILE, PAIRS, special_texts, texts

SAMPLE = slice(None, None, 16)
FEW = slice(None, None, 40)


@applies_to(tokenizer)
def test_encoding(checkpoint, tokenizer, observe):
    """The ids of several hundred texts, with and without special tokens, and their decoding."""
    for text in [*texts(), *special_texts(checkpoint)]:
        ids = observe.attempt(
            "tokenization/ids",
            lambda text=text: as_ids(tokenizer(text)["input_ids"], tokenizer),
            input=text,
            reproduce="tokenizer({input!r})['input_ids']",
        )
        if ids is None or len(text) % 3 == 0:
            continue
        observe.attempt(
            "tokenization/decoded",
            lambda ids=ids: tokenizer.decode(ids["data"], skip_special_tokens=True),
            input=text,
            reproduce="tokenizer.decode(tokenizer({input!r})['input_ids'], skip_special_tokens=True)",
        )


@applies_to(tokenizer)
def test_encoding_details(checkpoint, tokenizer, observe):
    """Tokens, offsets, masks and the other switches, on a sample of the texts."""
    for text in [HOSTILE, *texts()[SAMPLE], *list(special_texts(checkpoint))[SAMPLE]]:

        def seen(name, call, text=text):
            return observe.attempt(f"tokenization/{name}", call, input=text)

        ids = seen(
            "ids without special tokens",
            lambda text=text: as_ids(tokenizer(text, add_special_tokens=False)["input_ids"]),
        )
        seen("tokens", lambda text=text: tokenizer.tokenize(text))
        seen("encode", lambda text=text: as_ids(tokenizer.encode(text)))
        if tokenizer.is_fast:
            seen(
                "offsets",
                lambda text=text: [
                    list(o) for o in tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
                ],
            )
        seen(
            "special mask",
            lambda text=text: tokenizer(text, return_special_tokens_mask=True)[
                "special_tokens_mask"
            ],
        )
        seen(
            "truncated",
            lambda text=text: as_ids(tokenizer(text, truncation=True, max_length=8)["input_ids"]),
        )
        seen("keys", lambda text=text: sorted(tokenizer(text).keys()))
        if ids is not None:
            for clean in (True, False):
                seen(
                    f"decoded with clean up {clean}",
                    lambda ids=ids, clean=clean: tokenizer.decode(
                        ids["data"], clean_up_tokenization_spaces=clean
                    ),
                )
            seen(
                "decoded token by token",
                lambda ids=ids: [tokenizer.decode([i]) for i in ids["data"][:30]],
            )


@applies_to(tokenizer)
def test_pairs_and_batches(checkpoint, observe):
    """Pairs, padded batches, pretokenized words, truncation strategies."""
    tokenizer = fresh_tokenizer(checkpoint)
    for pair in PAIRS:
        observe.attempt(
            "tokenization/pair", lambda pair=pair: dict(tokenizer(*pair)), input=repr(pair)
        )
        for strategy in ("longest_first", "only_first", "only_second"):
            observe.attempt(
                f"tokenization/pair truncated {strategy}",
                lambda pair=pair, s=strategy: dict(tokenizer(*pair, truncation=s, max_length=9)),
                input=repr(pair),
            )
    for batch in BATCHES:
        for options in (
            {"padding": True},
            {"padding": "max_length", "max_length": 20},
            {"padding": True, "pad_to_multiple_of": 8},
            {"padding": True, "padding_side": "left"},
        ):
            observe.attempt(
                f"tokenization/batch {options}",
                lambda b=batch, o=options: dict(tokenizer(list(b), **o)),
                input=repr(batch),
            )
        observe.attempt(
            "tokenization/words",
            lambda b=batch: dict(tokenizer([b[0].split(), b[1].split()], is_split_into_words=True)),
            input=repr(batch),
        )
        observe.attempt(
            "tokenization/batch decoded",
            lambda b=batch: tokenizer.batch_decode(tokenizer(list(b))["input_ids"]),
            input=repr(batch),
        )


@applies_to(tokenizer)
def test_vocabulary(checkpoint, tokenizer, observe):
    """What single ids and tokens convert to, and what decoding each id gives."""
    size = len(tokenizer)
    ids = sorted({*range(0, size, max(1, size // 200)), *range(max(0, size - 30), size)})
    observe.attempt("tokenization/tokens of ids", lambda: tokenizer.convert_ids_to_tokens(ids))
    observe.attempt("tokenization/decoded ids", lambda: [tokenizer.decode([i]) for i in ids])
    tokens = added_tokens(checkpoint.path)[:100]
    observe.attempt(
        "tokenization/ids of added tokens", lambda: tokenizer.convert_tokens_to_ids(tokens)
    )
    observe.attempt(
        "tokenization/id of an unknown token",
        lambda: tokenizer.convert_tokens_to_ids("no such token, surely"),
    )


@applies_to(tokenizer)
def test_chats(checkpoint, tokenizer, observe):
    """Chats rendered by the template, as text and as ids."""
    for name, chat in CHATS.items():
        for prompt in (False, True):
            observe.attempt(
                f"tokenization/chat, generation prompt {prompt}",
                lambda c=chat, p=prompt: tokenizer.apply_chat_template(
                    c, tokenize=False, add_generation_prompt=p
                ),
                input=name,
            )
        observe.attempt(
            "tokenization/chat ids",
            lambda c=chat: as_ids(
                tokenizer.apply_chat_template(c, tokenize=True, return_dict=False)
            ),
            input=name,
        )
        observe.attempt(
            "tokenization/chat default type",
            lambda c=chat: type(tokenizer.apply_chat_template(c)).__name__,
            input=name,
        )


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
            for file in [*names, *extra]:
                if (checkpoint.path / file).is_file():
                    shutil.copy(checkpoint.path / file, directory)
            label = f"{kind} alone" if extra is settings else f"{kind} alone, no settings"
            if any((directory / name).is_file() for name in names):
                observe_loaded(
                    observe,
                    label,
                    lambda d=directory: transformers.AutoTokenizer.from_pretrained(d, **SAFE),
                )


@applies_to(tokenizer)
def test_saved_and_reloaded(checkpoint, tokenizer, observe, tmp_path):
    """What save_pretrained writes, and the tokenizer that comes back from it."""
    observe.attempt(
        "persistence/tokenizer files",
        lambda: sorted(p.rsplit("/", 1)[-1] for p in tokenizer.save_pretrained(tmp_path)),
        group="outputs",
    )
    observe_loaded(
        observe,
        "saved and reloaded",
        lambda: transformers.AutoTokenizer.from_pretrained(tmp_path, **SAFE),
    )


@applies_to(tokenizer, trait("tokenizer-json"))
def test_slow(checkpoint, observe):
    """The tokenizer asked for with use_fast=False."""
    observe_loaded(observe, "use_fast=False", lambda: fresh_tokenizer(checkpoint, use_fast=False))


def observe_loaded(observe, label, load) -> None:
    """The class a way of loading gives, and its ids for a sample of texts."""
    made = []

    def loaded():
        made.append(load())
        return type(made[0]).__name__

    observe.attempt(f"load/tokenizer/{label}", loaded, group="load")
    for text in [HOSTILE, *texts()[FEW]] if made else ():
        observe.attempt(
            f"tokenization/{label}",
            lambda text=text: as_ids(made[0](text)["input_ids"]),
            input=text,
        )


def as_ids(ids, tokenizer=None):
    """Ids as the record keeps them; with their tokens when they are few enough to read."""
    value = {"type": "ids", "data": [int(i) for i in ids]}
    if tokenizer is not None and len(value["data"]) <= 16:
        value["tokens"] = tokenizer.convert_ids_to_tokens(value["data"])
    return value
