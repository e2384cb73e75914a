"""What the library turns into probabilities, and what its probabilities owe."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fixtures.applicability import (
    any_head,
    any_model,
    applies_to,
    decoder,
    encoder,
    half,
    head,
    model_type,
)
from fixtures.ids import batch
from fixtures.lazy import torch
from fixtures.oracle import answers, run
from fixtures.shapes import label_count
from fixtures.tolerance import allowed_sum, eps


def logits_of(outputs):
    """Every logits tensor of a head."""
    return {name: value for name, value in outputs.items() if name.endswith("logits")}


@applies_to(any_head)
def test_probabilities_sum_to_one(checkpoint, model, dtype, expect, observe):
    """Softmax over the labels or the vocabulary sums to one, each probability between 0 and 1."""
    inputs = batch(checkpoint)
    for name, logits in logits_of(answers(model, inputs)).items():
        probabilities = logits.softmax(-1)
        observe(f"probabilities/{name}", probabilities, group="numbers", tolerance=None)
        allowed = allowed_sum(logits.shape[-1], dtype)
        call = f"model(**inputs).{name}.softmax(-1)"
        inside = bool(((probabilities >= 0) & (probabilities <= 1)).all())
        expect.true(inside, probabilities, "numbers between 0 and 1", call, inputs=inputs)
        total = probabilities.double().sum(-1)
        expect.close(total, torch.ones_like(total), allowed, f"{call}.sum(-1)", inputs=inputs)


@applies_to(any_head)
def test_probabilities_ignore_a_shift(checkpoint, model, dtype, expect):
    """Adding one number to all logits of a position leaves its probabilities as they were."""
    inputs = batch(checkpoint, [5])
    outputs = logits_of(answers(model, inputs))

    @given(shift=st.floats(-50, 50, width=32))
    def holds(shift):
        for name, logits in outputs.items():
            size = float(logits.abs().max()) + abs(shift)
            # rounding the shifted logits moves each exponent by up to eps * size, a factor of exp of that
            allowed = 4 * eps(dtype) * (size + logits.shape[-1])
            value, wanted = (logits + shift).softmax(-1), logits.softmax(-1)
            call = f"(model(**inputs).{name} + {shift}).softmax(-1)"
            expect.close(value, wanted, allowed, call, inputs=inputs)

    holds()


@applies_to(any_model)
def test_attention_rows_are_distributions(checkpoint, model, dtype, expect):
    """Each query's attention weights are between 0 and 1 and sum to one, whatever is masked."""
    inputs = batch(checkpoint)
    outputs = answers(model, inputs)
    mask = inputs.get("attention_mask")
    for name in [n for n in outputs if n.endswith("attentions")]:
        for layer, matrix in enumerate(outputs[name]):
            rows = matrix
            if name == "attentions" and mask is not None:
                rows = matrix.transpose(1, 2)[mask.bool()]
            call = f"model(**inputs, output_attentions=True).{name}[{layer}]"
            inside = bool(((rows >= 0) & (rows <= 1 + eps(dtype))).all())
            expect.true(inside, rows, "weights between 0 and 1", call, inputs=inputs)
            total = rows.double().sum(-1)
            allowed = allowed_sum(matrix.shape[-1], dtype)
            expect.close(total, torch.ones_like(total), allowed, f"{call}.sum(-1)", inputs=inputs)


@applies_to(encoder | decoder)
def test_masked_keys_get_no_attention(checkpoint, model, expect):
    """A padded key has attention weight exactly zero for every real query."""
    inputs = batch(checkpoint)
    mask = inputs["attention_mask"].bool()
    for layer, matrix in enumerate(answers(model, inputs).attentions):
        real_queries = matrix * mask[:, None, :, None]
        weight = float((real_queries * ~mask[:, None, None, :]).max())
        expect.equal(
            weight, 0.0, f"largest weight on padding in attentions[{layer}]", inputs=inputs
        )


@applies_to(decoder)
def test_future_keys_get_no_attention(checkpoint, model, expect):
    """A decoder's attention matrix is exactly zero above its diagonal."""
    inputs = batch(checkpoint, [9, 9])
    for layer, matrix in enumerate(answers(model, inputs).attentions):
        weight = float(matrix.triu(1).max())
        expect.equal(
            weight, 0.0, f"largest weight on the future in attentions[{layer}]", inputs=inputs
        )


@applies_to(head("SequenceClassification", "TokenClassification", "ImageClassification"))
def test_every_label_has_a_name(checkpoint, model, expect, observe):
    """id2label names exactly the labels 0 to num_labels - 1, as the file does, and label2id inverts it."""
    named = {int(i): label for i, label in model.config.id2label.items()}
    observe("probabilities/id2label", {str(i): n for i, n in named.items()}, group="load")
    expect.equal(
        sorted(named), list(range(model.config.num_labels)), "sorted(model.config.id2label)"
    )
    expect.equal(model.config.num_labels, label_count(checkpoint), "model.config.num_labels")
    in_file = {int(i): label for i, label in (checkpoint.config.get("id2label") or named).items()}
    expect.equal(named, in_file, "model.config.id2label")
    if len(set(named.values())) == len(named) and checkpoint.config.get("label2id"):
        inverse = {label: i for i, label in named.items()}
        expect.equal(dict(model.config.label2id), inverse, "model.config.label2id")


# XLNet's labels are the tokens themselves, not the next ones (Yang et al. 2019)
@applies_to(head("CausalLM", "Seq2SeqLM"), ~half, ~model_type("xlnet"))
def test_loss_is_the_mean_negative_log_probability(checkpoint, model, dtype, expect):
    """The language-modelling loss is -log p of each target under the logits, averaged."""
    inputs = batch(checkpoint, [9, 9])
    causal = checkpoint.head == "CausalLM"
    targets = inputs["input_ids"] if causal else inputs["decoder_input_ids"][:, 1:].contiguous()
    if not causal:
        inputs["decoder_input_ids"] = inputs["decoder_input_ids"][:, :-1]
    outputs = run(model, dict(inputs, labels=targets))
    logits = outputs.logits[:, :-1] if causal else outputs.logits
    wanted = targets[:, 1:] if causal else targets
    chosen = logits.double().log_softmax(-1).gather(-1, wanted[..., None])
    allowed = 8 * eps(dtype) * float(logits.abs().max() + logits.shape[-1] ** 0.5)
    expect.close(
        outputs.loss,
        -chosen.mean(),
        allowed,
        "model(**inputs, labels=labels).loss",
        inputs=inputs,
        labels=targets,
    )
