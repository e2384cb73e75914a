"""The task heads end to end: a sentence or a picture in, the right word out."""

from __future__ import annotations

import pytest

from fixtures.answering import answer, filled, label, logits_of, scores, word_tags
from fixtures.applicability import (
    Predicate,
    any_model,
    applies_to,
    has_fact,
    head,
    text_model,
    tokenizer,
    vision,
)
from fixtures.images import Source
from fixtures.lazy import torch, transformers
from fixtures.loading import SAFE
from fixtures.tolerance import allowed_sum

LESSON = "I really enjoyed this course!"
GREETING = "Hello, how are you?"
GREETING_IDS = [101, 7592, 1010, 2129, 2024, 2017, 1029, 102]


def knows(kind, value, wanted=None):
    """The catalogue has this fact of a kind."""
    return Predicate(
        f"fact: {kind} of {value!r}",
        lambda c: any(f.input == value and wanted in (None, f.expect) for f in c.facts_of(kind)),
    )


@applies_to(tokenizer, head("SequenceClassification"), has_fact("label"))
def test_sentences_get_their_labels(checkpoint, tokenizer, model, expect, observe):
    """A sentence gets the label that the checkpoint was trained to give it."""
    for fact in checkpoint.facts_of("label"):
        logits = logits_of(model, tokenizer(fact.input, return_tensors="pt"))[0]
        observe("tasks/label", label(model, logits), input=fact.input, group="outputs")
        call = "model.config.id2label[int(model(**tokenizer(text, return_tensors='pt')).logits.argmax())]"
        expect.equal(label(model, logits), fact.expect, call, text=fact.input)


@applies_to(tokenizer, head("SequenceClassification"), has_fact("label"))
def test_a_batch_of_sentences_gets_its_labels(checkpoint, tokenizer, model, expect):
    """Padded to one batch, every sentence keeps its label."""
    facts = checkpoint.facts_of("label")
    texts = [fact.input for fact in facts]
    rows = logits_of(model, tokenizer(texts, padding=True, return_tensors="pt"))
    call = "model(**tokenizer(texts, padding=True, return_tensors='pt')).logits.argmax(-1)"
    expect.equal(
        [label(model, row) for row in rows], [fact.expect for fact in facts], call, texts=texts
    )


@applies_to(tokenizer, head("SequenceClassification"), knows("label", LESSON))
def test_the_lesson_s_sentence(checkpoint, tokenizer, model, expect, observe):
    """softmax(logits) of "I really enjoyed this course!" is two probabilities, the positive larger."""
    logits = logits_of(model, tokenizer(LESSON, return_tensors="pt"))
    shares = scores(checkpoint.config.get("problem_type"), logits)[0]
    named = {model.config.id2label[i]: float(share) for i, share in enumerate(shares)}
    observe("tasks/probabilities", shares, input=LESSON, group="numbers", tolerance=None)
    print(", ".join(f"{name.capitalize()}: {share:.4f}" for name, share in named.items()))
    call = "model(**tokenizer(text, return_tensors='pt')).logits.softmax(-1)"
    expect.close(
        shares.double().sum(),
        torch.tensor(1.0),
        allowed_sum(len(shares), str(logits.dtype).removeprefix("torch.")),
        f"{call}.sum()",
        text=LESSON,
    )
    expect.equal(max(named, key=named.get).upper(), "POSITIVE", call, text=LESSON)


@applies_to(tokenizer, head("TokenClassification"), has_fact("tags"))
def test_words_get_their_tags(checkpoint, tokenizer, model, expect, observe):
    """Each word of a sentence gets the tag that the checkpoint was trained to give it."""
    for fact in checkpoint.facts_of("tags"):
        tags = word_tags(tokenizer, model, fact.input.split())
        observe("tasks/tags", tags, input=fact.input, group="outputs")
        call = "model(**tokenizer(text.split(), is_split_into_words=True, return_tensors='pt')).logits.argmax(-1)"
        expect.equal(tags, fact.expect, call, text=fact.input)


@applies_to(tokenizer, head("QuestionAnswering"), has_fact("span"))
def test_questions_get_their_answers(checkpoint, tokenizer, model, expect, observe):
    """The likeliest span of the context is the answer that the checkpoint was trained to give."""
    for fact in checkpoint.facts_of("span"):
        found = answer(tokenizer, model, **fact.input)
        observe("tasks/answer", found, input=str(fact.input), group="outputs")
        call = "model(**tokenizer(question, context, return_tensors='pt'))"
        expect.equal(found, fact.expect, call, **fact.input)


@applies_to(tokenizer, head("MaskedLM"), has_fact("fill"))
def test_masks_get_their_words(checkpoint, tokenizer, model, expect, observe):
    """The likeliest token at the mask is the word that the checkpoint was trained to put there."""
    for fact in checkpoint.facts_of("fill"):
        word = filled(tokenizer, model, fact.input)
        observe("tasks/fill", word, input=fact.input, group="outputs")
        call = "model(**tokenizer(text, return_tensors='pt')).logits.argmax(-1)"
        expect.equal(word, fact.expect, call, text=fact.input)


@applies_to(vision, head("ImageClassification"), has_fact("image-label"))
def test_pictures_get_their_labels(checkpoint, processor, model, expect, observe):
    """A picture gets the label that the checkpoint was trained to give it."""
    from PIL import Image

    for fact in checkpoint.facts_of("image-label"):
        image = Image.open(checkpoint.path / fact.input)
        logits = logits_of(model, processor(image, return_tensors="pt"))[0]
        observe("tasks/image label", label(model, logits), input=fact.input, group="outputs")
        call = "model.config.id2label[int(model(**processor(image, return_tensors='pt')).logits.argmax())]"
        source = Source(
            f"__import__('PIL.Image').Image.open({str(checkpoint.path / fact.input)!r})"
        )
        expect.equal(label(model, logits), fact.expect, call, image=source)


@applies_to(any_model)
def test_auto_config_finds_the_model_type(checkpoint, expect):
    """AutoConfig builds the configuration class of the model type that the files name."""
    config = transformers.AutoConfig.from_pretrained(checkpoint.path, **SAFE)
    call = "type(__import__('transformers').AutoConfig.from_pretrained(directory)).model_type"
    expect.equal(
        type(config).model_type, checkpoint.model_type, call, directory=str(checkpoint.path)
    )


@applies_to(any_model)
def test_other_kinds_are_refused(checkpoint, expect):
    """An Auto class for pictures refuses a text model, and one for text refuses a vision model."""
    wrong = (
        "AutoModelForMaskedLM" if checkpoint.kind == "vision" else "AutoModelForImageClassification"
    )
    with pytest.raises(ValueError, match="Unrecognized configuration class") as refusal:
        getattr(transformers, wrong).from_pretrained(checkpoint.path, **SAFE)
    call = f"__import__('transformers').{wrong}.from_pretrained(model.name_or_path)"
    expect.true(
        wrong in str(refusal.value), str(refusal.value), f"a message that names {wrong}", call
    )


bert_vocabulary = knows("encoding", GREETING, GREETING_IDS) & Predicate(
    "a BERT", lambda c: c.model_type == "bert"
)


@applies_to(tokenizer, text_model, bert_vocabulary)
def test_bert_base_has_the_published_shape(checkpoint, tokenizer, expect, observe):
    """A BERT of bert-base-uncased's size answers (1, 8, 768) to the lesson's greeting of eight ids.

    The lesson prints (1, 7, 768); 12 layers, 768 wide, 12 heads: Devlin et al. 2019, section 3.
    """
    inputs = tokenizer(GREETING, return_tensors="pt")
    call = "tokenizer(text)"
    expect.equal(
        sorted(inputs),
        ["attention_mask", "input_ids", "token_type_ids"],
        f"sorted({call})",
        text=GREETING,
    )
    expect.equal(inputs["input_ids"][0], GREETING_IDS, f"{call}['input_ids']", text=GREETING)
    config = transformers.BertConfig(
        vocab_size=30522,
        hidden_size=768,
        num_hidden_layers=12,
        num_attention_heads=12,
        intermediate_size=3072,
        max_position_embeddings=512,
        type_vocab_size=2,
    )
    with torch.device("meta"):
        empty = transformers.BertModel(config)
    stand_in = drawn(empty.to_empty(device="cpu")).eval()
    with torch.no_grad():
        shape = list(stand_in(**inputs).last_hidden_state.shape)
    observe("tasks/bert-base shape", shape, input=GREETING, group="outputs")
    call = "__import__('transformers').BertModel(config)(**tokenizer(text, return_tensors='pt'))[0].shape"
    expect.equal(shape, [1, 8, 768], call, text=GREETING)
    parameters = sum(p.numel() for p in stand_in.parameters())
    expect.equal(
        parameters,
        109_482_240,
        "__import__('transformers').BertModel(config).num_parameters()",
    )


def drawn(model):
    """A model whose parameters are small random numbers, cheaply: one short draw, repeated."""
    short = torch.randn(1 << 16, generator=torch.Generator().manual_seed(0)) * 0.02
    with torch.no_grad():
        for parameter in model.parameters():
            times = -(-parameter.numel() // len(short))
            parameter.copy_(short.repeat(times)[: parameter.numel()].reshape(parameter.shape))
        for name, buffer in model.named_buffers():
            positions = torch.arange(buffer.shape[-1]).expand_as(buffer)
            buffer.copy_(positions if name.endswith("position_ids") else torch.zeros_like(buffer))
    return model
