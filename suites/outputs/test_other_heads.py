"""What else the library makes of a family: every task head beside the one a checkpoint came with."""

from __future__ import annotations

import inspect
import json
from dataclasses import replace

from fixtures.agreement import agree_with_reference
from fixtures.applicability import (
    Predicate,
    applies_to,
    model_type,
    one_each,
    one_table,
    referenced,
    small,
)
from fixtures.expect import Expect
from fixtures.ids import batch, eos_id, labels, pad_id, shifted
from fixtures.lazy import torch, transformers
from fixtures.loading import fresh_model
from fixtures.oracle import judged, run
from fixtures.tolerance import K, allowed, eps, flattened
from fixtures.weights import filled

CLASSIFYING = ("SequenceClassification", "TokenClassification", "QuestionAnswering")
OFFERED = {
    "bert": (*CLASSIFYING, "MaskedLM"),
    "roberta": (*CLASSIFYING, "MaskedLM"),
    "distilbert": (*CLASSIFYING, "MaskedLM"),
    "gpt2": CLASSIFYING,
    "llama": CLASSIFYING,
    "mistral": CLASSIFYING,
    "t5": CLASSIFYING,
    "bart": ("SequenceClassification", "QuestionAnswering"),
    "mbart": ("SequenceClassification", "QuestionAnswering"),
}
IN_TWO_PARTS = ("t5", "bart", "mbart")  # they classify by a decoder's state at the text's end
# The weights are drawn anew, four times and more: not those of a model that fills seconds.
# What a task decides by itself, and what would keep the loss of two labels from being asked for.
OF_THE_TASK = ("architectures", "id2label", "label2id", "num_labels", "problem_type")


def with_head(checkpoint, head, directory, labels=2, **settings):
    """A checkpoint of the same configuration, but for settings, and another head, its weights drawn at random."""
    stated = checkpoint.stated()
    config = {n: v for n, v in stated.items() if n not in OF_THE_TASK} | settings
    config["pad_token_id"] = pad_id(checkpoint)  # where rows of a batch end
    if head not in ("QuestionAnswering", "MaskedLM"):
        config["id2label"] = {str(i): f"L{i}" for i in range(labels)}
        config["label2id"] = {f"L{i}": i for i in range(labels)}
    loader = getattr(transformers, f"AutoModelFor{head}")
    made = transformers.AutoConfig.for_model(**config)
    model = filled(loader.from_config(made), seed=len(head))
    model.save_pretrained(directory)
    config["architectures"] = [type(model).__name__]
    (directory / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return replace(checkpoint, path=directory, facts=())


def told_otherwise(checkpoint, model, inputs):
    """What the caller may say beside the ids: an encoder's positions, what a classifying decoder does not see."""
    told, shape = {}, inputs["input_ids"].shape
    if checkpoint.kind == "encoder":
        first = pad_id(checkpoint) + 1 if checkpoint.model_type == "roberta" else 0
        told["position_ids"] = torch.arange(first, first + shape[1]).flip(0).expand(shape)
        types = checkpoint.config.get("type_vocab_size", 1)
        if types > 1:
            told["token_type_ids"] = (torch.arange(shape[1]) % types).expand(shape)
    if checkpoint.model_type in IN_TWO_PARTS:
        answers = checkpoint.model_type != "t5" and "decoder_input_ids" in inputs
        read = inputs["decoder_input_ids" if answers else "input_ids"]
        told["decoder_attention_mask"] = torch.ones_like(read)
        told["decoder_attention_mask"][:, 2] = 0
    taken = inspect.signature(type(model).forward).parameters
    return {name: value for name, value in told.items() if name in taken}


def other_heads(checkpoint):
    """The heads of the checkpoint's family that it did not come with."""
    return [head for head in OFFERED[checkpoint.model_type] if head != checkpoint.head]


@applies_to(referenced, small, model_type(*OFFERED), one_table)
def test_other_heads_equal_reference(checkpoint, dtype, tmp_path):
    """Each head that the family has, on a configuration like the checkpoint's, gives the reference's outputs and loss."""
    for head in other_heads(checkpoint):
        other = with_head(checkpoint, head, tmp_path / head)
        model, inputs, expect = fresh_model(other, dtype=dtype), batch(other), Expect(other)
        inputs |= labels(other, inputs) | told_otherwise(checkpoint, model, inputs)
        given = inputs
        if checkpoint.kind == "encoder-decoder" and head == "SequenceClassification":
            inputs["input_ids"][:, 3] = eos_id(checkpoint)  # between two texts, too
        if (
            checkpoint.model_type == "t5"
        ):  # its decoder reads the text, but where tokens are classified
            given = {name: inputs[name] for name in inputs if name != "decoder_input_ids"}
            inputs["decoder_input_ids"] = shifted(other, inputs["input_ids"])
        if head == "TokenClassification":
            inputs = given
        columns = {name: given[name][:, None] for name in given if name.endswith("_positions")}
        outputs, call = run(model, given | columns), f"{type(model).__name__}(**inputs)"
        agree_with_reference(expect, outputs, inputs, dtype, call)
        wanted = judged(other, inputs, dtype)[0].keys() - {"last_hidden_state"}
        left_out = sorted(wanted - flattened(outputs).keys())
        expect.equal(left_out, [], f"outputs left out by {call}", inputs=inputs)
        if checkpoint.kind == "decoder" and head == "SequenceClassification":
            ahead = batch(other, side="left", seed=2)  # the last token is still the last
            agree_with_reference(expect, run(model, ahead), ahead, dtype, call)


@applies_to(referenced, small, model_type("gpt2", "llama", "mistral"), one_each)
def test_a_text_is_classified_at_its_end(checkpoint, dtype, tmp_path):
    """Padded on either side, or with a padding token within, a text is classified at its last token that is none."""
    other = with_head(checkpoint, "SequenceClassification", tmp_path)
    model = fresh_model(other, dtype=dtype)
    for side in ("left", "right"):
        inputs = batch(other, [12, 9, 12], side=side)
        inputs["input_ids"][0, 4] = pad_id(other)
        call = f"{type(model).__name__}(**inputs)"
        agree_with_reference(Expect(other), run(model, inputs), inputs, dtype, call)


scaled = Predicate(
    "scaled rotary positions",
    lambda c: bool(c.config.get("rope_scaling")) and "rope_type" in c.config["rope_scaling"],
)


@applies_to(referenced, small, scaled)
def test_wide_heads_equal_reference(checkpoint, dtype, tmp_path):
    """Heads as wide and texts as long as real models have are turned as the type of rotary positions says."""
    settings = {"head_dim": 64, "max_position_embeddings": 4096}
    other = with_head(checkpoint, "CausalLM", tmp_path, **settings)
    model, inputs = fresh_model(other, dtype=dtype), batch(other)
    call = f"{type(model).__name__}(**inputs), heads 64 wide, trained on 4096 positions"
    agree_with_reference(Expect(other), run(model, inputs), inputs, dtype, call)


@applies_to(referenced, small, model_type(*OFFERED), one_each, one_table)
def test_loss_follows_the_labels(checkpoint, dtype, expect, tmp_path):
    """Told no problem_type, a classifier takes several numbers for labels of their own, one for a regression; told one, it obeys."""
    head, numeric = "SequenceClassification", {"problem_type": "regression"}
    several = with_head(checkpoint, head, tmp_path / "several")
    one = with_head(checkpoint, head, tmp_path / "one", labels=1)
    told = with_head(checkpoint, head, tmp_path / "told", **numeric)
    several_of_one = {"labels": 1, "problem_type": "multi_label_classification"}
    single = with_head(checkpoint, head, tmp_path / "single", **several_of_one)
    inputs = batch(several)
    rows = len(inputs["input_ids"])
    yes_or_no = (torch.arange(rows * 2).reshape(rows, 2) % 3 > 0).float()
    functional, numbers = torch.nn.functional, torch.linspace(-1, 1, rows)
    for other, targets, loss in (
        (several, yes_or_no, functional.binary_cross_entropy_with_logits),
        (one, numbers, lambda logits, wanted: functional.mse_loss(logits[:, 0], wanted)),
        (one, numbers[:, None], functional.mse_loss),
        (told, yes_or_no, functional.mse_loss),
        (single, yes_or_no[:, :1], functional.binary_cross_entropy_with_logits),
    ):
        model = fresh_model(other, dtype=dtype)
        outputs = run(model, {**inputs, "labels": targets})
        wanted = loss(outputs.logits.double(), targets.double())
        call = f"{type(model).__name__}(**inputs, labels=labels).loss"
        error = K * eps(dtype) * (1 + float(outputs.logits.abs().max()) ** 2)
        expect.close(outputs.loss, wanted, error, call, labels=targets)


MULTIPLE_CHOICE = ("bert", "distilbert")


@applies_to(referenced, small, model_type(*MULTIPLE_CHOICE))
def test_choices_are_scored_each_alone(checkpoint, dtype, tmp_path):
    """A multiple-choice model scores each choice as a classifier of one label with the same weights does."""
    directory = tmp_path / "choice"
    other = with_head(checkpoint, "MultipleChoice", directory)
    model = fresh_model(other, dtype=dtype, auto_class="AutoModelForMultipleChoice")
    rows = batch(other, [12, 9, 12, 7])
    choices = {name: value.reshape(2, 2, -1) for name, value in rows.items()}
    right = torch.tensor([1, 0])
    outputs = run(model, {**choices, "labels": right})
    config = {**other.config, "architectures": ["BertForSequenceClassification"]}
    (directory / "config.json").write_text(json.dumps(config), encoding="utf-8")
    alike, expect = replace(other, path=directory), Expect(other)
    exact, limits = judged(alike, rows, dtype)
    scores = exact["logits"].reshape(2, 2)
    call = "AutoModelForMultipleChoice.from_pretrained(path)(**inputs)"
    expect.close(outputs.logits, scores, limits["logits"], f"{call}.logits", inputs=choices)
    loss = torch.nn.functional.cross_entropy(scores, right)
    expect.close(outputs.loss, loss, 2 * limits["logits"], f"{call}.loss", inputs=choices)


TWO_LAYERS = ("dense", "out_proj")
OF_BART = {"SequenceClassification": ("classifier_dropout", "classification_head", TWO_LAYERS)}
ONE = ("classifier_dropout", "classifier", ())
OF_LLAMA = {"TokenClassification": ("classifier_dropout", "score", ())}
# family -> head -> the field that sets its dropout, the head, and its layers if it has several
DROPPED = {
    "bert": dict.fromkeys((*CLASSIFYING[:2], "MultipleChoice"), ONE),
    "roberta": {
        "SequenceClassification": ("classifier_dropout", "classifier", TWO_LAYERS),
        "TokenClassification": ONE,
        "MultipleChoice": ("hidden_dropout_prob", "classifier", ()),
    },
    "distilbert": {
        "SequenceClassification": ("seq_classif_dropout", "classifier", ()),
        "MultipleChoice": ("seq_classif_dropout", "classifier", ()),
        "TokenClassification": ("dropout", "classifier", ()),
        "QuestionAnswering": ("qa_dropout", "qa_outputs", ()),
    },
    "gpt2": {"TokenClassification": ONE},
    "llama": OF_LLAMA,
    "mistral": OF_LLAMA,
    "t5": OF_BART | {"TokenClassification": ONE},
    "bart": OF_BART,
    "mbart": OF_BART,
}


def drawn(checkpoint, head, **fields):
    """A model of the checkpoint's configuration, but for some fields, and another head, never saved."""
    stated = {n: v for n, v in checkpoint.stated().items() if n not in OF_THE_TASK}
    stated["pad_token_id"] = pad_id(checkpoint)
    config = transformers.AutoConfig.for_model(**stated)
    for name, value in fields.items():
        setattr(config, name, value)
    config._attn_implementation = "eager"
    loader = getattr(transformers, f"AutoModelFor{head}")
    return filled(loader.from_config(config), seed=13).eval()


def dropping(checkpoint, head, field, share):
    """The same in training; all it drops out is by this field, and this share of it."""
    fields = vars(drawn(checkpoint, head).config)
    still = {name: 0.0 for name in fields if "drop" in name}
    return drawn(checkpoint, head, **still | {field: share}).train()


LOOKED_UP = {"input_ids": "inputs_embeds", "decoder_input_ids": "decoder_inputs_embeds"}


@applies_to(referenced, small, model_type(*OFFERED), one_each, one_table)
def test_other_heads_take_embeddings(checkpoint, expect):
    """Each head that a family has gives for embeddings that the caller looks up what it gives for the ids."""
    classified = "SequenceClassification"  # needs the ids where it looks for the text's end in them
    left_out = classified if checkpoint.model_type in IN_TWO_PARTS else None
    for head in (head for head in other_heads(checkpoint) if head != left_out):
        model = drawn(checkpoint, head)
        taken = inspect.signature(type(model).forward).parameters
        inputs = batch(checkpoint, [12, 12])
        if checkpoint.model_type in IN_TWO_PARTS:
            # a classifier's batch leaves them to it; these are not what it would read itself
            inputs["decoder_input_ids"] = inputs["input_ids"].flip(0)
        inputs = {name: value for name, value in inputs.items() if name in taken}
        look_up = model.get_input_embeddings()
        embedded = {
            LOOKED_UP.get(n, n): look_up(v).detach() if n in LOOKED_UP else v
            for n, v in inputs.items()
        }
        value, wanted = (flattened(run(model, each)) for each in (embedded, inputs))
        for name in wanted:
            limit = allowed(wanted[name].double(), wanted[name])
            call = f"{type(model).__name__}(inputs_embeds=embeddings, **inputs).{name}"
            expect.close(value[name], wanted[name], limit, call, inputs=inputs)


def texts_and_choices(checkpoint):
    """Four texts that every head can classify, and the same as two texts' two choices."""
    rows = batch(checkpoint, [12, 9, 12, 7])
    rows = {name: rows[name] for name in ("input_ids", "attention_mask")}
    if checkpoint.model_type in IN_TWO_PARTS:
        rows["input_ids"][:, 3] = eos_id(checkpoint)
    return rows, {name: value.reshape(2, 2, -1) for name, value in rows.items()}


@applies_to(referenced, small, model_type(*DROPPED), one_each)
def test_heads_drop_out_what_they_read(checkpoint, expect):
    """In training, a dropout of one, set by the field for it alone, leaves each layer of a head nothing but zeros; one of zero leaves it all."""
    rows, choices = texts_and_choices(checkpoint)
    for head, (field, name, layers) in DROPPED[checkpoint.model_type].items():
        given = choices if head == "MultipleChoice" else rows
        read = read_by_head(dropping(checkpoint, head, field, 1.0), name, layers, given)
        largest = [float(value.abs().max()) for value in read]
        call = f"largest numbers that {name} reads in {head} of a configuration with {field}=1.0"
        expect.equal(largest, [0.0] * len(layers or [0]), call, inputs=rows)
        model = dropping(checkpoint, head, field, 0.0)
        value = read_by_head(model, name, layers, given)
        wanted = read_by_head(model.eval(), name, layers, given)
        same = all(torch.equal(*pair) for pair in zip(value, wanted, strict=True))
        call = f"what {name} reads in {head} of a configuration with {field}=0.0, in training"
        expect.true(same, "another", "what it reads otherwise", call, inputs=rows)


def read_by_head(model, name, layers, inputs):
    """What each layer of a head, or all of it, is given in one pass."""
    read, hooks = [], []
    for layer in layers or ("",):
        part = model.get_submodule(f"{name}.{layer}".rstrip("."))
        hooks.append(part.register_forward_pre_hook(lambda _, given: read.append(given[0])))
    run(model, inputs, output_attentions=False)
    for hook in hooks:
        hook.remove()
    return read


@applies_to(referenced, small, model_type(*DROPPED), one_each)
def test_heads_told_to_drop_nothing_drop_nothing(checkpoint, expect):
    """In training, a head whose own dropout is zero answers as it does otherwise, whatever its layers drop."""
    rows, choices = texts_and_choices(checkpoint)
    for head, (field, _, _) in DROPPED[checkpoint.model_type].items():
        if field in ("dropout", "hidden_dropout_prob"):  # not the head's own
            continue
        fields = (n for n in vars(drawn(checkpoint, head).config) if "drop" in n)
        model = drawn(checkpoint, head, **dict.fromkeys(fields, 0.5) | {field: 0.0})
        inputs = choices if head == "MultipleChoice" else rows
        quiet = flattened(run(model, inputs))
        model.train().base_model.eval()
        value = flattened(run(model, inputs))
        for name in (n for n in quiet if "logits" in n):
            limit = allowed(quiet[name].double(), quiet[name])
            call = f"{type(model).__name__}(config, {field}=0.0).train()(**inputs).{name}, its body not in training"
            expect.close(value[name], quiet[name], limit, call, inputs=inputs)
