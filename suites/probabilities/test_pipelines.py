"""Pipelines give what tokenizer, model and softmax give by hand, where the library offers them."""

from __future__ import annotations

import pytest

from fixtures.answering import logits_of, scores
from fixtures.applicability import (
    Predicate,
    applies_to,
    colour_processor,
    encoder,
    encoder_decoder,
    generates,
    has_fact,
    head,
    light,
    model_type,
    tokenizer,
    vision,
)
from fixtures.images import gradient, source
from fixtures.lazy import torch, transformers
from fixtures.oracle import own_tolerance
from fixtures.pipelines import continues_text, offers, pipe
from fixtures.tokenizer_files import has_mask_token, has_pad_token
from fixtures.tolerance import allowed_softmax

TEXTS = ("I really enjoyed this course!", "Hello, how are you?", "Anna Lind lives in Madrid .")
PIPE = "__import__('transformers').pipeline"
base = Predicate("no head", lambda c: c.head is None)
fast = Predicate("tokenizer.json", lambda c: "tokenizer-json" in c.traits)
plain_greedy = Predicate(
    "fact: greedy, of a text", lambda c: any(isinstance(f.input, str) for f in c.facts_of("greedy"))
)


def by_label(rows):
    """A pipeline's list of dicts as label -> score."""
    return {row["label"]: row["score"] for row in rows}


def compare_scores(expect, model, rows, logits, call, **context):
    """Each label once, named by id2label, best first, with its probability by hand."""
    wanted = scores(expect.checkpoint.config.get("problem_type"), logits.float())
    names = [model.config.id2label[i] for i in range(len(wanted))]
    expect.equal(sorted(row["label"] for row in rows), sorted(names), call, **context)
    values = [row["score"] for row in rows]
    expect.equal(values, sorted(values, reverse=True), call, **context)
    # several labels may have one name
    got, wanted = (
        torch.tensor([score for _, score in sorted(pairs)])
        for pairs in (
            [(row["label"], row["score"]) for row in rows],
            zip(names, wanted.tolist(), strict=True),
        )
    )
    expect.close(got, wanted, allowed_softmax(logits), call, **context)


@applies_to(tokenizer, head("SequenceClassification"), light, offers("text-classification"))
def test_text_classification(checkpoint, tokenizer, model, expect, observe):
    """Text classification gives every label its softmax, sigmoid or bare number, largest first."""
    classify = pipe("text-classification", model, tokenizer=tokenizer)
    call = f"{PIPE}('text-classification', model=model, tokenizer=tokenizer)(text, top_k=None)"
    for text in TEXTS:
        rows = classify(text, top_k=None)
        observe("pipelines/text-classification", rows, input=text, group="numbers")
        logits = logits_of(model, tokenizer(text, return_tensors="pt"))[0]
        compare_scores(expect, model, rows, logits, call, text=text)
        best = classify(text)[0]
        expect.equal(best, rows[0], call.replace(", top_k=None", ""), text=text)


@applies_to(
    tokenizer,
    head("SequenceClassification"),
    encoder | encoder_decoder,
    light,
    offers("text-classification"),
)
def test_text_classification_in_batches(checkpoint, tokenizer, model, expect):
    """Sentences classified three at a time get the scores that they get alone, in order."""
    classify = pipe("text-classification", model, tokenizer=tokenizer)
    apart = [by_label(classify(text, top_k=None)) for text in TEXTS]
    together = [by_label(rows) for rows in classify(list(TEXTS), top_k=None, batch_size=3)]
    expect.equal(
        [sorted(row) for row in together], [sorted(row) for row in apart], "the labels of a batch"
    )
    inputs = dict(tokenizer(list(TEXTS), padding=True, return_tensors="pt"))
    error = 2 * own_tolerance(checkpoint, inputs)["logits"] + allowed_softmax(
        torch.zeros(len(apart[0]))
    )
    call = f"{PIPE}('text-classification', model=model, tokenizer=tokenizer)(texts, top_k=None, batch_size=3)"
    for one, other in zip(together, apart, strict=True):
        values, wanted = (
            torch.tensor([row[name] for name in sorted(apart[0])]) for row in (one, other)
        )
        expect.close(values, wanted, error, call, texts=list(TEXTS))


@applies_to(
    tokenizer, head("SequenceClassification"), has_fact("label"), offers("text-classification")
)
def test_sentiment_of_a_directory(checkpoint, tokenizer, model, expect):
    """A pipeline made of a directory alone gives sentences their labels."""
    directory = str(checkpoint.path)
    classify = transformers.pipeline("sentiment-analysis", model=directory)
    call = f"{PIPE}('sentiment-analysis', model=model.name_or_path)(texts)"
    facts = checkpoint.facts_of("label")[:6]
    texts = [fact.input for fact in facts]
    expect.equal(
        [row["label"] for row in classify(texts)],
        [fact.expect for fact in facts],
        call,
        texts=texts,
    )


@applies_to(tokenizer, head("TokenClassification"), light, offers("token-classification"))
def test_token_classification(checkpoint, tokenizer, model, expect, observe):
    """Every token but special and outside ones is named with its tag, probability and place."""
    tag = pipe("token-classification", model, tokenizer=tokenizer)
    call = f"{PIPE}('token-classification', model=model, tokenizer=tokenizer)(text)"
    for text in (TEXTS[2], "I met Anna Novák and Will in Rome ."):
        rows = tag(text)
        observe("pipelines/token-classification", rows, input=text, group="outputs")
        encoded = tokenizer(
            text, return_tensors="pt", return_special_tokens_mask=True, return_offsets_mapping=True
        )
        special, offsets = (
            encoded.pop(name)[0].tolist() for name in ("special_tokens_mask", "offset_mapping")
        )
        shares = logits_of(model, encoded)[0].softmax(-1)
        wanted = [
            (i, model.config.id2label[int(row.argmax())], *offsets[i])
            for i, row in enumerate(shares)
            if not special[i] and model.config.id2label[int(row.argmax())] != "O"
        ]
        expect.equal(
            [(r["index"], r["entity"], r["start"], r["end"]) for r in rows], wanted, call, text=text
        )
        got = torch.tensor([float(row["score"]) for row in rows])
        expect.close(
            got, shares.amax(-1)[[i for i, *_ in wanted]], allowed_softmax(shares), call, text=text
        )


def entities(words, tags):
    """(group, text) of the entities that the tags of words spell: B- begins one, I- or the same goes on."""
    found = []
    for before, word, tag in zip(["O", *tags], words, tags):  # noqa: B905
        group, old = (
            tag.removeprefix("B-").removeprefix("I-"),
            before.removeprefix("B-").removeprefix("I-"),
        )
        if group == old != "O" and not tag.startswith("B-"):
            found[-1] = (group, f"{found[-1][1]} {word}")
        elif tag != "O":
            found.append((group, word))
    return found


@applies_to(
    tokenizer, head("TokenClassification"), has_fact("tags"), offers("token-classification")
)
@pytest.mark.parametrize("strategy", ["first", "average", "max"])
def test_aggregated_entities(checkpoint, tokenizer, model, expect, observe, strategy):
    """Aggregated over words, the tags of a sentence are its names, each with its place in the text."""
    tag = pipe("token-classification", model, tokenizer=tokenizer, aggregation_strategy=strategy)
    options = f"tokenizer=tokenizer, aggregation_strategy='{strategy}'"
    call = f"{PIPE}('token-classification', model=model, {options})(text)"
    for fact in checkpoint.facts_of("tags"):
        text = fact.input
        rows = tag(text)
        got = [(row["entity_group"], text[row["start"] : row["end"]]) for row in rows]
        observe(f"pipelines/entities/{strategy}", got, input=text, group="outputs")
        expect.equal(got, entities(text.split(), fact.expect), call, text=text)
        expect.true(
            all(0 < float(r["score"]) <= 1 for r in rows),
            rows,
            "scores within (0, 1]",
            call,
            text=text,
        )


@applies_to(tokenizer, head("QuestionAnswering"), has_fact("span"), offers("question-answering"))
def test_question_answering(checkpoint, tokenizer, model, expect, observe):
    """The answer is the context's likeliest span: its text, its place, its probability."""
    ask = pipe("question-answering", model, tokenizer=tokenizer)
    call = f"{PIPE}('question-answering', model=model, tokenizer=tokenizer)(question=question, context=context)"
    for fact in checkpoint.facts_of("span"):
        row = ask(**fact.input)
        observe("pipelines/answer", row["answer"], input=str(fact.input), group="outputs")
        expect.equal(row["answer"], fact.expect, f"{call}['answer']", **fact.input)
        expect.equal(
            fact.input["context"][row["start"] : row["end"]], fact.expect, call, **fact.input
        )
        expect.true(
            0 < row["score"] <= 1, row["score"], "a probability", f"{call}['score']", **fact.input
        )


@applies_to(has_mask_token, head("MaskedLM"), light, offers("fill-mask"))
def test_fill_mask(checkpoint, tokenizer, model, expect, observe):
    """The five likeliest tokens at the mask, with their probabilities, their text and the whole text."""
    fill = pipe("fill-mask", model, tokenizer=tokenizer)
    call = f"{PIPE}('fill-mask', model=model, tokenizer=tokenizer)(text)"
    texts = [fact.input for fact in checkpoint.facts_of("fill")[:3]]
    for text in (*texts, f"Hello, how are {tokenizer.mask_token}?"):
        rows = fill(text)
        observe("pipelines/fill-mask", [row["token"] for row in rows], input=text, group="outputs")
        encoded = tokenizer(text, return_tensors="pt")
        ids = encoded["input_ids"][0].tolist()
        logits = logits_of(model, encoded)[0, ids.index(tokenizer.mask_token_id)].float()
        best = logits.softmax(-1).topk(5)
        expect.equal([row["token"] for row in rows], best.indices, call, text=text)
        expect.close(
            torch.tensor([row["score"] for row in rows]),
            best.values,
            allowed_softmax(logits),
            call,
            text=text,
        )
        for row in rows:
            expect.equal(row["token_str"], tokenizer.decode([row["token"]]), call, text=text)
            whole = [row["token"] if i == tokenizer.mask_token_id else i for i in ids]
            expect.equal(
                row["sequence"], tokenizer.decode(whole, skip_special_tokens=True), call, text=text
            )


@applies_to(has_mask_token, has_pad_token, head("MaskedLM"), light, offers("fill-mask"))
def test_fill_mask_of_two_masks(checkpoint, tokenizer, model, expect):
    """Two masks give two lists, each the likeliest tokens of its own place, in a text without padding."""
    fill = pipe("fill-mask", model, tokenizer=tokenizer)
    text = f"Hello, {tokenizer.mask_token} are {tokenizer.mask_token}?"
    encoded = tokenizer(text, return_tensors="pt")
    places = encoded["input_ids"][0] == tokenizer.mask_token_id
    best = logits_of(model, encoded)[0][places].softmax(-1).topk(3)
    call = f"{PIPE}('fill-mask', model=model, tokenizer=tokenizer)(text, top_k=3)"
    rows = fill(text, top_k=3)
    expect.equal([[row["token"] for row in part] for part in rows], best.indices, call, text=text)
    longer = [text, f"{text} {text}"]
    call, rows = call.replace("(text,", "(texts, batch_size=2,"), fill(longer, batch_size=2)[0]
    for place, part in zip(places.nonzero()[:, 0], rows, strict=True):
        for row in part:
            ids = encoded["input_ids"][0].clone()
            ids[place] = row["token"]
            shown = tokenizer.decode(ids[ids != tokenizer.pad_token_id])
            expect.equal(row["sequence"], shown, call, texts=longer)


@applies_to(has_mask_token, head("MaskedLM"), light, offers("fill-mask"))
def test_fill_mask_of_targets(checkpoint, tokenizer, model, expect):
    """Asked for certain tokens, only these are given, with their probabilities in the whole vocabulary."""
    fill = pipe("fill-mask", model, tokenizer=tokenizer)
    text = f"Hello, how are {tokenizer.mask_token}?"
    # a table may have more rows than there are tokens
    best = [row for row in fill(text, top_k=400) if row["token"] < len(tokenizer)][2:4]
    targets = [tokenizer.convert_ids_to_tokens(row["token"]) for row in best]
    rows = fill(text, targets=targets)
    call = f"{PIPE}('fill-mask', model=model, tokenizer=tokenizer)(text, targets=targets)"
    got = [(row["token"], row["score"]) for row in rows]
    expect.equal(
        got, [(row["token"], row["score"]) for row in best], call, text=text, targets=targets
    )


GREEDY = {"do_sample": False, "num_beams": 1, "max_new_tokens": 32}


@applies_to(continues_text, has_fact("greedy"))
def test_text_generation(checkpoint, tokenizer, model, expect, observe):
    """Generated text is the checkpoint's continuation, behind the prompt or, asked so, without it."""
    write = pipe("text-generation", model, tokenizer=tokenizer)
    options = "do_sample=False, num_beams=1, max_new_tokens=32"
    for fact in checkpoint.facts_of("greedy")[:1]:
        alone = write(fact.input, return_full_text=False, **GREEDY)[0]["generated_text"]
        observe("pipelines/text-generation", alone, input=fact.input, group="generation")
        call = f"{PIPE}('text-generation', model=model, tokenizer=tokenizer)(text, return_full_text=False, {options})"
        expect.equal(
            alone.strip()[: len(fact.expect.strip())], fact.expect.strip(), call, text=fact.input
        )
        whole = write(fact.input, **GREEDY)[0]["generated_text"]
        call = f"{PIPE}('text-generation', model=model, tokenizer=tokenizer)(text, {options})"
        expect.equal(whole, fact.input + alone, call, text=fact.input)


@applies_to(continues_text)
def test_text_generation_ids(checkpoint, tokenizer, model, expect):
    """Ids asked for are the ids that generate gives for the prompt's encoding."""
    write = pipe("text-generation", model, tokenizer=tokenizer)
    text, options = TEXTS[1], {**GREEDY, "max_new_tokens": 4}
    row = write(text, return_tensors=True, **options)[0]
    inputs = tokenizer(text, return_tensors="pt").to(model.device)
    inputs.pop("token_type_ids", None)
    with torch.no_grad():
        wanted = write.model.generate(**inputs, **options)[0]
    call = f"{PIPE}('text-generation', model=model, tokenizer=tokenizer)(text, return_tensors=True, **options)"
    expect.equal(row["generated_token_ids"], wanted, call, text=text, options=options)


def check_rewriting(task, key, expect, tokenizer, model):
    """A pipeline that rewrites a text gives the text that the checkpoint was trained to give."""
    rewrite = pipe(task, model, tokenizer=tokenizer)
    call = f"{PIPE}('{task}', model=model, tokenizer=tokenizer)(text, **options)"
    for fact in [
        fact for fact in expect.checkpoint.facts_of("greedy") if isinstance(fact.input, str)
    ][:2]:
        text = rewrite(fact.input, **GREEDY)[0][key]
        expect.equal(text.strip(), fact.expect.strip(), call, text=fact.input, options=GREEDY)


@applies_to(tokenizer, generates, encoder_decoder, plain_greedy, offers("text2text-generation"))
def test_text2text_generation(checkpoint, tokenizer, model, expect):
    """Text to text gives the text that the checkpoint was trained to give."""
    check_rewriting("text2text-generation", "generated_text", expect, tokenizer, model)


@applies_to(tokenizer, generates, encoder_decoder, plain_greedy, offers("summarization"))
def test_summarization(checkpoint, tokenizer, model, expect):
    """A summary is what the checkpoint makes of a text."""
    check_rewriting("summarization", "summary_text", expect, tokenizer, model)


@applies_to(
    tokenizer,
    generates,
    encoder_decoder,
    plain_greedy,
    ~model_type("mbart", "m2m_100"),
    offers("translation"),
)
def test_translation(checkpoint, tokenizer, model, expect):
    """A translation is what the checkpoint makes of a text."""
    check_rewriting("translation_en_to_de", "translation_text", expect, tokenizer, model)


@applies_to(
    colour_processor, vision, head("ImageClassification"), light, offers("image-classification")
)
def test_image_classification(checkpoint, processor, model, expect, observe):
    """Image classification gives every label its probability, largest first, and five when not told."""
    see = pipe("image-classification", model, image_processor=processor)
    image = gradient((50, 40))
    rows = see(image, top_k=len(model.config.id2label))
    observe("pipelines/image-classification", rows, input="gradient (50, 40)", group="numbers")
    logits = logits_of(model, processor(image, return_tensors="pt"))[0]
    call = (
        f"{PIPE}('image-classification', model=model, image_processor=processor)(image, top_k=None)"
    )
    compare_scores(expect, model, rows, logits, call, image=source(image))
    for count in (2, len(rows) + 3):
        value, then = see(image, top_k=count), call.replace("None", str(count))
        expect.equal(value, rows[:count], then, image=source(image))
    expect.equal(see(image), rows[:5], call.replace(", top_k=None", ""), image=source(image))


@applies_to(colour_processor, vision, has_fact("image-label"), offers("image-classification"))
def test_image_classification_of_a_file(checkpoint, processor, model, expect):
    """A picture named by its file gets its label."""
    see = pipe("image-classification", model, image_processor=processor)
    call = (
        f"{PIPE}('image-classification', model=model, image_processor=processor)(file)[0]['label']"
    )
    for fact in checkpoint.facts_of("image-label")[:4]:
        file = str(checkpoint.path / fact.input)
        expect.equal(see(file)[0]["label"], fact.expect, call, file=file)


@applies_to(tokenizer, encoder, base, light, offers("feature-extraction"))
def test_feature_extraction(checkpoint, tokenizer, model, expect):
    """Features of a text are the model's last hidden states."""
    extract = pipe("feature-extraction", model, tokenizer=tokenizer)
    call = f"{PIPE}('feature-extraction', model=model, tokenizer=tokenizer)(text)"
    for text in TEXTS[:2]:
        inputs = dict(tokenizer(text, return_tensors="pt"))
        wanted = logits_of(model, inputs, "last_hidden_state").float()
        got = torch.tensor(extract(text))
        expect.close(
            got, wanted, own_tolerance(checkpoint, inputs)["last_hidden_state"], call, text=text
        )


@applies_to(colour_processor, vision, light, offers("image-feature-extraction"))
def test_image_feature_extraction(checkpoint, processor, model, expect):
    """Features of a picture are the model's first output."""
    extract = pipe("image-feature-extraction", model, image_processor=processor)
    image = gradient((50, 40))
    inputs = dict(processor(image, return_tensors="pt"))
    with torch.no_grad():
        wanted = model(**{k: v.to(model.device) for k, v in inputs.items()})[0].cpu().float()
    call = f"{PIPE}('image-feature-extraction', model=model, image_processor=processor)(image)"
    error = next(iter(own_tolerance(checkpoint, inputs).values())) + allowed_softmax(wanted)
    expect.close(torch.tensor(extract(image)), wanted, error, call, image=source(image))
