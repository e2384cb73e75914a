"""Batches for training: rows padded, labels that no loss counts where nothing is to learn, masks drawn."""

from __future__ import annotations

import itertools
from math import sqrt

import pytest

from fixtures.applicability import applies_to, walk_sample
from fixtures.lazy import numpy, torch, transformers
from fixtures.texts import TEXTS
from fixtures.tokenizer_files import encodes, fast, has_mask_token, has_pad_token
from fixtures.tokenizing import private

PAIR = [TEXTS["contractions"], "a"]
KINDS = ("pt", "np")
UNCOUNTED = -100  # torch.nn.functional.cross_entropy's ignore_index
SURE = 5.0  # standard deviations: one drawing in two million is farther out


@pytest.mark.filterwarnings("ignore:.max_length. is ignored")
@applies_to(encodes & has_pad_token, walk_sample)
@pytest.mark.parametrize("side", ["left", "right"])
def test_batches_for_training_are_padded(checkpoint, tokenizer, expect, side):
    """Collated rows are the padded batch; labels are one per row, or one per token and -100 at padding."""
    own = private(tokenizer)
    own.padding_side = side
    rows, want = [dict(own(text)) for text in PAIR], dict(own(PAIR, padding=True))
    call = "{name}(tokenizer)(rows with {labels})"
    collate = transformers.DataCollatorWithPadding(own)
    got = collate([{**row, "label": i} for i, row in enumerate(rows)])
    expect.equal(
        got, want | {"labels": [0, 1]}, call.format(name="DataCollatorWithPadding", labels="label")
    )
    long = len(want["input_ids"][0])
    for name in ("DataCollatorForTokenClassification", "DataCollatorForSeq2Seq"):
        labels = [list(range(1, len(row["input_ids"]) + 1)) for row in rows]
        told = [{**row, "labels": each} for row, each in zip(rows, labels, strict=True)]
        # without a word about padding it is to the longest, whatever could be
        collate = getattr(transformers, name)(own, max_length=4 * long)
        gaps = [[UNCOUNTED] * (long - len(each)) for each in labels]
        ends = zip(labels, gaps, strict=True)
        padded = [each + gap if side == "right" else gap + each for each, gap in ends]
        for kind in KINDS:
            got = collate(told, return_tensors=kind)
            expect.equal(got, want | {"labels": padded}, call.format(name=name, labels="labels"))


@pytest.mark.filterwarnings("ignore:.max_length. is ignored")
@applies_to(encodes & has_pad_token, walk_sample)
def test_labels_are_as_long_as_told(checkpoint, tokenizer, expect):
    """Labels of other texts are padded to a multiple, or to a maximum, as their rows are, with the label told."""
    labels = [list(range(1, 9)), list(range(1, 6))]
    told = [{**tokenizer(text), "labels": each} for text, each in zip(PAIR, labels, strict=True)]
    long = 4 * len(tokenizer(PAIR[0])["input_ids"])
    for options, length in (
        ({"pad_to_multiple_of": 4}, 8),
        ({"pad_to_multiple_of": 7}, 14),
        ({"padding": "max_length", "max_length": long}, long),
    ):
        collate = transformers.DataCollatorForSeq2Seq(tokenizer, label_pad_token_id=-7, **options)
        want = dict(tokenizer(PAIR, **{"padding": True, **options}))
        gap = [[-7] * (length - len(each)) for each in labels]
        own = [
            e + g if tokenizer.padding_side == "right" else g + e
            for e, g in zip(labels, gap, strict=True)
        ]
        call = f"DataCollatorForSeq2Seq(tokenizer, label_pad_token_id=-7, **{options})(rows)"
        expect.equal(collate(told), want | {"labels": own}, call)


@applies_to(encodes & has_pad_token, walk_sample)
def test_choices_of_a_question_stay_together(checkpoint, tokenizer, expect):
    """Questions with choices are (questions, choices, length), padded as the flat batch of all choices."""
    collate = transformers.DataCollatorForMultipleChoice(tokenizer)
    asked = [[PAIR[0], "a"], ["b", "a"], ["a", PAIR[0]]]
    rows = [{**tokenizer(texts), "label": i % 2} for i, texts in enumerate(asked)]
    flat = tokenizer([text for texts in asked for text in texts], padding=True)
    want = {name: [value[i : i + 2] for i in (0, 2, 4)] for name, value in flat.items()}
    got = {name: value.tolist() for name, value in collate(rows).items()}
    expect.equal(
        got, want | {"labels": [0, 1, 0]}, "DataCollatorForMultipleChoice(tokenizer)(rows)"
    )


@applies_to(encodes, walk_sample)
def test_labels_keep_their_kind(checkpoint, tokenizer, expect):
    """Stacked rows have whole numbers for labels where the rows have, of Python or of numpy, else fractions."""
    row = dict(tokenizer("a"))
    for label, kind in (
        (1, "int64"),
        (numpy.int64(1), "int64"),
        (0.5, "float32"),
        ([2, 3], "int64"),
    ):
        name = "label_ids" if isinstance(label, list) else "label"
        got = transformers.default_data_collator([row | {name: label}] * 2)
        call = f"default_data_collator(rows with {name} {label!r})"
        value = str(got["labels"].dtype).removeprefix("torch.")
        expect.equal(value, kind, f"{call}['labels'].dtype")
        stacked = {n: v.tolist() for n, v in got.items()}
        want = {n: [v, v] for n, v in row.items()} | {"labels": [label, label]}
        expect.equal(stacked, want, call)


@applies_to(encodes & has_pad_token, walk_sample)
@pytest.mark.parametrize("side", ["left", "right"])
def test_language_models_learn_their_input(checkpoint, tokenizer, expect, side):
    """Without masks, labels are the ids themselves, and -100 where padding is, whatever form the rows have."""
    own = private(tokenizer)
    own.padding_side = side
    collate = transformers.DataCollatorForLanguageModeling(own, mlm=False)
    want = dict(own(PAIR, padding=True))
    ids = want["input_ids"]
    labels = [[UNCOUNTED if i == own.pad_token_id else i for i in row] for row in ids]
    rows = [dict(own(text)) for text in PAIR]
    call = "DataCollatorForLanguageModeling(tokenizer, mlm=False)({rows}, return_tensors={kind!r})"
    for kind in KINDS:
        for order in (1, -1):  # the longer row first, and last
            asked = call.format(rows="rows", kind=kind)
            wanted = {name: value[::order] for name, value in want.items()}
            told = {"labels": labels[::order]}
            expect.equal(collate(rows[::order], return_tensors=kind), wanted | told, asked)
            bare = [[*row["input_ids"], 1] for row in rows[::order]]  # of some, "a" has no ids
            got = collate(bare, return_tensors=kind)["input_ids"]
            long = max(map(len, bare))
            gaps = [[own.pad_token_id] * (long - len(row)) for row in bare]
            ends = zip(bare, gaps, strict=True)
            wanted = [row + gap if side == "right" else gap + row for row, gap in ends]
            expect.equal(got, wanted, call.format(rows="ids of rows", kind=kind) + "['input_ids']")


def drawn_by(collate, rows):
    """Collated rows as tensors, drawn from one seed."""
    before = numpy.random.get_state()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        numpy.random.seed(0)
        got = collate(rows)
    numpy.random.set_state(before)
    return {name: torch.as_tensor(value) for name, value in got.items()}


@applies_to(encodes & has_pad_token & has_mask_token, walk_sample)
def test_masked_models_learn_what_is_masked(checkpoint, tokenizer, expect):
    """Labels are the ids drawn, no special ones; of these eight tenths are masked, a tenth kept (Devlin et al. 2019)."""
    # not a text: some vocabularies know the letters of no language
    named = set(tokenizer.all_special_ids)
    ordinary = [i for i in sorted(set(tokenizer.get_vocab().values())) if i not in named]
    row = {"input_ids": [*tokenizer("a")["input_ids"], *(ordinary * 700)[:700]]}
    ids = torch.tensor([row["input_ids"]])
    special = torch.isin(ids, torch.tensor(sorted(named)))
    for share, kind in ((0.15, "pt"), (1.0, "pt"), (0.5, "np")):
        options = {"mlm_probability": share, "return_tensors": kind}
        got = drawn_by(transformers.DataCollatorForLanguageModeling(tokenizer, **options), [row])
        call = f"DataCollatorForLanguageModeling(tokenizer, **{options})([row])"
        value, labels = got["input_ids"], got["labels"]
        drawn = labels != UNCOUNTED
        expect.equal(labels[drawn], ids[drawn], f"{call}['labels'] where they are not -100")
        expect.equal(value[~drawn], ids[~drawn], f"{call}['input_ids'] where labels are -100")
        expect.equal(int((drawn & special).sum()), 0, f"special ids among those drawn by {call}")
        masked, kept = value == tokenizer.mask_token_id, value == ids
        for name, part, of, wanted in (
            ("drawn", drawn, ~special, share),
            ("masked", masked, drawn, 0.8),
            ("kept", kept & ~masked, drawn, 0.1),
        ):
            count, found = int(of.sum()), float(part[of].float().mean())
            near = SURE * sqrt(wanted * (1 - wanted) / count) + 1 / len(tokenizer)
            holds = abs(found - wanted) <= near
            expect.true(holds, found, f"{wanted} within {near:.3g}", f"share {name} by {call}")


@pytest.mark.filterwarnings("ignore:Random token replacement")
@applies_to(fast & encodes & has_pad_token & has_mask_token, walk_sample)
@pytest.mark.parametrize("kind", KINDS)
def test_whole_words_are_drawn(checkpoint, tokenizer, expect, kind):
    """With whole words, pieces that touch share their fate, a share of 1 draws all, and what is drawn is masked."""
    told = {"return_special_tokens_mask": True, "return_offsets_mapping": True}
    text = "Konstantinopolitan antidisestablishes Anneliesebeth Madridista " * 4
    row = dict(tokenizer(text, **told))
    ids, special = (torch.tensor(row[name]) for name in ("input_ids", "special_tokens_mask"))
    places = torch.tensor(row["offset_mapping"])
    touches = (places[1:, 0] == places[:-1, 1]) & ((special[1:] + special[:-1]) == 0)
    for share in (0.5, 1.0):
        options = {"whole_word_mask": True, "mlm_probability": share, "return_tensors": kind}
        got = drawn_by(transformers.DataCollatorForLanguageModeling(tokenizer, **options), [row])
        value, labels = got["input_ids"][0], got["labels"][0]
        drawn, call = (
            labels != UNCOUNTED,
            f"DataCollatorForLanguageModeling(tokenizer, **{options})([row])",
        )
        expect.equal(
            drawn[1:][touches],
            drawn[:-1][touches],
            f"{call}['labels'] != -100, of pieces and those before",
            text=text,
        )
        expect.equal(
            labels[drawn], ids[drawn], f"{call}['labels'] where they are not -100", text=text
        )
        wanted = torch.where(drawn, tokenizer.mask_token_id, ids)
        expect.equal(value, wanted, f"{call}['input_ids']", text=text)
    expect.equal(drawn.long(), 1 - special, f"{call}['labels'] != -100", text=text)


@applies_to(encodes & has_mask_token, walk_sample)
@pytest.mark.parametrize("kind", KINDS)
def test_draws_of_a_seed_are_repeated(checkpoint, tokenizer, expect, kind):
    """A collator of one seed draws what another of that seed draws, other in each call and of another seed."""
    row = {"input_ids": [*tokenizer("a")["input_ids"], *range(200)]}
    options = {"mlm_probability": 0.5, "return_tensors": kind}
    drawn = {}
    for name, seed in (("first", 3), ("again", 3), ("other", 4)):
        collate = transformers.DataCollatorForLanguageModeling(tokenizer, seed=seed, **options)
        drawn[name] = [torch.as_tensor(collate([row])["labels"]).tolist() for _ in range(2)]
    call = f"DataCollatorForLanguageModeling(tokenizer, seed=3, **{options})([row])['labels']"
    expect.equal(drawn["again"], drawn["first"], f"[{call}, once more of the same collator]")
    several = [*drawn["first"], *drawn["other"]]
    differ = all(one != other for one, other in itertools.combinations(several, 2))
    expect.true(differ, "twice the same labels", "others in each call, and of each seed", call)


@applies_to(encodes, walk_sample)
def test_rows_side_by_side_are_told_apart(checkpoint, tokenizer, expect):
    """Flattened, rows lie one behind the other: each counts its own positions, and none learns its first token."""
    rows = [[*tokenizer(text)["input_ids"], 1, 2] for text in PAIR]
    labels = [[i + 1 for i in row] for row in rows]
    collate = transformers.DataCollatorWithFlattening()
    for told, learnt in ((False, rows), (True, labels)):
        given = [
            {"input_ids": row, **({"labels": own} if told else {})}
            for row, own in zip(rows, labels, strict=True)
        ]
        got = {name: torch.as_tensor(value).tolist() for name, value in collate(given).items()}
        want = {
            "input_ids": [[i for row in rows for i in row]],
            "labels": [[i for row in learnt for i in (UNCOUNTED, *row[1:])]],
            "position_ids": [[i for row in rows for i in range(len(row))]],
        }
        value = {name: got.get(name) for name in want}
        expect.equal(value, want, f"DataCollatorWithFlattening()(rows), labels given: {told}")
    got = transformers.DataCollatorWithFlattening(separator_id=7)(given)
    want = [[i for row in labels for i in (7, *row[1:])]]
    call = "DataCollatorWithFlattening(separator_id=7)(rows)['labels']"
    expect.equal(torch.as_tensor(got["labels"]).tolist(), want, call)


@applies_to(encodes, walk_sample)
def test_positions_begin_where_told(checkpoint, tokenizer, expect):
    """Flattened rows count from position_ids_start, which is not 0 where the padding token's id is counted in."""
    rows = [{"input_ids": [*tokenizer(text)["input_ids"], 1]} for text in PAIR]
    got = transformers.DataCollatorWithFlattening(position_ids_start=2)(rows)["position_ids"]
    want = [[2 + i for row in rows for i in range(len(row["input_ids"]))]]
    call = "DataCollatorWithFlattening(position_ids_start=2)(rows)['position_ids']"
    expect.equal(torch.as_tensor(got).tolist(), want, call)


@pytest.mark.filterwarnings("ignore:.max_length. is ignored")
@applies_to(encodes & has_pad_token, walk_sample)
@pytest.mark.parametrize("side", ["left", "right"])
def test_labels_are_filled_as_told(checkpoint, tokenizer, expect, side):
    """Labels of tokens are filled with the label given for it, on the side where the tokenizer pads."""
    own = private(tokenizer)
    own.padding_side = side
    rows = [{"input_ids": [5] * n, "attention_mask": [1] * n, "labels": [1] * n} for n in (4, 2)]
    collate = transformers.DataCollatorForTokenClassification(own, label_pad_token_id=-7)
    filled = [-7, -7, 1, 1] if side == "left" else [1, 1, -7, -7]
    call = "DataCollatorForTokenClassification(tokenizer, label_pad_token_id=-7)(rows)['labels']"
    expect.equal(collate(rows)["labels"].tolist(), [[1] * 4, filled], call, rows=rows)


@applies_to(encodes & has_pad_token, walk_sample)
@pytest.mark.parametrize("said", [False, "do_not_pad"])
def test_unpadded_labels_stay_as_long(checkpoint, tokenizer, expect, said):
    """Where nothing is to be padded, labels of sequences are not, however that is said."""
    row = {"input_ids": [5, 6, 7], "attention_mask": [1, 1, 1], "labels": [1, 2, 3, 4, 5]}
    options = {"padding": said, "pad_to_multiple_of": 8}
    collate = transformers.DataCollatorForSeq2Seq(tokenizer, **options)
    call = f"DataCollatorForSeq2Seq(tokenizer, **{options})([row])['labels']"
    expect.equal(collate([row])["labels"].tolist(), [row["labels"]], call, row=row)
