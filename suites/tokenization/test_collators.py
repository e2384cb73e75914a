"""Batches for training: rows padded, labels that no loss counts where nothing is to learn, masks drawn."""

from __future__ import annotations

from math import sqrt

import pytest

from fixtures.applicability import applies_to, walk_sample
from fixtures.lazy import numpy, torch, transformers
from fixtures.texts import TEXTS
from fixtures.tokenizer_files import encodes, has_mask_token, has_pad_token
from fixtures.tokenizing import private

PAIR = [TEXTS["contractions"], "a"]
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
        got = getattr(transformers, name)(own, max_length=4 * long)(told)
        gaps = [[UNCOUNTED] * (long - len(each)) for each in labels]
        ends = zip(labels, gaps, strict=True)
        padded = [each + gap if side == "right" else gap + each for each, gap in ends]
        expect.equal(got, want | {"labels": padded}, call.format(name=name, labels="labels"))


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
def test_language_models_learn_their_input(checkpoint, tokenizer, expect):
    """Without masks, labels are the ids themselves, and -100 where padding is."""
    collate = transformers.DataCollatorForLanguageModeling(tokenizer, mlm=False)
    want = dict(tokenizer(PAIR, padding=True))
    labels = [
        [UNCOUNTED if i == tokenizer.pad_token_id else i for i in row] for row in want["input_ids"]
    ]
    got = collate([dict(tokenizer(text)) for text in PAIR])
    call = "DataCollatorForLanguageModeling(tokenizer, mlm=False)(rows)"
    expect.equal(got, want | {"labels": labels}, call)


@applies_to(encodes & has_pad_token & has_mask_token, walk_sample)
def test_masked_models_learn_what_is_masked(checkpoint, tokenizer, expect):
    """Labels are the ids drawn, no special ones; of these eight tenths are masked, a tenth kept (Devlin et al. 2019)."""
    # not a text: some vocabularies know the letters of no language
    named = set(tokenizer.all_special_ids)
    ordinary = [i for i in sorted(set(tokenizer.get_vocab().values())) if i not in named]
    row = {"input_ids": [*tokenizer("a")["input_ids"], *(ordinary * 700)[:700]]}
    ids = torch.tensor([row["input_ids"]])
    special = torch.isin(ids, torch.tensor(sorted(named)))
    for share in (0.15, 1.0):
        collate = transformers.DataCollatorForLanguageModeling(tokenizer, mlm_probability=share)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            got = collate([row])
        call = f"DataCollatorForLanguageModeling(tokenizer, mlm_probability={share})([row])"
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
