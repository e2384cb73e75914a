"""Options of a text's pipeline reach the tokenizer, and decide what is shown."""

from __future__ import annotations

import pytest

from fixtures.answering import logits_of
from fixtures.applicability import applies_to, encoder, head, kind, light, tokenizer
from fixtures.chat import shows_words
from fixtures.lazy import torch
from fixtures.pipelines import continues_text, offers, pipe

TEXT = "Hello, how are you?"
GREEDY = {"do_sample": False, "num_beams": 1, "max_new_tokens": 8}
SPACED = {"clean_up_tokenization_spaces": False}
WRITTEN = {**GREEDY, **SPACED}


def continued(model, tokenizer, text, special, skip=True, options=GREEDY):
    """The text of a greedy continuation, its prompt encoded with special tokens or without."""
    inputs = tokenizer(text, return_tensors="pt", add_special_tokens=special).to(model.device)
    inputs.pop("token_type_ids", None)
    with torch.no_grad():
        out = model.generate(**inputs, **options)[0, inputs["input_ids"].shape[1] :]
    return tokenizer.decode(out, skip_special_tokens=skip, clean_up_tokenization_spaces=False)


@applies_to(continues_text)
@pytest.mark.parametrize("special", [True, False])
def test_prompts_are_encoded_as_told(checkpoint, tokenizer, model, expect, special):
    """add_special_tokens and prefix decide what is continued: of a text, prefix and text are."""
    write = pipe("text-generation", model, tokenizer=tokenizer)
    options = {"add_special_tokens": special, "return_full_text": False}
    for prefix in ("", "So it is. "):
        given = {**options, "prefix": prefix} if prefix else options
        value = write(TEXT, **given, **WRITTEN)[0]["generated_text"]
        wanted = continued(write.model, tokenizer, prefix + TEXT, special)
        call = "pipeline('text-generation', model=model, tokenizer=tokenizer)(text, **options)"
        expect.equal(value.strip(), wanted.strip(), call, text=TEXT, options=given)


@applies_to(continues_text)
def test_max_length_counts_no_prefix(checkpoint, tokenizer, model, expect):
    """max_length of a pipeline is that of the text and its continuation, whatever the prefix."""
    write = pipe("text-generation", model, tokenizer=tokenizer)
    prefix, greedy = "So it is. ", {"do_sample": False, "num_beams": 1}
    before, own = (len(tokenizer(t, add_special_tokens=False)["input_ids"]) for t in (prefix, TEXT))
    given = {
        "prefix": prefix,
        "return_full_text": False,
        "truncation": False,
        "max_length": own + 2,
    }
    value = write(TEXT, **given, **greedy, **SPACED)[0]["generated_text"]
    longer = {**greedy, "max_length": own + 2 + before}
    wanted = continued(write.model, tokenizer, prefix + TEXT, True, options=longer)
    call = "pipeline('text-generation', model=model, tokenizer=tokenizer)(text, **options)"
    expect.equal(value.strip(), wanted.strip(), call, text=TEXT, options=given)


@applies_to(tokenizer, kind("decoder"), head("CausalLM"), shows_words, light)
def test_an_assistants_message_is_continued(checkpoint, tokenizer, model, expect):
    """A conversation that ends with the assistant's words is continued in that message."""
    write = pipe("text-generation", model, tokenizer=tokenizer)
    talk = [{"role": "user", "content": TEXT}, {"role": "assistant", "content": "I am"}]
    options = {"tokenize": False, "continue_final_message": True}
    rendered = tokenizer.apply_chat_template(talk, **options)
    value = write(talk, **WRITTEN)[0]["generated_text"]
    wanted = continued(write.model, tokenizer, rendered, False)
    call = "pipeline('text-generation', model=model, tokenizer=tokenizer)(talk, **options)[0]['generated_text']"
    expect.equal(value[:-1], talk[:-1], f"{call}[:-1]", talk=talk)
    last = value[-1]["content"]
    got = [value[-1]["role"], last[: len("I am")], last[len("I am") :].strip()]
    expect.equal(got, ["assistant", "I am", wanted.strip()], f"{call}[-1]", talk=talk)


@applies_to(tokenizer, encoder, head("SequenceClassification"), offers("text-classification"))
def test_texts_are_cut_as_told(checkpoint, tokenizer, model, expect):
    """truncation and max_length given to a classification cut the text that is classified."""
    label = pipe("text-classification", model, tokenizer=tokenizer)
    options = {"truncation": True, "max_length": 5}
    text = f"{TEXT} {TEXT}"
    value = label(text, top_k=None, function_to_apply="none", **options)
    logits = logits_of(model, tokenizer(text, return_tensors="pt", **options))[0]
    wanted = sorted(logits.float().tolist(), reverse=True)
    call = "scores of pipeline('text-classification', ...)(text, top_k=None, function_to_apply='none', **options)"
    scores = torch.tensor([row["score"] for row in value])
    expect.close(scores, torch.tensor(wanted), 1e-5, call, text=text, options=options)
