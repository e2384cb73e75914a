"""The vocabulary: tokens and ids are one to one and are the files'."""

from __future__ import annotations

from fixtures.applicability import Predicate, applies_to, convention, has_fact, text_model, trait
from fixtures.texts import TEXTS
from fixtures.tokenizer_files import encodes, knows_vocabulary, vocabulary
from fixtures.tokenizing import content
from fixtures.traits import BARE

# What has no vocabulary takes one character or byte for a token, and no word.
spells = encodes & Predicate(
    "a vocabulary", lambda c: c.tokenizer_config.get("tokenizer_class") not in BARE
)


@applies_to(knows_vocabulary)
def test_vocabulary_is_the_files(checkpoint, tokenizer, expect):
    """Every token of the files has its id in the vocabulary, and there are no others."""
    want, got = vocabulary(checkpoint), tokenizer.get_vocab()
    wrong = {
        token: (got.get(token), number)
        for token, number in want.items()
        if got.get(token) != number
    }
    expect.equal(
        dict(list(wrong.items())[:5]),
        {},
        "{t: tokenizer.get_vocab()[t]} where it is not the files' id",
    )
    extra = (
        set(got) - set(want) - set(tokenizer.all_special_tokens) - set(tokenizer.get_added_vocab())
    )
    # a line of white space in vocab.txt has no sure name
    extra = {token for token in extra if token == token.strip() and token not in ("", "##")}
    expect.equal(sorted(extra)[:5], [], "sorted(tokenizer.get_vocab()), less the files' tokens")


@applies_to(spells)
def test_ids_and_tokens_are_inverse(checkpoint, tokenizer, expect):
    """Over the whole vocabulary an id's token has that id."""
    numbers = sorted(set(tokenizer.get_vocab().values()))
    tokens = tokenizer.convert_ids_to_tokens(numbers)
    back = tokenizer.convert_tokens_to_ids(tokens)
    wrong = [(i, t, b) for i, t, b in zip(numbers, tokens, back, strict=True) if i != b]
    # sentencepiece files may hold one piece twice; the first id is the piece's
    wrong = [row for row in wrong if tokens.count(row[1]) == 1]
    expect.equal(
        wrong[:5],
        [],
        "[(i, t, tokenizer.convert_tokens_to_ids(t)) for i, t in enumerate(tokenizer.convert_ids_to_tokens(range(len(tokenizer))))], where they differ",
    )


@applies_to(encodes)
def test_conversion_takes_one_or_many(checkpoint, tokenizer, expect):
    """One id or token converts to what a list of one converts to."""
    number = len(tokenizer.get_vocab()) // 2
    token = tokenizer.convert_ids_to_tokens(number)
    expect.equal(
        tokenizer.convert_ids_to_tokens([number]),
        [token],
        "tokenizer.convert_ids_to_tokens([i])",
        i=number,
    )
    expect.equal(
        tokenizer.convert_tokens_to_ids(token),
        tokenizer.convert_tokens_to_ids([token])[0],
        "tokenizer.convert_tokens_to_ids(token)",
        token=token,
    )


@applies_to(encodes)
def test_conversion_skips_special_tokens(checkpoint, tokenizer, expect):
    """convert_ids_to_tokens leaves special tokens out when asked."""
    special = list(tokenizer.all_special_ids)[:1]
    others = sorted({*tokenizer.get_vocab().values()} - {*tokenizer.all_special_ids})[:1]
    got = tokenizer.convert_ids_to_tokens([*special, *others], skip_special_tokens=True)
    expect.equal(
        got,
        tokenizer.convert_ids_to_tokens(others),
        "tokenizer.convert_ids_to_tokens(ids, skip_special_tokens=True)",
        ids=[*special, *others],
    )


@applies_to(spells)
def test_unknown_tokens_have_the_unknown_id(checkpoint, tokenizer, expect):
    """A token outside the vocabulary converts to the unknown id, or to None where there is none."""
    got = tokenizer.convert_tokens_to_ids("\u0f3a not a token \u0f3b")
    expect.equal(
        got, tokenizer.unk_token_id, "tokenizer.convert_tokens_to_ids('\u0f3a not a token \u0f3b')"
    )


@applies_to(encodes)
def test_length_counts_the_vocabulary(checkpoint, tokenizer, expect, observe):
    """len(tokenizer) is the number of ids, added tokens included; vocab_size leaves those out."""
    observe("tokenization/size", len(tokenizer))
    got = len(set(tokenizer.get_vocab().values()))
    expect.equal(len(tokenizer), got, "len(tokenizer)")
    expect.true(
        tokenizer.vocab_size <= len(tokenizer),
        tokenizer.vocab_size,
        f"at most {len(tokenizer)}",
        "tokenizer.vocab_size",
    )


@convention
@applies_to(text_model, encodes)
def test_every_id_has_an_embedding(checkpoint, tokenizer, expect):
    """The embedding table of config.json has a row for every id of the tokenizer."""
    rows = checkpoint.config["vocab_size"]
    largest = max(tokenizer.get_vocab().values())
    expect.true(
        largest < rows,
        largest,
        f"below {rows}, config.json's vocab_size",
        "max(tokenizer.get_vocab().values())",
    )


@applies_to(has_fact("vocab-size"))
def test_vocabulary_size_facts(checkpoint, tokenizer, expect):
    """The vocabulary has the size that the catalogue knows from elsewhere."""
    for fact in checkpoint.facts_of("vocab-size"):
        expect.equal(len(tokenizer), fact.expect, "len(tokenizer)")


# A trainer for each algorithm, and the special tokens of each family.
TRAINED = ("bert-random", "roberta-random", "llama-yarn", "t5-random", "mbart-random")
trains = Predicate("one of each kind that can be trained anew", lambda c: c.name in TRAINED)
ROOM = 320  # for an alphabet of bytes, or for what T5 keeps, and a few words


def framed(tokenizer, *texts):
    """The special tokens around texts."""
    tokens = tokenizer.convert_ids_to_tokens(tokenizer(*texts)["input_ids"])
    return [token for token in tokens if token in tokenizer.all_special_tokens]


@applies_to(trains)
def test_training_anew_keeps_the_frame(checkpoint, tokenizer, expect):
    """A tokenizer trained anew learns words from its texts, and keeps its special tokens and its limit."""
    texts = ["banana Bandana"] * 40
    new = tokenizer.train_new_from_iterator(
        [texts], vocab_size=ROOM, new_special_tokens=["<new>"], show_progress=False
    )
    call = "tokenizer.train_new_from_iterator(texts, vocab_size, new_special_tokens=['<new>'])"
    expect.true(len(new) <= ROOM, len(new), f"at most {ROOM}", f"len({call})", texts=texts)
    for given in (("banana",), ("banana", "Bandana")):
        expect.equal(framed(new, *given), framed(tokenizer, *given), f"{call}(*{given})")
    wanted = sorted({*tokenizer.all_special_tokens})
    lost = [token for token in wanted if token not in new.all_special_tokens]
    expect.equal(lost, [], f"special tokens that {call} lost", texts=texts)
    expect.equal(len(new.tokenize("<new>")), 1, f"len({call}.tokenize('<new>'))", texts=texts)
    learnt = new.tokenize(texts[0])
    expect.true(len(learnt) < 13, learnt, "fewer pieces than letters", f"{call}.tokenize")
    expect.equal(new.model_max_length, tokenizer.model_max_length, f"{call}.model_max_length")


@applies_to(trains, trait("byte-level"))
def test_training_anew_keeps_every_byte(checkpoint, tokenizer, expect):
    """Trained on texts that lack most letters, a tokenizer of bytes still spells every text."""
    new = tokenizer.train_new_from_iterator([["banana"]], vocab_size=ROOM, show_progress=False)
    call = "decode(encode(text)) of tokenizer.train_new_from_iterator([['banana']], vocab_size)"
    for text in (TEXTS["emoji"], TEXTS["cyrillic"]):
        back = new.decode(content(new, text), clean_up_tokenization_spaces=False)
        expect.equal(back.strip(), text, call, text=text)
