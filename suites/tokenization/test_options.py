"""Options of loading and of calling, and what a call gives besides ids."""

from __future__ import annotations

import itertools

import pytest

from fixtures.applicability import (
    Predicate,
    applies_to,
    convention,
    model_type,
    trait,
    walk_sample,
)
from fixtures.loading import fresh_tokenizer
from fixtures.reference.unigram import SPACE
from fixtures.texts import TEXTS
from fixtures.tokenizer_families import TRANSLATING, family
from fixtures.tokenizer_files import (
    built_of_vocabulary,
    encodes,
    fast,
    has_pad_token,
    raw_json,
)
from fixtures.tokenizing import around, content, ids, private

TEXT = TEXTS["greeting"]
LONG = TEXTS["contractions"]
TRIO = ["a", TEXT, LONG]

frames_targets = Predicate("targets framed otherwise", lambda c: family(c) in TRANSLATING)


def of_class(name: str, model_type: str) -> Predicate:
    """Whose tokenizer_config.json names this class, or the older fast one of it, for its own family."""
    known = {name, f"{name}Fast"}
    return encodes & Predicate(
        name,
        lambda c: c.tokenizer_config.get("tokenizer_class") in known and c.model_type == model_type,
    )


bert = of_class("BertTokenizer", "bert") | of_class("DistilBertTokenizer", "distilbert")


@applies_to(of_class("GPT2Tokenizer", "gpt2") | of_class("RobertaTokenizer", "roberta"))
def test_prefix_space_is_added_when_asked(checkpoint, tokenizer, expect):
    """With add_prefix_space a text is encoded as one that begins with a space."""
    asked = fresh_tokenizer(checkpoint, add_prefix_space=True)
    plain = fresh_tokenizer(checkpoint, add_prefix_space=False)
    call = "AutoTokenizer.from_pretrained(path, add_prefix_space=True)(text)['input_ids']"
    expect.equal(ids(asked, TEXT), ids(plain, f" {TEXT}"), call, text=TEXT)


def _basic(checkpoint) -> bool:
    """Whether a tokenizer.json, where there is one, normalises as BERT's BasicTokenizer does."""
    normalizer = raw_json(checkpoint).get("normalizer") or {}
    return "tokenizer-json" not in checkpoint.traits or normalizer.get("type") == "BertNormalizer"


@applies_to(bert, Predicate("BERT's words", _basic))
@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ((True, False, False), "été 日本"),
        ((True, True, False), "ete 日本"),
        ((False, False, False), "Été 日本"),
        ((True, True, True), "ete 日 本"),
    ],
    ids=["accents-kept", "lower", "as-it-is", "chinese-split"],
)
def test_text_is_normalised_as_asked(checkpoint, expect, asked, words):
    """Case, accents and Chinese characters given to from_pretrained act (Devlin et al.'s BasicTokenizer)."""
    names = ("do_lower_case", "strip_accents", "tokenize_chinese_chars")
    options = dict(zip(names, asked, strict=True))
    text, own = "Été 日本", fresh_tokenizer(checkpoint, **options).backend_tokenizer
    normalised = own.normalizer.normalize_str(text)
    got = " ".join(word for word, _ in own.pre_tokenizer.pre_tokenize_str(normalised))
    call = "the words of AutoTokenizer.from_pretrained(path, **options).backend_tokenizer"
    expect.equal(got, words, call, options=options, text=text)


@applies_to(fast & has_pad_token)
def test_length_is_that_of_the_ids(checkpoint, tokenizer, expect):
    """return_length gives the number of ids of each row, padding included."""
    for options in ({}, {"padding": True}):
        got = tokenizer(TRIO, return_length=True, **options)
        want = [len(row) for row in got["input_ids"]]
        call = "tokenizer(texts, return_length=True, **options)['length']"
        expect.equal(list(got["length"]), want, call, texts=TRIO, options=options)


@applies_to(encodes)
def test_moving_to_a_device_changes_nothing(checkpoint, tokenizer, expect):
    """`.to` moves tensors, and leaves lists as they are."""
    want = dict(tokenizer(TRIO))
    expect.equal(dict(tokenizer(TRIO).to("cpu")), want, 'tokenizer(texts).to("cpu")', texts=TRIO)
    got = tokenizer(TEXT, return_tensors="pt").to("cpu")["input_ids"]
    call = 'tokenizer(text, return_tensors="pt").to("cpu")["input_ids"]'
    expect.equal(got, [ids(tokenizer, TEXT)], call, text=TEXT)


@applies_to(fast, ~frames_targets)
def test_targets_are_texts_too(checkpoint, tokenizer, expect):
    """text_target beside a text gives its ids as labels; alone, it is encoded as a text is."""
    want = tokenizer(LONG)
    got, call = tokenizer(TEXT, text_target=LONG), "tokenizer(text, text_target=target)"
    expect.equal(
        dict(got),
        dict(tokenizer(TEXT)) | {"labels": want["input_ids"]},
        call,
        text=TEXT,
        target=LONG,
    )
    got, call = tokenizer(text_target=LONG), "tokenizer(text_target=target)"
    expect.equal(dict(got), dict(want), call, target=LONG)
    for pairs in ({"text_pair": TEXT}, {"text_pair_target": TEXT}):
        labels = tokenizer(TEXT, text_target=LONG, **pairs)["labels"]
        want = tokenizer(LONG, pairs.get("text_pair_target"))["input_ids"]
        call = f"tokenizer(text, text_target=target, **{pairs})['labels']"
        expect.equal(labels, want, call, text=TEXT, target=LONG)
    cut = {"truncation": True, "max_length": 6}
    labels = tokenizer(LONG, text_target=LONG, **cut)["labels"]
    call = "tokenizer(text, text_target=text, **options)['labels']"
    expect.equal(labels, tokenizer(LONG, **cut)["input_ids"], call, text=LONG, options=cut)


@applies_to(fast, ~frames_targets, walk_sample)
def test_targets_have_a_maximum_of_their_own(checkpoint, tokenizer, expect):
    """max_target_length cuts the target alone, max_length the text."""
    options = {"truncation": True, "max_length": 8, "max_target_length": 5}
    got = tokenizer(LONG, text_target=LONG, **options)
    want = [tokenizer(LONG, truncation=True, max_length=n)["input_ids"] for n in (8, 5)]
    call = "tokenizer(text, text_target=text, **options)"
    expect.equal([got["input_ids"], got["labels"]], want, call, text=LONG, options=options)


@applies_to(encodes)
def test_special_ids_are_skipped_in_conversion(checkpoint, tokenizer, expect):
    """convert_ids_to_tokens leaves out every special token when asked, and nothing else."""
    special = list(tokenizer.all_special_ids)
    row = [*special, *content(tokenizer, TEXT), *special]
    want = [tokenizer.convert_ids_to_tokens(i) for i in row if i not in special]
    got = tokenizer.convert_ids_to_tokens(row, skip_special_tokens=True)
    call = "tokenizer.convert_ids_to_tokens(ids, skip_special_tokens=True)"
    expect.equal(got, want, call, ids=row)


@applies_to(encodes)
def test_room_for_text_is_what_special_tokens_leave(checkpoint, tokenizer, expect):
    """max_len_single_sentence and _sentences_pair are the maximum less the special tokens."""
    for pair, name in enumerate(("max_len_single_sentence", "max_len_sentences_pair")):
        added = tokenizer.num_special_tokens_to_add(pair=bool(pair))
        want = tokenizer.model_max_length - added
        expect.equal(getattr(tokenizer, name), want, f"tokenizer.{name}")


@applies_to(fast & has_pad_token)
def test_each_call_has_its_own_settings(checkpoint, tokenizer, expect):
    """Another side or length than in the call before is the one that acts."""
    own = private(tokenizer)
    for length in (12, 17, 9):
        options = {"padding": "max_length", "max_length": length, "truncation": True}
        got = [len(row) for row in own(["a", "b"], **options)["input_ids"]]
        call = "[len(row) for row in tokenizer(['a', 'b'], **options)['input_ids']]"
        expect.equal(got, [length, length], call, options=options)
    before, behind = around(own, LONG)
    inner, options = content(own, LONG), {"truncation": True, "max_length": 9}
    room = 9 - len(before) - len(behind)
    for side in ("left", "right", "left"):
        own.truncation_side = side
        want = [*before, *(inner[-room:] if side == "left" else inner[:room]), *behind]
        call = "[setattr(tokenizer, 'truncation_side', side), tokenizer(text, **options)['input_ids']][-1]"
        got = own(LONG, **options)["input_ids"]
        expect.equal(got, want, call, text=LONG, side=side, options=options)


# The formats that each family's tokenizer documents for two texts, by the names of their special tokens.
FRAMES = {
    "bert": ("cls", 0, "sep", 1, "sep"),
    "distilbert": ("cls", 0, "sep", 1, "sep"),
    "roberta": ("cls", 0, "sep", "sep", 1, "sep"),
    "bart": ("cls", 0, "sep", "sep", 1, "sep"),
    "t5": (0, "eos", 1, "eos"),
}
llama = of_class("LlamaTokenizer", "llama") | of_class("LlamaTokenizer", "mistral")


def frame_of(checkpoint):
    """What two texts, by number, stand between; LLaMA's family is told so by two settings."""
    said = checkpoint.tokenizer_config
    before = ("bos",) * bool(said.get("add_bos_token", True))
    behind = ("eos",) * bool(said.get("add_eos_token", False))
    return FRAMES.get(checkpoint.model_type, (*before, 0, *behind, *before, 1, *behind))


@applies_to(built_of_vocabulary, model_type(*FRAMES) | llama)
def test_pair_stands_in_the_familys_frame(checkpoint, tokenizer, expect):
    """Built from vocabulary files alone, a tokenizer puts two texts between its family's special tokens."""
    pair, want = (TEXT, "two"), []
    for part in frame_of(checkpoint):
        named = isinstance(part, str)
        want += (
            [getattr(tokenizer, f"{part}_token_id")] if named else content(tokenizer, pair[part])
        )
    expect.equal(ids(tokenizer, *pair), want, "tokenizer(*pair)['input_ids']", pair=pair)


@applies_to(llama)
def test_ends_can_be_switched(checkpoint, tokenizer, expect):
    """add_bos_token and add_eos_token, set on LLaMA's tokenizer, act from then on, on one text and on two."""
    own, pair = private(tokenizer), (TEXT, "two")
    bos, eos = own.bos_token_id, own.eos_token_id
    inner = [content(own, text) for text in pair]
    # one of them at a time: each must act by itself
    for name, value in itertools.product(("add_bos_token", "add_eos_token"), (True, False)):
        own.add_bos_token, own.add_eos_token = not value, False
        setattr(own, name, value)
        first, last = bool(own.add_bos_token), bool(own.add_eos_token)
        want = [[bos] * first + row + [eos] * last for row in inner]
        call = f"tokenizer(*texts)['input_ids'], then tokenizer.{name} = {value}"
        expect.equal(ids(own, TEXT), want[0], call, texts=pair[:1])
        expect.equal(ids(own, *pair), want[0] + want[1], call, texts=pair)


@convention
@applies_to(built_of_vocabulary, llama, trait("sentencepiece"))
def test_no_space_is_put_in_front_unless_asked(checkpoint, expect):
    """With add_prefix_space=False the first word of LLaMA's texts is one without a space before it, and a
    space that is there comes back."""
    for asked in (True, False):
        own = fresh_tokenizer(checkpoint, add_prefix_space=asked)
        spelled = "".join(own.tokenize(TEXT)).replace(SPACE, " ")
        call = f"AutoTokenizer.from_pretrained(path, add_prefix_space={asked}).tokenize(text)"
        expect.equal(spelled, " " * asked + TEXT, call, text=TEXT)
    row = content(own, f" {TEXT}")
    back = own.decode(row, clean_up_tokenization_spaces=False)
    call = "AutoTokenizer.from_pretrained(path, add_prefix_space=False).decode(ids)"
    expect.equal(back, f" {TEXT}", call, ids=row)
