"""Saving: a tokenizer written to disk and read again is the same tokenizer."""

from __future__ import annotations

import pickle
from pathlib import Path

from fixtures.applicability import applies_to, convention, walk_sample
from fixtures.lazy import transformers
from fixtures.loading import SAFE, fresh_tokenizer
from fixtures.raw_tokenizer import from_json
from fixtures.texts import HOSTILE, PLAIN, TEXTS
from fixtures.tokenizer_files import NAMES, chats, encodes, fast, numbers_throughout
from fixtures.tokenizing import private, reloaded, resaved, saved, some_pad_token

CORPUS = [*TEXTS.values(), HOSTILE]
RELOAD = "[tokenizer.save_pretrained(folder), AutoTokenizer.from_pretrained(folder)][-1]"
NEW = ["<|kept|>", "zqxjkv"]


def behaviour(tokenizer) -> dict:
    """What a user sees of a tokenizer on the fixed texts."""
    rows = tokenizer(CORPUS)["input_ids"]
    return {
        "ids": rows,
        "content": tokenizer(CORPUS, add_special_tokens=False)["input_ids"],
        "decoded": [tokenizer.decode(row) for row in rows],
        "skipped": [tokenizer.decode(row, skip_special_tokens=True) for row in rows],
    }


def settings_of(tokenizer) -> dict:
    """Its settings and special tokens."""
    names = (
        "padding_side",
        "truncation_side",
        "model_max_length",
        "clean_up_tokenization_spaces",
        *NAMES,
    )
    said = {name: getattr(tokenizer, name) for name in names}
    return said | {
        "size": len(tokenizer),
        "special": sorted(tokenizer.all_special_tokens),
        "inputs": tokenizer.model_input_names,
    }


@applies_to(encodes)
def test_saved_tokenizer_is_the_same(checkpoint, tokenizer, expect):
    """Save and reload: the same encodings and decodings of every fixed text."""
    again = resaved(checkpoint)
    got, want = behaviour(again), behaviour(tokenizer)
    for what in want:
        for text, value, expected in zip(CORPUS, got[what], want[what], strict=True):
            expect.equal(value, expected, f"{RELOAD}(text), {what}", text=text)


@applies_to(encodes)
def test_saved_settings_are_the_same(checkpoint, tokenizer, expect):
    """Save and reload: the same special tokens, sides, limits, size and vocabulary."""
    again = resaved(checkpoint)
    expect.equal(settings_of(again), settings_of(tokenizer), f"vars({RELOAD})")
    expect.true(
        again.get_vocab() == tokenizer.get_vocab(),
        len(again.get_vocab()),
        "the same vocabulary",
        f"{RELOAD}.get_vocab()",
    )


@applies_to(encodes)
def test_settings_given_at_loading_are_saved(checkpoint, tokenizer, expect, tmp_path):
    """Sides and a padding token given to from_pretrained hold and are saved, and a side changed since."""
    sides = {"padding_side": "left", "truncation_side": "left"}
    sides["pad_token"] = tokenizer.convert_ids_to_tokens(max(tokenizer.all_special_ids, default=0))
    own = fresh_tokenizer(checkpoint, **sides)
    call = f"AutoTokenizer.from_pretrained({str(checkpoint.path)!r}, **sides)"
    got = {name: getattr(own, name) for name in sides}
    expect.equal(got, sides, f"vars({call})", sides=sides)
    own.truncation_side = "right"
    again = reloaded(own, tmp_path)
    got = {name: getattr(again, name) for name in sides}
    call = f"vars({RELOAD}) of a tokenizer loaded with sides, its truncation_side set to right"
    expect.equal(got, sides | {"truncation_side": "right"}, call, sides=sides)


@applies_to(numbers_throughout)
def test_changes_are_saved(checkpoint, tokenizer, expect, tmp_path):
    """The maximum length and tokens added after loading, special or not, are saved."""
    own = private(tokenizer)
    own.model_max_length = 123
    own.add_tokens(NEW[1:])
    own.add_tokens(NEW[:1], special_tokens=True)
    again = reloaded(own, tmp_path)
    changes = "after tokenizer.model_max_length = 123, tokenizer.add_tokens(new)"
    expect.equal(again.model_max_length, 123, f"{RELOAD}.model_max_length {changes}", new=NEW)
    text = "yes <|kept|> zqxjkv no"
    expect.equal(
        again(text)["input_ids"],
        own(text)["input_ids"],
        f"{RELOAD}(text)['input_ids'] {changes}",
        new=NEW,
        text=text,
    )
    skipped = again.decode(again(text)["input_ids"], skip_special_tokens=True)
    expect.true(
        "<|kept|>" not in skipped and "zqxjkv" in skipped,
        skipped,
        "special ones skipped",
        f"{RELOAD}.decode(ids, skip_special_tokens=True) {changes}",
        new=NEW,
        text=text,
    )


@applies_to(numbers_throughout, walk_sample)
def test_a_tokenizer_lies_in_a_subfolder(checkpoint, tokenizer, expect, tmp_path):
    """Saved in a subfolder, a tokenizer is found there, by Auto class and by its own."""
    tokenizer.save_pretrained(tmp_path / "inner")
    for loader in (transformers.AutoTokenizer, type(tokenizer)):
        again = loader.from_pretrained(tmp_path, subfolder="inner", **SAFE)
        call = f"{loader.__name__}.from_pretrained(directory, subfolder='inner').get_vocab()"
        same = again.get_vocab() == tokenizer.get_vocab()
        expect.true(same, len(again.get_vocab()), "the vocabulary that was saved", call)


@convention
@applies_to(encodes)
def test_new_pad_token_is_saved(checkpoint, tokenizer, expect, tmp_path):
    """A padding token given after loading is saved; a few families refuse another than their own."""
    own = private(tokenizer)
    own.add_special_tokens({"pad_token": "<|fill|>"})
    again = reloaded(own, tmp_path)
    got = (str(again.pad_token), again.pad_token_id)
    want = ("<|fill|>", own.convert_tokens_to_ids("<|fill|>"))
    call = "[tokenizer.add_special_tokens({'pad_token': '<|fill|>'}), "
    expect.equal(got, want, f"{call}{RELOAD}][-1].pad_token, .pad_token_id")


@applies_to(fast)
def test_saved_files_have_the_prefix(checkpoint, tokenizer, expect, tmp_path):
    """With filename_prefix every file that is saved begins with it."""
    tokenizer.save_pretrained(tmp_path, filename_prefix="mine")
    other = [file.name for file in tmp_path.iterdir() if not file.name.startswith("mine-")]
    call = "files of tokenizer.save_pretrained(folder, filename_prefix='mine') without it"
    expect.equal(other, [], call)


@applies_to(encodes)
def test_further_special_tokens_replace_or_join(checkpoint, tokenizer, expect):
    """New additional special tokens take the older ones' place, or join them when told to keep these."""
    for replace in (True, False):
        own = private(tokenizer)
        for token in ("<|one|>", "<|two|>"):
            own.add_special_tokens({"additional_special_tokens": [token]}, replace)
        listed = [t for t in ("<|one|>", "<|two|>") if t in own.all_special_tokens]
        wanted = ["<|two|>"] if replace else ["<|one|>", "<|two|>"]
        call = f"all_special_tokens, <|one|> and then <|two|> added, replacing: {replace}"
        expect.equal(listed, wanted, call)


@applies_to(fast)
def test_saved_file_encodes_alike(checkpoint, tokenizer, expect):
    """The tokenizer.json that is saved encodes, read without the library, as the tokenizer does."""
    raw = from_json(Path(saved(checkpoint).name, "tokenizer.json"))
    for text in CORPUS:
        expect.equal(
            raw.encode(text).ids,
            tokenizer(text)["input_ids"],
            "tokenizers.Tokenizer.from_file('tokenizer.json').encode(text).ids after tokenizer.save_pretrained('.')",
            text=text,
        )


@applies_to(fast)
def test_saving_leaves_no_padding_behind(checkpoint, tokenizer, expect, tmp_path):
    """A tokenizer saved after a padded, truncated call neither pads nor truncates when reloaded."""
    own = private(tokenizer)
    own.pad_token = some_pad_token(own)
    want = own(list(PLAIN))["input_ids"]
    own(list(PLAIN), padding=True, truncation=True, max_length=8)
    again = reloaded(own, tmp_path)
    expect.equal(
        again(list(PLAIN))["input_ids"],
        want,
        f"[tokenizer(texts, padding=True, truncation=True, max_length=8), {RELOAD}(texts)['input_ids']][-1]",
        texts=PLAIN,
    )


@applies_to(encodes)
def test_pickled_tokenizer_is_the_same(checkpoint, tokenizer, expect):
    """A tokenizer survives pickling, as data loaders with worker processes need it."""
    again = pickle.loads(pickle.dumps(tokenizer))
    got = [again(text)["input_ids"] for text in PLAIN]
    want = [tokenizer(text)["input_ids"] for text in PLAIN]
    expect.equal(
        got, want, "pickle.loads(pickle.dumps(tokenizer))(texts)['input_ids']", texts=PLAIN
    )
    expect.equal(
        settings_of(again), settings_of(tokenizer), "vars(pickle.loads(pickle.dumps(tokenizer)))"
    )


@applies_to(chats)
def test_saved_chat_template_is_the_same(checkpoint, tokenizer, expect, tmp_path):
    """Save and reload: the same chat template, in a file of its own or, told so, among the settings."""
    again = resaved(checkpoint)
    expect.equal(again.chat_template, tokenizer.chat_template, f"{RELOAD}.chat_template")
    tokenizer.save_pretrained(tmp_path, save_jinja_files=False)
    again = transformers.AutoTokenizer.from_pretrained(tmp_path, **SAFE)
    value = [again.chat_template, [file.name for file in tmp_path.glob("*.jinja")]]
    call = RELOAD.replace("folder)", "folder, save_jinja_files=False)", 1)
    expect.equal(value, [tokenizer.chat_template, []], f"{call}.chat_template, templates' files")
