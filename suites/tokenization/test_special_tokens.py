"""Special and added tokens: their ids are the files', and text cannot tear them apart."""

from __future__ import annotations

from fixtures.applicability import applies_to, convention, has_fact, holds_specials_as_pieces
from fixtures.lazy import tokenizers
from fixtures.raw_tokenizer import raw_tokenizer
from fixtures.texts import TEXTS
from fixtures.tokenizer_files import (
    added_tokens,
    declared_flags,
    encodes,
    fast,
    has_added_tokens,
    knows_vocabulary,
    raw_json,
    says_bos_or_eos,
    special_tokens,
    told,
    vocabulary,
)
from fixtures.tokenizing import content, ids, private, reloaded

NEW = ["<|marker|>", "zqxjkv", "\u2603man"]


@applies_to(encodes)
def test_special_tokens_are_the_files(checkpoint, tokenizer, expect, observe):
    """Each special token is the one that the files name."""
    got = {name: getattr(tokenizer, name) for name in special_tokens(checkpoint)}
    observe("tokenization/special tokens", got)
    expect.equal(got, special_tokens(checkpoint), "tokenizer.special_tokens_map")


@applies_to(knows_vocabulary)
def test_special_ids_are_the_files(checkpoint, tokenizer, expect):
    """Each special token has the id that the files give it."""
    known = vocabulary(checkpoint)
    for name, token in special_tokens(checkpoint).items():
        got = getattr(tokenizer, f"{name}_id")
        expect.true(
            got == known.get(token, got),
            got,
            f"{known.get(token)}, the id of {token!r}",
            f"tokenizer.{name}_id",
        )
        expect.equal(
            tokenizer.convert_tokens_to_ids(token),
            got,
            "tokenizer.convert_tokens_to_ids(token)",
            token=token,
        )


@applies_to(encodes)
def test_all_special_tokens_are_listed(checkpoint, tokenizer, expect):
    """all_special_tokens and all_special_ids list every named special token once, in one order."""
    tokens, numbers = tokenizer.all_special_tokens, tokenizer.all_special_ids
    named = set(special_tokens(checkpoint).values())
    expect.true(
        named <= set(tokens), tokens, f"all of {sorted(named)}", "tokenizer.all_special_tokens"
    )
    expect.true(
        len(set(tokens)) == len(tokens), tokens, "each once", "tokenizer.all_special_tokens"
    )
    expect.equal(
        tokenizer.convert_tokens_to_ids(list(tokens)),
        list(numbers),
        "tokenizer.convert_tokens_to_ids(tokenizer.all_special_tokens)",
    )


@convention
@applies_to(encodes)
def test_padding_is_told_from_text(checkpoint, tokenizer, expect):
    """The padding, unknown, mask, begin and end tokens have ids of their own."""
    roles = ("pad_token_id", "unk_token_id", "mask_token_id")
    got = {name: number for name in roles if (number := getattr(tokenizer, name)) is not None}
    ends = {tokenizer.bos_token_id, tokenizer.eos_token_id} - {None, got.get("unk_token_id")}
    distinct = len(set(got.values())) == len(got) and not ends & set(got.values())
    expect.true(
        distinct,
        got,
        f"distinct, and none of {sorted(ends)}",
        "[tokenizer.pad_token_id, tokenizer.unk_token_id, tokenizer.mask_token_id, tokenizer.eos_token_id]",
    )


@applies_to(says_bos_or_eos)
def test_bos_and_eos_are_added_as_configured(checkpoint, tokenizer, expect):
    """add_bos_token and add_eos_token of tokenizer_config.json decide how an encoded text begins and ends."""
    settings, got = checkpoint.tokenizer_config, ids(tokenizer, "a")
    said = special_tokens(checkpoint)
    for setting, name, at in (
        ("add_bos_token", "bos_token", 0),
        ("add_eos_token", "eos_token", -1),
    ):
        if settings.get(setting) is None or name not in said:
            continue
        wanted = bool(settings[setting])
        there = got[at] == getattr(tokenizer, f"{name}_id")
        expect.true(
            there == wanted, got, f"{said[name]!r} at {at}: {wanted}", 'tokenizer("a")["input_ids"]'
        )


@applies_to(has_added_tokens)
def test_added_tokens_in_text_encode_as_the_files_say(checkpoint, tokenizer, expect):
    """A text that contains added tokens, alone, between spaces or glued, has the ids that the files tell."""
    raw, tokens = raw_tokenizer(checkpoint), sorted(added_tokens(checkpoint))
    for token in dict.fromkeys(tokens[:6] + tokens[-6:]):
        for form in ("{0}", "yes {0} no", "yes{0}no", "  {0} {0}  x", "{0}\n{0}{0}"):
            text = form.format(token)
            expect.equal(
                ids(tokenizer, text),
                raw.encode(text).ids,
                "tokenizer(text)['input_ids']",
                text=text,
            )


@applies_to(encodes)
def test_special_tokens_in_text_are_one_id(checkpoint, tokenizer, expect):
    """A special token written in a text becomes its one id, between words and alone."""
    normalises = bool(raw_json(checkpoint).get("normalizer"))
    for name, token in special_tokens(checkpoint).items():
        number = getattr(tokenizer, f"{name}_id")
        # one that is normalised with the text may have got a space before it, and then needs one
        spaced = added_tokens(checkpoint).get(token, {}).get("normalized") and normalises
        for text in (token, f"yes {token} no", *(() if spaced else (f"yes{token}no",))):
            got = content(tokenizer, text)
            expect.equal(
                got.count(number) >= 1,
                True,
                "token_id in tokenizer(text, add_special_tokens=False)['input_ids']",
                text=text,
                token_id=number,
            )


@applies_to(encodes)
def test_new_tokens_are_not_split(checkpoint, tokenizer, expect):
    """Tokens added with add_tokens get the next ids, are not split, decode to themselves, and count."""
    own = private(tokenizer)
    size, base, taken = len(own), own.vocab_size, set(own.get_vocab().values())
    expect.equal(own.add_tokens(NEW), len(NEW), "tokenizer.add_tokens(new)", new=NEW)
    value, call = own.vocab_size, "[tokenizer.add_tokens(new), tokenizer.vocab_size][-1]"
    expect.equal(value, base, f"{call}, which leaves out what is added", new=NEW)
    numbers = own.convert_tokens_to_ids(NEW)
    expect.equal(
        numbers,
        sorted(set(numbers) - taken),
        "[tokenizer.add_tokens(new), tokenizer.convert_tokens_to_ids(new)][-1]",
        new=NEW,
    )
    expect.equal(
        len(own), size + len(NEW), "[tokenizer.add_tokens(new), len(tokenizer)][-1]", new=NEW
    )
    for token, number in zip(NEW, numbers, strict=True):
        text = f"yes {token} no {token} x"
        got = content(own, text)
        expect.equal(
            got.count(number),
            2,
            "[tokenizer.add_tokens(new), tokenizer(text)['input_ids']][-1].count(number)",
            new=NEW,
            text=text,
            number=number,
        )
        expect.equal(
            own.decode([number]).strip(),
            token,
            "[tokenizer.add_tokens(new), tokenizer.decode([number])][-1]",
            new=NEW,
            number=number,
        )
    expect.equal(
        own.add_tokens(NEW),
        0,
        "[tokenizer.add_tokens(new), tokenizer.add_tokens(new)][-1]",
        new=NEW,
    )


@applies_to(encodes)
def test_new_ids_convert_to_their_tokens(checkpoint, tokenizer, expect):
    """The ids of added tokens convert back to exactly the tokens that were added."""
    own = private(tokenizer)
    own.add_tokens(NEW)
    numbers = own.convert_tokens_to_ids(NEW)
    got = own.convert_ids_to_tokens(numbers)
    expect.equal(
        got,
        NEW,
        "[tokenizer.add_tokens(new), tokenizer.convert_ids_to_tokens(tokenizer.convert_tokens_to_ids(new))][-1]",
        new=NEW,
    )


@applies_to(encodes)
def test_new_tokens_leave_other_text_alone(checkpoint, tokenizer, expect):
    """Adding tokens changes no text that does not contain them."""
    own = private(tokenizer)
    own.add_tokens(NEW)
    for text in (TEXTS["greeting"], TEXTS["contractions"], TEXTS["cjk"]):
        expect.equal(
            ids(own, text),
            ids(tokenizer, text),
            "[tokenizer.add_tokens(new), tokenizer(text)['input_ids']][-1]",
            new=NEW,
            text=text,
        )


@applies_to(encodes)
def test_new_special_tokens_are_skipped(checkpoint, tokenizer, expect):
    """A token added as special is listed, kept whole, spelled out, and skipped when asked."""
    own = private(tokenizer)
    own.add_tokens(["<|new|>"], special_tokens=True)
    number = own.convert_tokens_to_ids("<|new|>")
    got = content(own, "yes <|new|> no")
    expect.equal(
        got.count(number),
        1,
        "[tokenizer.add_tokens(['<|new|>'], special_tokens=True), tokenizer('yes <|new|> no')['input_ids']][-1]",
    )
    call = "[tokenizer.add_tokens(['<|new|>'], special_tokens=True), tokenizer.decode(ids, skip_special_tokens={skip})][-1]"
    kept, skipped = own.decode(got), own.decode(got, skip_special_tokens=True)
    expect.true("<|new|>" in kept, kept, "the token spelled out", call.format(skip=False), ids=got)
    expect.true(
        "<|new|>" not in skipped, skipped, "the token skipped", call.format(skip=True), ids=got
    )


@applies_to(encodes)
def test_special_token_can_be_replaced(checkpoint, tokenizer, expect):
    """A new mask token given by add_special_tokens is the mask token, under an id of its own."""
    own = private(tokenizer)
    own.add_special_tokens({"mask_token": "<|hidden|>"})
    call = "[tokenizer.add_special_tokens({'mask_token': '<|hidden|>'}), tokenizer.mask_token][-1]"
    expect.equal(str(own.mask_token), "<|hidden|>", call)
    expect.equal(
        own.mask_token_id,
        own.convert_tokens_to_ids("<|hidden|>"),
        call.replace("mask_token]", "mask_token_id]"),
    )
    expect.true(
        "<|hidden|>" in own.all_special_tokens,
        own.all_special_tokens,
        "the new token among them",
        call.replace("tokenizer.mask_token]", "tokenizer.all_special_tokens]"),
    )
    got = content(own, "yes <|hidden|> no")
    expect.equal(
        got.count(own.mask_token_id),
        1,
        call.replace("tokenizer.mask_token]", "tokenizer('yes <|hidden|> no')['input_ids']]"),
    )


@convention
@applies_to(fast)
def test_named_tokens_take_the_spaces_they_claim(checkpoint, tokenizer, expect, tmp_path):
    """A special token named with lstrip swallows the spaces before it, and does so once saved (Qwen2's forgets)."""
    own = private(tokenizer)
    own.add_special_tokens({"mask_token": tokenizers.AddedToken("<|hidden|>", lstrip=True)})
    text, want = "yes   <|hidden|>", [*content(tokenizer, "yes"), own.mask_token_id]
    for one, who in ((own, "tokenizer"), (reloaded(own, tmp_path), "tokenizer saved and loaded")):
        call = f"{who}(text, add_special_tokens=False)['input_ids'], the token added with lstrip"
        expect.equal(content(one, text), want, call, text=text)


@applies_to(told)
def test_declared_added_tokens_are_known(checkpoint, tokenizer, expect):
    """Every added token that the files declare has its id, and its content is the id's token."""
    declared = {text: token["id"] for text, token in added_tokens(checkpoint).items()}
    got = {text: tokenizer.convert_tokens_to_ids(text) for text in declared}
    expect.equal(
        got,
        declared,
        "{t: tokenizer.convert_tokens_to_ids(t) for t in tokens}",
        tokens=list(declared),
    )
    added = tokenizer.get_added_vocab()
    expect.true(
        declared.items() <= added.items() or not declared,
        sorted(declared.items() - added.items())[:5],
        "none missing",
        "tokenizer.get_added_vocab()",
    )


@applies_to(fast)
def test_added_token_flags_survive_loading(checkpoint, tokenizer, expect):
    """lstrip, rstrip, single_word, normalized and special of added tokens are as the files declare."""
    flags = ("lstrip", "rstrip", "single_word", "normalized", "special")
    loaded = {str(token): token for token in tokenizer.added_tokens_decoder.values()}
    for text, token in declared_flags(checkpoint).items():
        want = {name: token[name] for name in flags if name in token}
        got = {name: getattr(loaded[text], name) for name in want} if text in loaded else None
        expect.equal(
            got,
            want,
            "{str(t): t for t in tokenizer.added_tokens_decoder.values()}[token]",
            token=text,
        )


@applies_to(has_fact("special-ids"))
def test_special_id_facts(checkpoint, tokenizer, expect):
    """Special tokens have the ids that the catalogue knows from elsewhere."""
    for fact in checkpoint.facts_of("special-ids"):
        for name, number in dict(fact.expect).items():
            expect.equal(getattr(tokenizer, f"{name}_id"), number, f"tokenizer.{name}_id")


@applies_to(encodes)
def test_mask_of_finished_ids_marks_special_ones(checkpoint, tokenizer, expect):
    """get_special_tokens_mask of finished ids is one where they are special and nowhere else."""
    named = set(tokenizer.convert_tokens_to_ids(list(special_tokens(checkpoint).values())))
    special = named | set(tokenizer.all_special_ids)
    # the unknown token stands for text
    row = [*ids(tokenizer, TEXTS["greeting"]), *sorted(special - {tokenizer.unk_token_id})]
    got = tokenizer.get_special_tokens_mask(row, already_has_special_tokens=True)
    holds = all(mask == (i in special) for i, mask in zip(row, got, strict=True))
    expect.true(
        holds,
        got,
        f"one at ids among {sorted(special)[:20]}",
        "tokenizer.get_special_tokens_mask(ids, already_has_special_tokens=True)",
        ids=row,
    )


@convention
@applies_to(fast, ~holds_specials_as_pieces)
def test_special_tokens_can_be_split(checkpoint, tokenizer, expect):
    """With split_special_tokens a special token in a text is text."""
    for name, token in special_tokens(checkpoint).items():
        if name == "unk_token":
            continue
        number = getattr(tokenizer, f"{name}_id")
        got = tokenizer(f"a {token} b", add_special_tokens=False, split_special_tokens=True)[
            "input_ids"
        ]
        expect.true(
            number not in got,
            got,
            f"no {number}",
            "tokenizer(text, add_special_tokens=False, split_special_tokens=True)['input_ids']",
            text=f"a {token} b",
        )
        text = f"a {token} b"
        for call, again in {
            "tokenizer.encode(text, add_special_tokens=False)": tokenizer.encode(
                text, add_special_tokens=False
            ),
            "tokenizer(text, add_special_tokens=False)['input_ids']": content(tokenizer, text),
        }.items():
            holds = number in again
            expect.true(holds, again, f"{number} again in the next call", call, text=text)
