"""Pipelines made of a directory, with their defaults and their options."""

from __future__ import annotations

from fixtures.applicability import (
    Predicate,
    applies_to,
    head,
    light,
    processor,
    tokenizer,
    walk_sample,
    walkable,
)
from fixtures.ids import batch
from fixtures.images import gradient
from fixtures.lazy import torch, transformers
from fixtures.oracle import tolerances

TEXTS = ("Hello, how are you?", "Anna Lind lives in Madrid .")
CHAT = [{"role": "user", "content": "Hi"}]
SOFTMAX = 2  # logits off by at most d move a log-probability by at most 2 d
SHORT = "max_new_tokens=6, do_sample=False, num_beams=1"
# a caller's own, where the library has others
SETTINGS = "transformers.GenerationConfig(max_new_tokens=2, do_sample=False, num_beams=1)"
BRIEF = "max_new_tokens=3, do_sample=False"
QUESTION = "question='Who lives in Madrid?', context='Anna Lind lives in Madrid . I met Will .'"
# head -> (task, calls)
TASKS = {
    "SequenceClassification": (
        "text-classification",
        (
            "pipe(texts[0])",
            "pipe(texts, top_k=None)",
            "pipe(texts[0], return_all_scores=True)",
            "pipe(texts[0], function_to_apply='none')",
            "pipe(texts, batch_size=2, padding=True)",
            "pipe({'text': texts[0], 'text_pair': texts[1]})",
            "type(pipe(text for text in texts)).__name__",
            "list(pipe(text for text in texts))",
            "pipe([])",
            "pipe(texts[0], no_such_option=1)",
            *(
                f"str(transformers.pipeline('text-classification', model=checkpoint, {o}).model.dtype)"
                for o in ("torch_dtype='float16'", "model_kwargs={'torch_dtype': torch.float16}")
            ),
        ),
    ),
    "TokenClassification": (
        "token-classification",
        (
            "pipe(texts[1])",
            "pipe(texts, batch_size=2)",
            "pipe(texts[1], ignore_labels=[])",
            *(
                f"pipe(texts[1], aggregation_strategy={name!r})"
                for name in ("simple", "first", "average", "max")
            ),
            "pipe(texts[1], grouped_entities=True)",
            "pipe(texts[1].split(), is_split_into_words=True)",
            "pipe(texts[1] * 30, stride=4, aggregation_strategy='first')[-2:]",
        ),
    ),
    "QuestionAnswering": (
        "question-answering",
        (
            *(
                f"pipe({QUESTION}{o})"
                for o in ("", ", top_k=3", ", max_answer_len=1", ", handle_impossible_answer=True")
            ),
            f"pipe(dict({QUESTION}))",
            "pipe(question=['Who lives?', 'Where?'], context='Anna Lind lives in Madrid .')",
            f"pipe({QUESTION} * 9, max_seq_len=40, doc_stride=9)",
        ),
    ),
    "MaskedLM": (
        "fill-mask",
        (
            "pipe('Hello ' + pipe.tokenizer.mask_token)",
            "pipe('Hello ' + pipe.tokenizer.mask_token, top_k=2, targets=['a', 'b'])",
            "pipe(['a ' + pipe.tokenizer.mask_token] * 2)",
            "pipe('no mask')",
        ),
    ),
    "CausalLM": (
        "text-generation",
        (
            f"pipe(texts[0], {SHORT})",
            f"pipe(texts[0], return_full_text=False, {SHORT})",
            f"pipe(texts[0], return_tensors=True, {SHORT})",
            f"pipe(list(texts), batch_size=2, {SHORT})",
            f"pipe(texts[0], prefix='Hi. ', {SHORT})",
            f"pipe(chat, {SHORT})",
            f"pipe(chat + [{{'role': 'assistant', 'content': 'Yes'}}], {SHORT})",
            f"pipe(chat, tools=[{{'name': 'find'}}], {SHORT})",
            "pipe(texts[0])",
            "pipe('one', max_length=18, do_sample=False, num_beams=1)",
            f"type(pipe((text for text in texts), {SHORT})).__name__",
            f"pipe(texts[0], stop_sequence='a', {SHORT})",
            f"pipe(texts[0] * 9, handle_long_generation='hole', {SHORT})",
            f"list(pipe(texts[0], output_scores=True, return_dict_in_generate=True, {SHORT})[0])",
            "pipe(texts[0], generation_config=settings)",
            "transformers.pipeline('text-generation', model=checkpoint, generation_config=settings)(texts[0])",
            "transformers.pipeline('text-generation', model=checkpoint, max_new_tokens=2, do_sample=False)(texts[0])",
            f"(pipe.model.generation_config.update({BRIEF}), transformers.pipeline('text-generation', model=pipe.model, tokenizer=pipe.tokenizer)(texts[0]))[1]",
        ),
    ),
    "Seq2SeqLM": (
        "text2text-generation",
        (f"pipe(texts[0], {SHORT})", f"pipe(list(texts), batch_size=2, {SHORT})"),
    ),
    None: (
        "feature-extraction",
        (
            "pipe(texts[0])[0][0][:8]",
            "torch.stack(pipe(list(texts), return_tensors=True)[:1])[0, 0, 0, :8]",
        ),
    ),
}
# what else a head serves
MORE = {
    "SequenceClassification": (
        ("zero-shot-classification", ("pipe(texts[1], candidate_labels=['a', 'b'])",)),
    ),
    "Seq2SeqLM": (
        ("summarization", (f"pipe(texts[0], {SHORT})",)),
        ("translation", (f"pipe(texts[0], src_lang='en_XX', tgt_lang='de_DE', {SHORT})",)),
    ),
}
IMAGES = (
    "image-classification",
    (
        "pipe(image)",
        "pipe(image, top_k=2)",
        "pipe(images=image)",
        "pipe(__import__('numpy').array(image))",
        "pipe(torch.tensor(__import__('numpy').array(image)).permute(2, 0, 1))",
        "type(pipe(image for image in [image])).__name__",
    ),
)

pipes_sample = walk_sample | Predicate(
    "a checkpoint that shows a task of its own",
    lambda c: c.name in ("bert-cased-tagger", "distilbert-span"),
)


@applies_to(walkable, tokenizer, light, pipes_sample)
def test_text_pipelines(checkpoint, observe, tmp_path):
    """The pipeline of a head over texts, from the directory alone."""
    if checkpoint.head in TASKS:
        names = {"texts": list(TEXTS), "chat": CHAT, "checkpoint": str(checkpoint.path)}
        names |= {"settings": eval(SETTINGS, {"transformers": transformers})}
        for asked in (TASKS[checkpoint.head], *MORE.get(checkpoint.head, ())):
            observe_pipeline(checkpoint, observe, asked, names, tmp_path)


@applies_to(walkable, processor, light, walk_sample, head("ImageClassification"))
def test_image_pipelines(checkpoint, observe, tmp_path):
    """The pipeline of a vision model over an image."""
    observe_pipeline(checkpoint, observe, IMAGES, {"image": gradient((48, 40))}, tmp_path)


def observe_pipeline(checkpoint, observe, asked, names, directory) -> None:
    """What a pipeline gives for each call: its words, and its numbers apart from them; what it saves."""
    task, calls = asked
    made, names = [], {**names, "torch": torch, "transformers": transformers}

    def make():
        made.append(transformers.pipeline(task, model=str(checkpoint.path)))
        return [type(made[0]).__name__, str(made[0].model.dtype)]

    code = f"pipe = transformers.pipeline({task!r}, model=checkpoint)\n"
    observe.attempt(
        f"pipelines/{task}", make, group="outputs", reproduce=code + "type(pipe).__name__"
    )
    if not made:
        return
    dtype = str(made[0].model.dtype).removeprefix("torch.")
    limits = tolerances(checkpoint, batch(checkpoint, [9, 9], seed=78), dtype)
    limit = SOFTMAX * max(limits.values()) if limits else None
    data = {name: value for name, value in names.items() if name in ("texts", "chat")}
    code += "".join(f"{name} = {value!r}\n" for name, value in data.items())
    code += f"settings = {SETTINGS}\n"

    def saved():
        made[0].save_pretrained(directory / task)
        return sorted(file.name for file in (directory / task).iterdir())

    observe.attempt(
        f"pipelines/{task}/saved files",
        saved,
        group="outputs",
        reproduce=code + "pipe.save_pretrained('saved')\nimport os\nsorted(os.listdir('saved'))",
    )
    for call in calls:
        observe_answer(
            observe, f"pipelines/{task}/{call}", call, made[0], names, limit, code + call
        )


def observe_answer(observe, place, call, pipe, names, limit, reproduce) -> None:
    """The words of one answer, and its numbers."""
    numbers = []

    def answer():
        torch.manual_seed(0)
        with torch.no_grad():
            return apart(eval(call, {**names, "pipe": pipe}), numbers)

    observe.attempt(place, answer, group="outputs", reproduce=reproduce)
    if numbers:
        observe(
            f"{place}/numbers",
            torch.tensor(numbers),
            group="numbers",
            tolerance=limit,
            reproduce=reproduce,
        )


def apart(value, numbers):
    """Plain data in which every float is a word, and gone to `numbers` in its place."""
    if isinstance(value, float):
        numbers.append(value)
        return "number"
    if hasattr(value, "tolist"):
        return apart(value.tolist(), numbers)
    if isinstance(value, dict):
        return {name: apart(part, numbers) for name, part in value.items()}
    return [apart(part, numbers) for part in value] if isinstance(value, list | tuple) else value
