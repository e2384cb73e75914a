"""Pipelines as callers hold them: fed by a generator, made in a dtype, with settings of the model's."""

from __future__ import annotations

import copy

import pytest

from fixtures.applicability import (
    applies_to,
    generation_sample,
    head,
    light,
    own_weights,
    tokenizer,
    unquantised,
)
from fixtures.lazy import torch, transformers
from fixtures.pipelines import continues_text, offers, pipe

TEXTS = ("I really enjoyed this course!", "Hello, how are you?", "Anna Lind lives in Madrid .")
CLASSIFY = "pipeline('text-classification', model=model, tokenizer=tokenizer)"
classifies = tokenizer & head("SequenceClassification") & light & offers("text-classification")


@applies_to(classifies)
def test_generators_are_read_as_answers_are_asked(checkpoint, tokenizer, model, expect):
    """A generator's texts are answered as a list's are, each read when its answer is asked for."""
    classify, read = pipe("text-classification", model, tokenizer=tokenizer), []
    answers = iter(classify(text for text in TEXTS if not read.append(text)))
    first = next(answers)
    call = f"{CLASSIFY}(text for text in texts)"
    expect.true(len(read) < len(TEXTS), read, "not all texts", f"read at the first of {call}")
    expect.equal([first, *answers], classify(list(TEXTS)), f"list({call})", texts=list(TEXTS))


@applies_to(classifies, own_weights, unquantised)
@pytest.mark.parametrize("word", ["torch_dtype", "model_kwargs"])
def test_a_pipeline_is_made_in_the_dtype_asked(checkpoint, expect, word):
    """A pipeline made of a directory holds its weights in the dtype that is asked for."""
    asked = torch.float64
    options = {word: asked} if word == "torch_dtype" else {word: {"torch_dtype": asked}}
    made = transformers.pipeline("text-classification", model=str(checkpoint.path), **options)
    found = sorted({str(p.dtype) for p in made.model.parameters()})
    call = "{str(p.dtype) for p in pipeline(task, model=directory, **options).model.parameters()}"
    expect.equal(found, [str(asked)], call, options=options)


@applies_to(continues_text, generation_sample)
def test_a_models_settings_are_its_pipelines(checkpoint, tokenizer, model, expect):
    """What a model's own generation settings say holds in a pipeline, too, whatever the pipeline's defaults."""
    own = copy.copy(model)
    own.generation_config = copy.deepcopy(model.generation_config)
    told = {"max_new_tokens": 3, "do_sample": False, "num_beams": 1, "eos_token_id": None}
    own.generation_config.update(**told)
    write = pipe("text-generation", own, tokenizer=tokenizer)
    ids = write(TEXTS[1], return_tensors=True)[0]["generated_token_ids"]
    prompt = write.preprocess(TEXTS[1])["input_ids"][0].tolist()
    call = "len(pipeline('text-generation', model=model)(text, return_tensors=True)[0]['generated_token_ids'])"
    expect.true(len(ids) <= len(prompt) + 3, len(ids), f"{len(prompt)} and at most 3", call)
