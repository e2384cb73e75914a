"""What a pipeline's options say: how many answers, which function, whose words, which conversation."""

from __future__ import annotations

import pytest

from fixtures.answering import logits_of
from fixtures.applicability import (
    applies_to,
    encoder,
    has_fact,
    head,
    kind,
    light,
    room_for_pairs,
    tokenizer,
)
from fixtures.chat import converses
from fixtures.ids import pad_id
from fixtures.lazy import torch
from fixtures.pipelines import continues_text, entailment, guesses, offers, pipe
from fixtures.tokenizing import private
from fixtures.tolerance import allowed_softmax

TEXTS = ("I really enjoyed this course!", "Hello, how are you?", "Anna Lind lives in Madrid .")
RARE_WORDS = "Konstantinopolitan Anneliesebeth antidisestablishes Madridista"
GREEDY = {"do_sample": False, "num_beams": 1, "max_new_tokens": 8}


FUNCTIONS = {
    "softmax": lambda logits: logits.softmax(-1),
    "sigmoid": lambda logits: logits.sigmoid(),
    "none": lambda logits: logits,
}


@applies_to(tokenizer, head("SequenceClassification"), light, offers("text-classification"))
@pytest.mark.parametrize("function", FUNCTIONS)
def test_function_to_apply_is_applied(checkpoint, tokenizer, model, expect, function):
    """function_to_apply makes softmax, sigmoid or bare numbers of the logits; top_k keeps the largest."""
    classify = pipe("text-classification", model, tokenizer=tokenizer)
    text = TEXTS[0]
    logits = logits_of(model, tokenizer(text, return_tensors="pt"))[0].float()
    wanted, order = FUNCTIONS[function](logits).sort(descending=True)
    rows = classify(text, function_to_apply=function, top_k=2)
    call = f"pipeline('text-classification', ...)(text, function_to_apply={function!r}, top_k=2)"
    names = [model.config.id2label[i] for i in order.tolist()][:2]
    expect.equal([row["label"] for row in rows], names, call, text=text)
    value = torch.tensor([row["score"] for row in rows])
    expect.close(value, wanted[:2], allowed_softmax(logits), call, text=text)


@applies_to(
    tokenizer,
    head("SequenceClassification"),
    encoder,
    room_for_pairs,
    light,
    offers("text-classification"),
)
def test_pairs_are_classified_as_pairs(checkpoint, tokenizer, model, expect):
    """A text with a second one is classified as the tokenizer's encoding of both."""
    classify = pipe("text-classification", model, tokenizer=tokenizer)
    first, second = TEXTS[:2]
    logits = logits_of(model, tokenizer(first, second, return_tensors="pt"))[0].float()
    rows = classify({"text": first, "text_pair": second}, top_k=None, function_to_apply="none")
    call = "pipeline('text-classification', ...)({'text': first, 'text_pair': second}, top_k=None, function_to_apply='none')"
    value = torch.tensor([row["score"] for row in rows])
    wanted = logits.sort(descending=True).values
    expect.close(value, wanted, allowed_softmax(logits), call, first=first, second=second)
    for listed in ([{"text": first, "text_pair": second}], [[[first, second]]]):  # the older way
        value = classify(listed, top_k=None, function_to_apply="none")
        expect.equal(
            value, [rows], call.replace("{'text': first, 'text_pair': second}", str(listed))
        )


@applies_to(guesses)
@pytest.mark.parametrize("together", [True, False], ids=["one-label", "each-label"])
def test_zero_shot_classification(checkpoint, tokenizer, model, expect, together):
    """A candidate's score is that of its hypothesis being entailed (Yin et al. 2019): by the last label
    where none is named so, among the candidates or against the first label."""
    classify = pipe("zero-shot-classification", model, tokenizer=tokenizer)
    text, labels, template = TEXTS[0], ["music", "a journey", "school"], "This is about {}."
    encoded = [tokenizer(text, template.format(name), return_tensors="pt") for name in labels]
    logits = torch.stack([logits_of(model, one)[0].float() for one in encoded])
    both = logits[:, entailment(checkpoint)]
    scores = both[:, 1].softmax(0) if together else both.softmax(-1)[:, 1]
    options = {"hypothesis_template": template, "multi_label": not together}
    row = classify(text, candidate_labels=labels, **options)
    call = f"pipeline('zero-shot-classification', ...)(text, candidate_labels=labels, multi_label={not together}, hypothesis_template=...)"
    values = dict(zip(row["labels"], row["scores"], strict=True))
    expect.equal(sorted(values), sorted(labels), call, text=text, labels=labels)
    expect.equal(row["scores"], sorted(row["scores"], reverse=True), call, text=text, labels=labels)
    value = torch.tensor([values[name] for name in labels])
    expect.close(value, scores, allowed_softmax(logits), call, text=text, labels=labels)


def word_scores(text, offsets, shares, strategy):
    """The (label, score) of each word between spaces, by first, likeliest or average token: shares (tokens, labels)."""
    places = [len(text[:start].split(" ")) - 1 for start, _ in offsets]
    found = []
    for word in range(len(text.split(" "))):
        tokens = shares[[i for i, place in enumerate(places) if place == word]]
        if strategy == "average":
            row = tokens.mean(0)
        else:
            row = tokens[0 if strategy == "first" else int(tokens.amax(-1).argmax())]
        found.append((int(row.argmax()), float(row.max())))
    return found


@applies_to(
    tokenizer, head("TokenClassification"), has_fact("tags"), offers("token-classification")
)
@pytest.mark.parametrize("strategy", ["first", "average", "max"])
def test_entity_scores_are_their_words(checkpoint, tokenizer, model, expect, strategy):
    """An entity's score is the mean of its words', each that of its first, likeliest or average token."""
    tag = pipe("token-classification", model, tokenizer=tokenizer, aggregation_strategy=strategy)
    call = f"pipeline('token-classification', ..., aggregation_strategy={strategy!r})(text, ignore_labels=[])"
    for text in (*(fact.input for fact in checkpoint.facts_of("tags")), RARE_WORDS):
        encoded = tokenizer(text, return_tensors="pt", return_offsets_mapping=True)
        offsets = encoded.pop("offset_mapping")[0].tolist()
        real = [i for i, (start, end) in enumerate(offsets) if end > start]
        shares = logits_of(model, encoded)[0].float().softmax(-1)[real]
        words = word_scores(text, [offsets[i] for i in real], shares, strategy)
        for row in tag(text, ignore_labels=[]):
            first = len(text[: row["start"]].split(" ")) - 1
            count = len(text[row["start"] : row["end"]].split(" "))
            wanted = sum(score for _, score in words[first : first + count]) / count
            value = torch.tensor(float(row["score"]))
            expect.close(value, torch.tensor(wanted), allowed_softmax(shares), call, text=text)


@applies_to(tokenizer, head("TokenClassification"), light, offers("token-classification"))
def test_ignored_labels_are_left_out(checkpoint, tokenizer, model, expect):
    """ignore_labels leaves those labels out instead of O, one of them or none."""
    tag = pipe("token-classification", model, tokenizer=tokenizer)
    text = TEXTS[2]
    everything = tag(text, ignore_labels=[])
    encoded = tokenizer(text, return_tensors="pt", return_special_tokens_mask=True)
    count = int((encoded["special_tokens_mask"] == 0).sum())
    call = "pipeline('token-classification', ...)(text, ignore_labels=...)"
    expect.equal(len(everything), count, f"len({call})", text=text)
    left_out = everything[0]["entity"]
    wanted = [row["index"] for row in everything if row["entity"] != left_out]
    value = [row["index"] for row in tag(text, ignore_labels=[left_out])]
    expect.equal(value, wanted, call, text=text)


@applies_to(tokenizer, kind("decoder"), head("CausalLM"), converses, light)
def test_conversations_are_continued(checkpoint, tokenizer, model, expect):
    """A conversation gets one message of the assistant's more: what generate makes of its rendering."""
    write = pipe("text-generation", model, tokenizer=tokenizer)
    talk = [{"role": "user", "content": "Hello, how are you?"}]
    rendered = tokenizer.apply_chat_template(talk, tokenize=False, add_generation_prompt=True)
    ids = tokenizer(rendered, add_special_tokens=False, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        mask = torch.ones_like(ids)
        out = write.model.generate(ids.to(model.device), attention_mask=mask, **GREEDY)
    new = tokenizer.decode(out[0, ids.shape[1] :], skip_special_tokens=True)
    value = write(talk, **GREEDY)[0]["generated_text"]
    call = "pipeline('text-generation', model=model, tokenizer=tokenizer)(talk, **options)[0]['generated_text']"
    expect.equal(value[:-1], talk, f"{call}[:-1]", talk=talk)
    expect.equal(value[-1]["role"], "assistant", f"{call}[-1]['role']", talk=talk)
    expect.equal(value[-1]["content"].strip(), new.strip(), f"{call}[-1]['content']", talk=talk)


@applies_to(continues_text)
def test_prompts_in_a_list_are_each_continued(checkpoint, tokenizer, model, expect):
    """Several prompts in one call get, in order, what each gets alone."""
    write = pipe("text-generation", model, tokenizer=tokenizer)
    alone = [write(text, **GREEDY) for text in TEXTS[:2]]
    call = "pipeline('text-generation', model=model, tokenizer=tokenizer)(texts, **options)"
    expect.equal(write(list(TEXTS[:2]), **GREEDY), alone, call, texts=list(TEXTS[:2]))


@applies_to(continues_text, has_fact("greedy"))
@pytest.mark.parametrize("side", ["left", "right"])
def test_prompts_of_different_lengths_in_a_batch(checkpoint, tokenizer, model, expect, side):
    """Prompts continued side by side get what each gets alone, on whichever side the tokenizer pads."""
    own = private(tokenizer)
    own.padding_side, own.pad_token_id = side, pad_id(checkpoint)
    write = pipe("text-generation", model, tokenizer=own)
    text = checkpoint.facts_of("greedy")[0].input
    texts = [text, f"{text} {text}"]
    alone = [write(text, return_full_text=False, **GREEDY) for text in texts]
    together = write(texts, batch_size=2, return_full_text=False, **GREEDY)
    call = "pipeline('text-generation', model=model, tokenizer=tokenizer)(texts, batch_size=2, return_full_text=False, **options)"
    expect.equal(together, alone, call, texts=texts, options=GREEDY)


@applies_to(continues_text)
def test_every_returned_sequence_is_shown(checkpoint, tokenizer, model, expect):
    """Asked for two sequences, a pipeline gives both that generate returns, best first."""
    write = pipe("text-generation", model, tokenizer=tokenizer)
    options = {**GREEDY, "num_beams": 2, "num_return_sequences": 2, "max_new_tokens": 4}
    inputs = tokenizer(TEXTS[1], return_tensors="pt").to(model.device)
    inputs.pop("token_type_ids", None)
    with torch.no_grad():
        ids = write.model.generate(**inputs, **options)
    rows = write(TEXTS[1], return_tensors=True, **options)
    call = "pipeline('text-generation', model=model, tokenizer=tokenizer)(text, return_tensors=True, **options)"
    value = [row["generated_token_ids"] for row in rows]
    expect.equal(value, ids, call, text=TEXTS[1], options=options)
