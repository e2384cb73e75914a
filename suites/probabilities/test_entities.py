"""How a pipeline makes entities of tags, whatever the model: the tags are dictated here, one to a token."""

from __future__ import annotations

import pytest

from fixtures.applicability import applies_to, head, light, trait
from fixtures.lazy import torch, transformers
from fixtures.pipelines import offers, pipe
from fixtures.tokenizer_files import fast, has_pad_token

TASK = "token-classification"
TAGS = ("O", "B-A", "I-A", "B-B", "I-B")
CALL = f"pipeline('{TASK}', ..., a model that gives each token its tag of {TAGS}"
NAMES = ("Konstantinopolitan", "Madrid", "Anneliesebeth", "Novak")
GAP = " , 7 ; 7 . "
words_are_pieces = trait("wordpiece") | trait("wordpiece-vocabulary")


def tagger(model, tokenizer, tag_of, **options):
    """A pipeline whose model gives every token id the tag that `tag_of` (vocabulary,) numbers."""
    tag = pipe(TASK, model, tokenizer=tokenizer, **options)
    output, scores = transformers.modeling_outputs.TokenClassifierOutput, torch.eye(len(TAGS)) * 9
    tag.model.config.id2label = dict(enumerate(TAGS))
    tag.model.forward = lambda input_ids, **_: output(logits=scores[tag_of[input_ids.cpu()]])
    return tag


def groups(tags):
    """[group, first, last] of tags: B- begins one, another group too, O ends it."""
    found = []
    for place, tag in enumerate(tags):
        begins, group = tag.startswith("B-"), tag[2:]
        if found and found[-1][0] == (group or "O") and found[-1][2] == place - 1 and not begins:
            found[-1][2] = place
        else:
            found.append([group or "O", place, place])
    return found


@applies_to(fast, head("TokenClassification"), light, offers(TASK))
@pytest.mark.parametrize("seed", [1, 2])
def test_tags_spell_entities(checkpoint, tokenizer, model, expect, seed):
    """Neighbouring tokens with tags of one group are one entity, until a tag begins another."""
    text = GAP.join(NAMES)
    asked = {"return_offsets_mapping": True, "return_special_tokens_mask": True}
    encoded = tokenizer(text, truncation=True, **asked)
    kept = [i for i, special in enumerate(encoded["special_tokens_mask"]) if not special]
    draw = torch.Generator().manual_seed(seed)
    tag_of = torch.randint(len(TAGS), (len(tokenizer),), generator=draw)
    tags = [TAGS[tag_of[encoded["input_ids"][i]]] for i in kept]
    offsets = [encoded["offset_mapping"][i] for i in kept]
    wanted = [(g, offsets[a][0], offsets[b][1]) for g, a, b in groups(tags) if g != "O"]
    rows = tagger(model, tokenizer, tag_of, aggregation_strategy="simple")(text)
    found = [(row["entity_group"], row["start"], row["end"]) for row in rows]
    expect.equal(found, wanted, f"{CALL}, aggregation_strategy='simple')(text)", text=text)


def inked(text, row):
    """Where an entity's letters begin and end: the space before a word may be its token's, or nobody's."""
    end = row["end"]
    return end - len(text[row["start"] : end].lstrip()), end


@applies_to(fast, has_pad_token, head("TokenClassification"), light, offers(TASK))
@pytest.mark.parametrize(("tag", "strategy"), [("I-A", "first"), ("B-A", "simple")])
def test_windows_find_the_entities_of_the_text(checkpoint, tokenizer, model, expect, tag, strategy):
    """Taken in overlapping windows, a long text has the entities it has as a whole, each once and complete,
    be they words or single tokens that touch."""
    text = GAP.join(NAMES * 4)
    dull = set(tokenizer(GAP, add_special_tokens=False)["input_ids"])
    pieces = [set(tokenizer(f"{GAP}{n}", add_special_tokens=False)["input_ids"]) for n in NAMES]
    tag_of = torch.zeros(len(tokenizer), dtype=torch.long)
    tag_of[sorted(set().union(*pieces) - dull)] = TAGS.index(tag)
    overlap = max(len(tokenizer(name, add_special_tokens=False)["input_ids"]) for name in NAMES) + 1
    pipeline = tagger(model, tokenizer, tag_of, aggregation_strategy=strategy)
    found = []
    for options in ({}, {"stride": overlap}):
        special = tokenizer.num_special_tokens_to_add()
        pipeline.tokenizer.model_max_length = 2 * overlap + special + 3 if options else 100_000
        rows = pipeline(text, **options)
        found.append([(row["entity_group"], *inked(text, row)) for row in rows])
    call = f"{CALL}, aggregation_strategy={strategy!r}, stride={overlap})(text)"
    expect.equal(found[1], found[0], call, text=text)


@applies_to(fast, words_are_pieces, head("TokenClassification"), light, offers(TASK))
def test_unknown_words_are_their_text(checkpoint, tokenizer, model, expect):
    """A word that the vocabulary cannot spell is a word of its own, and shown as the text has it."""
    words = ["Madrid", "\u16a0\u16a0", "\u16a1\u16a1\u16a1", "Madrid"]
    text, tag_of = " ".join(words), torch.full((len(tokenizer),), TAGS.index("I-A"))
    # two unknown words are one entity, or two
    for tag in ("I-A", "I-B", "B-B"):
        tag_of[tokenizer.unk_token_id] = TAGS.index(tag)
        ids = [tokenizer(word, add_special_tokens=False)["input_ids"][0] for word in words]
        spelled = groups([TAGS[tag_of[i]] for i in ids])
        wanted = [(group, " ".join(words[a : b + 1]).lower()) for group, a, b in spelled]
        rows = tagger(model, tokenizer, tag_of, aggregation_strategy="first")(text)
        found = [(row["entity_group"], row["word"].lower()) for row in rows]
        call = f"{CALL}, aggregation_strategy='first')(text), unknown words tagged {tag}"
        expect.equal(found, wanted, call, text=text)
