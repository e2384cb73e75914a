"""Options of the pipelines for tags, masks, labels, features: words, targets, problem types, cut texts."""

from __future__ import annotations

from fixtures.answering import logits_of
from fixtures.applicability import (
    Predicate,
    applies_to,
    colour_processor,
    encoder,
    head,
    light,
    several_labels,
    tokenizer,
    trait,
    vision,
)
from fixtures.images import gradient, source
from fixtures.lazy import torch, transformers
from fixtures.loading import SAFE
from fixtures.pipelines import entailment, guesses, offers, pipe, takes
from fixtures.tokenizer_files import fast, special_tokens
from fixtures.tolerance import allowed, allowed_softmax

words_are_pieces = trait("wordpiece") | trait("wordpiece-vocabulary")
TEXT = "Anna Lind lives in Madrid and Konrad Novak in Konstantinopolis ."
CUT = {"truncation": True, "max_length": 6}
TAGGING, FILLING = "token-classification", "fill-mask"
PROBLEMS = {
    "regression": lambda logits: logits,
    "multi_label_classification": lambda logits: logits.sigmoid(),
    "single_label_classification": lambda logits: logits.softmax(-1),
}
FUNCTIONS = {"none": PROBLEMS["regression"], "sigmoid": PROBLEMS["multi_label_classification"]}
base = Predicate("no head", lambda c: c.head is None)
has_mask_token = Predicate("mask token", lambda c: "mask_token" in special_tokens(c))


@applies_to(
    fast,
    words_are_pieces,
    head("TokenClassification"),
    light,
    takes("token_classification", "is_split_into_words"),
)
def test_split_words_are_placed_in_the_joined_text(checkpoint, tokenizer, model, expect):
    """Given as words, a text has the tags it has as a whole, placed in the words joined by the delimiter."""
    tag = pipe(TAGGING, model, tokenizer=tokenizer)
    words, whole = TEXT.split(), tag(TEXT, ignore_labels=[])
    call = f"pipeline('{TAGGING}', ...)([words], ignore_labels=[], **options)[0]"
    for delimiter in (" ", "--", ""):
        options = {"is_split_into_words": True, "delimiter": delimiter}
        moves = [TEXT[: row["start"]].count(" ") * (len(delimiter) - 1) for row in whole]
        wanted = [
            (row["entity"], row["word"], row["start"] + move, row["end"] + move)
            for row, move in zip(whole, moves, strict=True)
        ]
        rows = tag([words], ignore_labels=[], **options)[0]
        found = [(row["entity"], row["word"], row["start"], row["end"]) for row in rows]
        expect.equal(found, wanted, call, words=words, options=options)


@applies_to(tokenizer, head("TokenClassification"), several_labels, light, offers(TAGGING))
def test_labels_are_grouped_by_what_follows_the_first_hyphen(checkpoint, tokenizer, model, expect):
    """Entities are named by what follows B- or I-, whatever hyphens it has; without either, by the label."""
    tag = pipe(TAGGING, model, tokenizer=tokenizer, aggregation_strategy="simple")
    count = len(model.config.id2label)
    call = f"pipeline('{TAGGING}', ..., aggregation_strategy='simple')(text, ignore_labels=[]), labels renamed"
    for names in (["B-one-two", "I-one-two"], ["word", "word"]):
        tag.model.config.id2label = {i: names[i % 2] for i in range(count)}
        pieces = tag(TEXT, ignore_labels=[], aggregation_strategy="none")
        begun = [i for i, r in enumerate(pieces) if i == 0 or r["entity"].startswith("B-")]
        rows = tag(TEXT, ignore_labels=[])
        wanted = [(names[0].removeprefix("B-"), pieces[i]["start"]) for i in begun]
        found = [(row["entity_group"], row["start"]) for row in rows]
        expect.equal(found, wanted, call, text=TEXT, labels=names)


@applies_to(tokenizer, head("TokenClassification"), light, offers(TAGGING))
def test_long_texts_are_tagged_up_to_the_maximum(checkpoint, tokenizer, model, expect):
    """Of a text that is too long, the tokens that fit are tagged, by what the model makes of these."""
    tag = pipe(TAGGING, model, tokenizer=tokenizer)
    tag.tokenizer.model_max_length = CUT["max_length"]
    inputs = tokenizer(TEXT, return_tensors="pt", return_special_tokens_mask=True, **CUT)
    real = [i for i, special in enumerate(inputs.pop("special_tokens_mask")[0]) if not special]
    best = logits_of(model, inputs)[0].argmax(-1)
    rows = tag(TEXT, ignore_labels=[])
    wanted = [(i, model.config.id2label[int(best[i])]) for i in real]
    call = f"(setattr(tokenizer, 'model_max_length', 6), pipeline('{TAGGING}', ...)(text, ignore_labels=[]))[1]"
    expect.equal([(row["index"], row["entity"]) for row in rows], wanted, call, text=TEXT)


@applies_to(tokenizer, has_mask_token, head("MaskedLM"), light, offers(FILLING))
def test_targets_are_tokens_or_begin_with_one(checkpoint, tokenizer, model, expect):
    """A target may be given alone; one that is no token stands for its first piece (documented)."""
    fill = pipe(FILLING, model, tokenizer=tokenizer)
    text, target = f"Hello, how are {tokenizer.mask_token}?", "zqxjk zv"
    pieces = tokenizer(target, add_special_tokens=False)["input_ids"]
    call = f"pipeline('{FILLING}', ...)(text, targets={target!r})"
    value = [row["token"] for row in fill(text, targets=target)]
    expect.equal(value, pieces[:1], call, text=text)
    named = set(tokenizer.all_special_tokens)
    some = [token for token in sorted(tokenizer.get_vocab()) if token not in named][:4]
    best = fill(text, targets=some)
    for most in (1, 2, 9):
        call = f"pipeline('{FILLING}', ...)(text, targets=targets, top_k={most})"
        value = fill(text, targets=some, top_k=most)
        expect.equal(value, best[:most], call, text=text, targets=some)
    options = {"tokenizer_kwargs": CUT}
    text = f"Hello {tokenizer.mask_token}, {TEXT}"
    inputs = tokenizer(text, return_tensors="pt", **CUT)
    place = inputs["input_ids"][0] == tokenizer.mask_token_id
    shares = logits_of(model, inputs)[0][place][0].float().softmax(-1).topk(3).values
    value = torch.tensor([row["score"] for row in fill(text, top_k=3, **options)])
    call = f"pipeline('{FILLING}', ...)(text, top_k=3, **options), scores"
    expect.close(value, shares, allowed_softmax(shares), call, text=text, options=options)


@applies_to(
    tokenizer, head("SequenceClassification"), several_labels, light, offers("text-classification")
)
def test_the_problem_decides_the_function(checkpoint, tokenizer, model, expect):
    """Told nothing, numbers of a regression stay bare, of several labels each is a probability, of one all are."""
    classify = pipe("text-classification", model, tokenizer=tokenizer)
    logits = logits_of(model, tokenizer(TEXT, return_tensors="pt"))[0].float()
    near = allowed_softmax(logits)
    for problem, function in PROBLEMS.items():
        classify.model.config.problem_type = problem
        value = torch.tensor([row["score"] for row in classify(TEXT, top_k=None)])
        call = f"(setattr(model.config, 'problem_type', {problem!r}), pipeline('text-classification', ...)(text, top_k=None))[1]"
        expect.close(value, function(logits).sort(descending=True).values, near, call, text=TEXT)


@applies_to(
    colour_processor,
    vision,
    head("ImageClassification"),
    several_labels,
    light,
    offers("image-classification"),
)
def test_pictures_have_the_function_of_their_problem(checkpoint, processor, model, expect):
    """A picture's numbers are made probabilities as function_to_apply or the model's problem says."""
    see, image = pipe("image-classification", model, image_processor=processor), gradient((50, 40))
    logits = logits_of(model, processor(image, return_tensors="pt"))[0].float()
    near, call = allowed_softmax(logits), "pipeline('image-classification', ...)"
    for problem, function in PROBLEMS.items():
        see.model.config.problem_type = problem
        wanted = function(logits).sort(descending=True).values
        value = torch.tensor([row["score"] for row in see(image, top_k=len(logits))])
        expect.close(value, wanted, near, f"{call}(image), {problem}", image=source(image))
    for name, function in FUNCTIONS.items():
        wanted = function(logits).sort(descending=True).values
        rows = see(image, top_k=len(logits), function_to_apply=name)
        value, then = torch.tensor([row["score"] for row in rows]), f"{call}(image, {name!r})"
        expect.close(value, wanted, near, then, image=source(image))


@applies_to(guesses)
def test_zero_shot_labels_and_texts_may_be_many(checkpoint, tokenizer, model, expect):
    """Labels may be one text with commas, texts several; the label that begins with entail is the one
    that counts."""
    classify = pipe("zero-shot-classification", model, tokenizer=tokenizer)
    names = ["music", "a journey", "school"]
    call = "pipeline('zero-shot-classification', ...)"
    wanted = [classify(text, candidate_labels=names) for text in (TEXT, "Hello, how are you?")]
    value = classify(TEXT, candidate_labels="music, a journey,school")
    expect.equal(value, wanted[0], f"{call}(text, candidate_labels='music, a journey,school')")
    value = classify([TEXT, "Hello, how are you?"], candidate_labels=names)
    expect.equal(value, wanted, f"{call}(texts, candidate_labels=names)")
    classify.model.config.label2id = {"no entailment": 1, "ENTAILS": 0}
    hypotheses = [tokenizer(TEXT, f"This example is {n}.", return_tensors="pt") for n in names]
    logits = torch.stack([logits_of(model, one)[0].float() for one in hypotheses])
    # alone, a label is weighed against one that is not its own
    each = {False: logits[:, 0].softmax(0), True: logits[:, [-1, 0]].softmax(-1)[:, 1]}
    for alone, scores in each.items():
        row = classify(TEXT, candidate_labels=names, multi_label=alone)
        value = torch.tensor([row["scores"][row["labels"].index(name)] for name in names])
        said = f"{call}(text, names, multi_label={alone}), label 0 called ENTAILS"
        expect.close(value, scores, allowed_softmax(logits), said, text=TEXT)
    value = torch.tensor(classify(TEXT, candidate_labels=names[:1])["scores"])
    said = f"{call}(text, {names[:1]})['scores'], the one label against its not being so"
    expect.close(value, each[True][:1], allowed_softmax(logits), said, text=TEXT)


@applies_to(guesses, fast)
def test_zero_shot_cuts_the_text(checkpoint, tokenizer, model, expect):
    """Of a text that is too long for its hypothesis the end is left out, of the hypothesis nothing."""
    classify = pipe("zero-shot-classification", model, tokenizer=tokenizer)
    name, template = "a journey to school", "This text is about {}."
    cut = {"max_length": len(tokenizer(TEXT, template.format(name))["input_ids"]) - 2}
    classify.tokenizer.model_max_length = cut["max_length"]
    encoded = tokenizer(
        TEXT, template.format(name), truncation="only_first", return_tensors="pt", **cut
    )
    logits = logits_of(model, encoded)[0].float()
    wanted = logits[entailment(checkpoint)].softmax(-1)[1:]
    row = classify(TEXT, candidate_labels=[name], hypothesis_template=template)
    call = f"(setattr(tokenizer, 'model_max_length', {cut['max_length']}), pipeline('zero-shot-classification', ...)(text, [{name!r}]))[1]"
    expect.close(torch.tensor(row["scores"]), wanted, allowed_softmax(logits), call, text=TEXT)


@applies_to(tokenizer, encoder, base, light, offers("feature-extraction"))
def test_features_of_a_cut_text(checkpoint, tokenizer, model, expect):
    """tokenize_kwargs and truncation decide what of the text is read, whose features are a tensor when asked."""
    extract = pipe("feature-extraction", model, tokenizer=tokenizer)
    call = "pipeline('feature-extraction', ...)(text, return_tensors=True, **options)"
    extract.tokenizer.model_max_length, bare = CUT["max_length"], {"add_special_tokens": False}
    for options, told in (
        ({"truncation": True}, CUT),
        ({"tokenize_kwargs": CUT}, CUT),
        ({"tokenize_kwargs": CUT | bare}, CUT | bare),
    ):
        inputs = dict(tokenizer(TEXT, return_tensors="pt", **told))
        wanted = logits_of(model, inputs, "last_hidden_state").float()
        value = extract(TEXT, return_tensors=True, **options)
        expect.close(value, wanted, allowed(wanted, wanted), call, options=options)


@applies_to(colour_processor, vision, light, offers("image-feature-extraction"))
def test_pooled_features_of_a_picture(checkpoint, processor, expect):
    """pool=True gives the pooler's output, image_processor_kwargs reach the processor."""
    model = transformers.AutoModel.from_pretrained(checkpoint.path, **SAFE).eval()
    extract = pipe("image-feature-extraction", model, image_processor=processor)
    image, options = gradient((50, 40)), {"do_normalize": False}
    inputs = processor(image, return_tensors="pt", **options)
    wanted = logits_of(model, inputs, "pooler_output").float()
    given = {"pool": True, "return_tensors": True, "image_processor_kwargs": options}
    call = f"pipeline('image-feature-extraction', ...)(image, **{given})"
    expect.close(
        extract(image, **given), wanted, allowed(wanted, wanted), call, image=source(image)
    )
