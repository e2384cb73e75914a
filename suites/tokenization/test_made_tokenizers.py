"""Tokenizers made of files that say what is uncommon, and those trained anew: they do as the files say."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from fixtures.applicability import Predicate, applies_to, beside_one
from fixtures.lazy import tokenizers, transformers
from fixtures.loading import SAFE, fresh_tokenizer
from fixtures.published import BYTES, MBART_CODES, PIECES, SENTINELS, WORDS
from fixtures.publishing import CONTROL, published, write_names, write_vocabulary
from fixtures.raw_tokenizer import sentencepiece_model
from fixtures.reference.unigram import USER_DEFINED, read_model
from fixtures.texts import PLAIN, TEXTS
from fixtures.tokenizer_files import by_codes, language_codes, vocabulary
from fixtures.tokenizing import content, framed, private, reloaded

PAIR = ("one two", "three")
FLAGS = ("lstrip", "rstrip", "single_word", "normalized", "special")
TRAINED = ("roberta-masked", "bert-masked", "mbart-random", "llama-yarn")
trained = Predicate("one of each kind that can be trained anew", lambda c: c.name in TRAINED)
ROOM = 320  # for an alphabet of bytes, and for languages


def renamed(family):
    """The family with a special token of its own for every name."""
    special = {name: f"<the_{name}>" for name in family.special}
    ends = {family.special[n]: special[n] for n in ("sep", "cls") if n in family.special}

    def frame(parts):
        cut = (part.partition(":") for part in parts.split())
        return " ".join(f"{ends.get(token, token)}{mark}{kind}" for token, mark, kind in cut)

    return replace(family, special=special, single=frame(family.single), pair=frame(family.pair))


# Tang et al. 2020: the languages of mBART-50 that mBART has not, in the order of its dictionary.
LATER_CODES = (
    "af_ZA az_AZ bn_IN fa_IR he_IL hr_HR id_ID ka_GE km_KH mk_MK ml_IN mn_MN mr_IN pl_PL ps_AF pt_XX "
    "sv_SE sw_KE ta_IN te_IN th_TH tl_XX uk_UA ur_PK xh_ZA gl_ES sl_SI"
).split()
OF_NAME = {family.name: family for family in reversed(PIECES)}
T5, MBART = OF_NAME["T5Tokenizer"], OF_NAME["MBartTokenizer"]
MBART50 = replace(
    MBART,
    name="MBart50Tokenizer",
    single="en_XX $A </s>",
    pair="en_XX $A $B </s>",
    tail=(*MBART_CODES, *LATER_CODES, "<mask>"),
)
FEWER = replace(T5, tail=SENTINELS[-10:], options={"extra_ids": 10})
# Symbols of a sentencepiece model, and of which type it says they are.
SYMBOLS = {"<mine>": USER_DEFINED, "<theirs>": CONTROL}
NAMES = {family.name: family for family in reversed((*BYTES, *WORDS))}.values()


def made(checkpoint, family, directory, **said):
    """The library's tokenizer of a family's vocabulary files, its release, and how it was asked for."""
    donor = checkpoint.path.parent / family.donor
    write_names(family, directory)
    write_vocabulary(family, donor, directory)
    config = directory / "tokenizer_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | said), encoding="utf-8")
    options = dict(family.options or {})
    own = transformers.AutoTokenizer.from_pretrained(directory, **SAFE, **options)
    return own, published(family, donor), f"AutoTokenizer.from_pretrained({family}, {said})"


def behind_the_first_word(pieces):
    """Pieces from the second word on: whether a text begins with a space of sentencepiece's is told elsewhere."""
    starts = (i for i, piece in enumerate(pieces) if i and piece.startswith("\u2581"))
    return pieces[next(starts, len(pieces)) :]


@applies_to(beside_one)
@pytest.mark.parametrize("family", NAMES, ids=str)
def test_special_tokens_are_those_named(checkpoint, expect, tmp_path, family):
    """Whatever tokenizer_config.json calls the special tokens, each has its use under that name."""
    other = renamed(family)
    said = {f"{name}_token": token for name, token in other.special.items()}
    own, raw, call = made(checkpoint, other, tmp_path, **said)
    got = {name: getattr(own, name) for name in said}
    expect.equal(got, said, f"special tokens of {call}")
    ids = {name: getattr(own, f"{name}_id") for name in said}
    want = {name: raw.token_to_id(token) for name, token in said.items()}
    expect.equal(ids, want, f"special ids of {call}")
    for texts in (PAIR[:1], PAIR, ("one \u2603 two",)):
        ids = raw.encode(*texts).ids
        expect.equal(own(*texts)["input_ids"], ids, f"{call}(*texts)['input_ids']", texts=texts)


@applies_to(beside_one)
@pytest.mark.parametrize("family", [FEWER, MBART50], ids=lambda family: family.name)
def test_tokens_behind_the_pieces_are_as_many_as_told(checkpoint, expect, tmp_path, family):
    """A class that adds tokens to a sentencepiece model gives them the ids of its release, in order."""
    own, raw, call = made(checkpoint, family, tmp_path)
    ids = [raw.token_to_id(token) for token in family.tail]
    got = own.convert_tokens_to_ids([*family.tail])
    expect.equal(got, ids, f"{call}.convert_tokens_to_ids(tokens)", tokens=family.tail)
    expect.equal(len(own), raw.get_vocab_size(), f"len({call})")
    for texts in (PAIR[:1], (f"{family.tail[3]} one",)):
        want = raw.encode(*texts).ids
        expect.equal(own(*texts)["input_ids"], want, f"{call}(*texts)['input_ids']", texts=texts)


@applies_to(beside_one)
@pytest.mark.parametrize("family", OF_NAME.values(), ids=lambda family: family.name)
def test_symbols_of_the_user_are_text(checkpoint, expect, tmp_path, family):
    """Of a sentencepiece model, symbols that its user defined stay whole and are text; control symbols are not."""
    directory, donor = tmp_path, checkpoint.path.parent / family.donor
    write_names(family, directory)
    write_vocabulary(family, donor, directory)
    model = read_model(directory / family.file)
    for token, kind in SYMBOLS.items():
        model.pieces.add(piece=token, score=0.0, type=kind)
    (directory / family.file).write_bytes(model.SerializeToString())
    own = transformers.AutoTokenizer.from_pretrained(directory, **SAFE)
    call = f"AutoTokenizer.from_pretrained(directory of {family.name}, a model with {SYMBOLS})"
    got = [token for token in own.tokenize("one <mine> two <theirs>") if token in SYMBOLS]
    expect.equal(got, [*SYMBOLS], f"{call}.tokenize('one <mine> two <theirs>')")
    back = own.decode(own("one <mine> two <theirs>")["input_ids"], skip_special_tokens=True)
    kept = [token for token in SYMBOLS if token in back]
    expect.equal(kept, ["<mine>"], f"{call}.decode(ids, skip_special_tokens=True)")


@applies_to(Predicate("a sentencepiece model alone", lambda c: c.name == "llama-spm-only"))
@pytest.mark.parametrize("family", ["llama", "mistral"])
def test_a_model_of_pieces_is_enough(checkpoint, expect, tmp_path, family):
    """Of a sentencepiece model and its family's name, a tokenizer knows its special tokens and cuts words as the model."""
    (tmp_path / "tokenizer.model").write_bytes((checkpoint.path / "tokenizer.model").read_bytes())
    (tmp_path / "config.json").write_text(json.dumps({"model_type": family}), encoding="utf-8")
    own = transformers.AutoTokenizer.from_pretrained(tmp_path, **SAFE)
    model, call = sentencepiece_model(checkpoint), f"AutoTokenizer.from_pretrained(a {family}'s)"
    ids = {name: getattr(model, f"{name}_id")() for name in ("unk", "bos", "eos")}
    want = {name: model.id_to_piece(number) for name, number in ids.items()}
    got = {name: getattr(own, f"{name}_token") for name in want}
    expect.equal(got, want, f"special tokens of {call}")
    got = {name: getattr(own, f"{name}_token_id") for name in want}
    expect.equal(got, ids, f"special ids of {call}")
    number = own.convert_tokens_to_ids("no such token")
    expect.equal(number, ids["unk"], f"{call}.convert_tokens_to_ids('no such token')")
    for text in PLAIN:
        want = behind_the_first_word([model.id_to_piece(i) for i in model.encode(text)])
        got = behind_the_first_word(own.tokenize(text))
        expect.equal(got, want, f"{call}.tokenize(text), behind the first word", text=text)


@applies_to(by_codes)
def test_languages_given_at_loading_are_saved(checkpoint, tokenizer, expect, tmp_path):
    """Languages given to from_pretrained are those of the tokenizer, and again after saving."""
    source, target = language_codes(checkpoint)[1:3]
    said = {"src_lang": source, "tgt_lang": target}
    first = fresh_tokenizer(checkpoint, **said)
    call = f"AutoTokenizer.from_pretrained({str(checkpoint.path)!r}, **{said})"
    text, known = TEXTS["greeting"], vocabulary(checkpoint)
    inner = content(tokenizer, text)
    for own, how in ((first, call), (reloaded(first, tmp_path), f"{call}, saved and loaded")):
        expect.equal({name: getattr(own, name) for name in said}, said, f"languages of {how}")
        got = own(text, text_target=text)
        for key, code in (("input_ids", source), ("labels", target)):
            want = framed(checkpoint, known[code], own.eos_token_id, inner)
            expect.equal(got[key], want, f"{how}(text, text_target=text)[{key!r}]", text=text)


@applies_to(trained)
def test_training_anew_keeps_flags(checkpoint, tokenizer, expect):
    """Special tokens of a tokenizer trained anew take the spaces and the words beside them that they took."""
    own = private(tokenizer)
    own.add_tokens(
        [
            tokenizers.AddedToken("<wide>", lstrip=True, rstrip=True, normalized=False),
            tokenizers.AddedToken("<word>", single_word=True, normalized=False),
        ],
        special_tokens=True,
    )
    new = own.train_new_from_iterator([["one two"]], vocab_size=ROOM, show_progress=False)
    call = "tokenizer.train_new_from_iterator(texts, vocab_size), <wide> and <word> added before"
    names = [*tokenizer.all_special_tokens, "<wide>", "<word>"]

    def flags(one):
        told = {str(token): token for token in one.added_tokens_decoder.values()}
        return {n: {f: getattr(told[n], f) for f in FLAGS} for n in names if n in told}

    expect.equal(flags(new), flags(own), f"flags of the special tokens of {call}")
    for name in ("<wide>", "<word>"):
        ids = new.convert_tokens_to_ids([name])
        text = f"one {name} two"
        got = [token for token in new(text)["input_ids"] if token in ids]
        expect.equal(got, ids, f"ids of {name} in {call}(text)['input_ids']", text=text)
