"""What pipelines share: options given once or at each call, saving, generators, a dtype, a single label."""

from __future__ import annotations

import copy

import pytest

from fixtures.answering import logits_of
from fixtures.applicability import (
    Predicate,
    applies_to,
    colour_processor,
    encoder,
    generation_sample,
    head,
    light,
    own_weights,
    room_for_pairs,
    tokenizer,
    unquantised,
)
from fixtures.ids import batch
from fixtures.images import gradient
from fixtures.lazy import torch, transformers
from fixtures.loading import SAFE, dtype_argument
from fixtures.oracle import own_tolerance
from fixtures.pipelines import continues_text, guesses, offers, pipe
from fixtures.tokenizer_files import has_mask_token, has_pad_token
from fixtures.tolerance import allowed, allowed_softmax

TEXT = "I really enjoyed this course!"
TEXTS = (TEXT, "Hello, how are you?", "Anna Lind lives in Madrid .")
CLASSIFY = "pipeline('text-classification', model=model, tokenizer=tokenizer)"
GREEDY = {"max_new_tokens": 3, "do_sample": False}
SIGMOID = {"top_k": 2, "function_to_apply": "sigmoid"}
# By the head: the task, and options that change its answer.
TASKS = {
    "SequenceClassification": ("text-classification", SIGMOID),
    "TokenClassification": (
        "token-classification",
        {"aggregation_strategy": "simple", "ignore_labels": []},
    ),
    "MaskedLM": ("fill-mask", {"top_k": 2, "targets": ["a", "e", "i"]}),
    "CausalLM": ("text-generation", {**GREEDY, "return_full_text": False, "prefix": "So it is. "}),
    "ImageClassification": ("image-classification", SIGMOID),
}
answers = light & (
    (head("SequenceClassification", "TokenClassification") & tokenizer)
    | (head("MaskedLM") & has_mask_token)
    | (head("ImageClassification") & colour_processor)
    | continues_text
)
headed = Predicate("a head", lambda c: c.head is not None)
# a decoder would have to be told which token is padding
side_by_side = head("ImageClassification") | (encoder & has_pad_token)
classifies = tokenizer & head("SequenceClassification") & light & offers("text-classification")


@pytest.fixture
def parts(checkpoint, request):
    """What a pipeline takes beside the model, by the name of its argument."""
    if checkpoint.kind == "vision":
        return {"image_processor": request.getfixturevalue("processor")}
    return {"tokenizer": request.getfixturevalue("tokenizer")}


def asked(checkpoint, parts):
    """The task of its head, options that act, and a question."""
    task, options = TASKS[checkpoint.head]
    if task == "fill-mask":
        return task, options, f"{TEXT} {parts['tokenizer'].mask_token}"
    return task, options, gradient((50, 40)) if checkpoint.kind == "vision" else TEXT


def flat(rows):
    """Answers in one list: text classification nests them where top_k is a pipeline's own."""
    return rows[0] if isinstance(rows[0], list) else rows


@applies_to(answers)
def test_options_are_given_once_or_each_time(checkpoint, parts, model, expect):
    """Options given to a pipeline act as if given to each call; those of a call win, and are forgotten."""
    task, options, question = asked(checkpoint, parts)
    short = GREEDY if task == "text-generation" else {}
    ask, own = pipe(task, model, **parts), pipe(task, model, **parts, **options)
    expect.equal(ask.task, task, f"pipeline({task!r}, ...).task")
    usual, told = ask(question, **short), ask(question, **options)
    call = f"pipeline({task!r}, ..., **options)(question)"
    expect.equal(flat(own(question)), flat(told), call, options=options)
    call = f"pipeline({task!r}, ...)(question), asked with options before"
    expect.equal(ask(question, **short), usual, call, options=options)
    if "function_to_apply" in options:
        call = f"pipeline({task!r}, ..., **options)(question, function_to_apply='softmax', top_k=1)"
        value = own(question, function_to_apply="softmax", top_k=1)
        wanted = ask(question, function_to_apply="softmax", top_k=1)
        expect.equal(value, wanted, call, options=options)


@applies_to(answers, side_by_side)
def test_questions_in_a_batch_are_answered_alike(checkpoint, parts, model, expect):
    """Questions of different lengths, answered side by side, get what each gets alone, in order."""
    task, options, question = asked(checkpoint, parts)
    ask = pipe(task, model, **parts)
    longer = gradient((30, 60)) if checkpoint.kind == "vision" else f"{TEXTS[2]} {question}"
    questions = [question, longer, question]
    alone = [split(flat(ask(each, **options))) for each in questions]
    near = 2 * own_tolerance(checkpoint, batch(checkpoint))["logits"] + allowed_softmax(alone[0][1])
    together = [split(flat(rows)) for rows in ask(questions, batch_size=3, **options)]
    call = f"pipeline({task!r}, ...)(questions, batch_size=3, **options)"
    for (words, value), (wanted, numbers) in zip(together, alone, strict=True):
        expect.equal(words, wanted, call, options=options)
        expect.close(value, numbers, near, call, options=options)


@applies_to(answers)
def test_a_saved_pipeline_answers_alike(checkpoint, parts, model, dtype, expect, tmp_path):
    """A pipeline saved to a directory and made of it again gives the same answers."""
    task, options, question = asked(checkpoint, parts)
    ask = pipe(task, model, **parts)
    ask.save_pretrained(tmp_path)
    alike = {"attn_implementation": "eager", **dtype_argument(dtype)}
    again = transformers.pipeline(
        task, model=str(tmp_path), device=model.device, model_kwargs=alike
    )
    call = f"(pipe.save_pretrained(directory), pipeline({task!r}, model=directory)(question, **options))[1]"
    (words, value), (wanted, numbers) = (split(p(question, **options)) for p in (again, ask))
    expect.equal(words, wanted, call, options=options)
    expect.close(value, numbers, allowed_softmax(numbers), call, options=options)


def split(rows):
    """The words of a pipeline's answers, and their numbers."""
    words = [{name: value for name, value in row.items() if name != "score"} for row in rows]
    return words, torch.tensor([float(row.get("score", 0)) for row in rows])


@applies_to(
    tokenizer, head("SequenceClassification"), encoder, light, offers("text-classification")
)
def test_a_single_label_has_a_probability(checkpoint, tokenizer, model, expect):
    """A classifier of one label that is told no problem gives the sigmoid of its number."""
    options = {"num_labels": 1, "problem_type": None, "ignore_mismatched_sizes": True}
    single = type(model).from_pretrained(checkpoint.path, **SAFE, **options).eval()
    logits = logits_of(single, tokenizer(TEXT, return_tensors="pt"))[0].float()
    rows = pipe("text-classification", single, tokenizer=tokenizer)(TEXT, top_k=None)
    call = "pipeline('text-classification', model with one label, ...)(text, top_k=None)"
    value = torch.tensor([row["score"] for row in rows])
    expect.close(value, logits.sigmoid(), allowed_softmax(logits), call, text=TEXT)


@applies_to(classifies)
def test_generators_are_read_as_answers_are_asked(checkpoint, tokenizer, model, expect):
    """A generator's texts are answered as a list's are, each read when its answer is asked for."""
    classify, read = pipe("text-classification", model, tokenizer=tokenizer), []
    answers = iter(classify(text for text in TEXTS if not read.append(text)))
    first = next(answers)
    call = f"{CLASSIFY}(text for text in texts)"
    expect.true(len(read) < len(TEXTS), read, "not all texts", f"read at the first of {call}")
    expect.equal([first, *answers], classify(list(TEXTS)), f"list({call})", texts=list(TEXTS))


@applies_to(classifies & encoder, room_for_pairs)
def test_columns_of_a_table_are_pairs(checkpoint, tokenizer, model, expect):
    """Two columns of a table are answered as the pairs that its rows are."""
    classify = pipe("text-classification", model, tokenizer=tokenizer)
    rows = [{"one": TEXTS[0], "two": TEXTS[1]}, {"one": TEXTS[2], "two": TEXTS[0]}]
    columns = transformers.pipelines.pt_utils.KeyPairDataset(rows, "one", "two")
    value = [flat([answer])[0] for answer in classify(columns)]
    want = [flat([classify({"text": r["one"], "text_pair": r["two"]})])[0] for r in rows]
    expect.equal(value, want, f"list({CLASSIFY}(KeyPairDataset(rows, 'one', 'two')))", rows=rows)


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
def test_a_callers_settings_are_left_alone(checkpoint, tokenizer, model, expect):
    """A generation configuration that is given to a pipeline is obeyed, and is as it was after the call."""
    write = pipe("text-generation", model, tokenizer=tokenizer)
    call = "pipeline('text-generation', ...)(text, generation_config=config, return_tensors=True)"
    greedy = transformers.GenerationConfig(max_new_tokens=3, do_sample=False)
    value = write(TEXTS[1], generation_config=greedy, return_tensors=True)
    wanted = write(TEXTS[1], max_new_tokens=3, do_sample=False, return_tensors=True)
    expect.equal(value, wanted, call, text=TEXTS[1])
    config = transformers.GenerationConfig(max_new_tokens=3)
    before = config.to_dict()
    write(TEXTS[1], generation_config=config)
    expect.equal(config.to_dict(), before, f"({call}, config.to_dict())[1]", text=TEXTS[1])


@applies_to(
    tokenizer, encoder, headed, own_weights, unquantised, light, offers("feature-extraction")
)
def test_a_task_without_a_head_leaves_it_out(checkpoint, tokenizer, expect):
    """Features of a checkpoint that has a head are its body's last states."""
    directory = str(checkpoint.path)
    extract = transformers.pipeline("feature-extraction", model=directory, tokenizer=tokenizer)
    # in whichever dtype a pipeline loads
    body = transformers.AutoModel.from_pretrained(checkpoint.path, **SAFE).eval()
    body = body.to(extract.model.dtype)
    call = "pipeline('feature-extraction', model=directory, tokenizer=tokenizer)"
    expect.equal(type(extract.model).__name__, type(body).__name__, f"type({call}.model).__name__")
    wanted = logits_of(body, tokenizer(TEXT, return_tensors="pt"), "last_hidden_state").float()
    value = extract(TEXT, return_tensors=True)
    expect.close(value.float(), wanted, allowed(wanted, wanted), f"{call}(text)", text=TEXT)


@applies_to(guesses, has_pad_token)
def test_candidates_in_batches_are_scored_alike(checkpoint, tokenizer, model, expect):
    """Asked two at a time, three candidates of each of several texts have the scores that they have alone."""
    classify = pipe("zero-shot-classification", model, tokenizer=tokenizer)
    names, texts = ["music", "a journey", "school"], list(TEXTS[:2])
    alone = [classify(text, candidate_labels=names, multi_label=True) for text in texts]
    call = "pipeline('zero-shot-classification', ...)(texts, names, multi_label=True, batch_size=2)"
    rows = classify(texts, candidate_labels=names, multi_label=True, batch_size=2)
    near = 2 * own_tolerance(checkpoint, batch(checkpoint))["logits"]
    for row, want in zip(rows, alone, strict=True):
        value, wanted = (dict(zip(r["labels"], r["scores"], strict=True)) for r in (row, want))
        expect.equal(sorted(value), sorted(names), call, texts=texts)
        scores, wanted = (torch.tensor([r[name] for name in names]) for r in (value, wanted))
        expect.close(scores, wanted, near + allowed_softmax(wanted), call, texts=texts)


@applies_to(continues_text, generation_sample)
def test_a_models_settings_are_its_pipelines(checkpoint, tokenizer, model, expect):
    """What a model's own generation settings say holds in a pipeline, too, whatever the pipeline's defaults."""
    own = copy.copy(model)
    own.generation_config = transformers.GenerationConfig(max_new_tokens=3)
    write = pipe("text-generation", own, tokenizer=tokenizer)
    ids = write(TEXTS[1], return_tensors=True)[0]["generated_token_ids"]
    prompt = write.preprocess(TEXTS[1])["input_ids"][0].tolist()
    call = "len(pipeline('text-generation', model=model)(text, return_tensors=True)[0]['generated_token_ids'])"
    expect.true(len(ids) <= len(prompt) + 3, len(ids), f"{len(prompt)} and at most 3", call)
