"""Where dropouts sit: one that drops everything is a branch whose last weights are zero."""

from __future__ import annotations

import math
from fnmatch import fnmatchcase

from fixtures.agreement import agree_with_itself
from fixtures.applicability import (
    any_model,
    applies_to,
    decoder,
    encoder_decoder,
    head,
    light,
    model_type,
)
from fixtures.ids import batch
from fixtures.lazy import torch
from fixtures.loading import fresh_model
from fixtures.oracle import answers, own_tolerance, run

FUSED = "*.c_attn.*"
BERT = {
    "hidden_dropout_prob": ("*output.dense.*",),
    "attention_probs_dropout_prob": ("*.self.value.*",),
    "classifier_dropout": ("classifier.weight", "classifier.*.weight"),
}
BART = {
    "dropout": ("*_attn.out_proj.*", "*.fc2.*"),
    "attention_dropout": ("*.v_proj.*",),
    "activation_dropout": ("*.fc2.weight",),
    "classifier_dropout": ("classification_head.*.weight",),
}
VIT = {  # under the names before 5.9 and since
    "hidden_dropout_prob": ("*.o_proj.*", "*.fc2.*", "*.output.dense.*"),
    "attention_probs_dropout_prob": ("*.v_proj.*", "*.attention.value.*"),
}
LLAMA = {"attention_dropout": ("*.v_proj.*",)}
# family -> field -> parameters behind which it drops, and what follows a dropped input; from the papers:
# dropout acts on embeddings, on attention weights, on each sub-layer's output before it is added, and
# before a head (Vaswani et al. 2017, 5.4; Devlin et al. 2019; Lewis et al. 2020; Radford et al. 2019).
# Embeddings are judged by themselves: without them nothing that follows is told from nothing.
PLACES = {
    "bert": BERT,
    "roberta": BERT,
    "distilbert": {
        "dropout": ("*.ffn.lin2.*",),
        "attention_dropout": ("*.v_lin.*",),
        "seq_classif_dropout": ("classifier.weight",),
        "qa_dropout": ("qa_outputs.weight",),
    },
    "gpt2": {"resid_pdrop": ("*.c_proj.*",), "attn_pdrop": (FUSED,)},
    "llama": LLAMA,
    "mistral": LLAMA,
    "bart": BART,
    "mbart": BART,
    "vit": VIT,
    "deit": VIT,
}
# Heads that drop out by another field than the one their family has for heads.
ELSEWHERE = {"distilbert": {"TokenClassification": ("dropout", "classifier.weight")}}


def fields_of(checkpoint) -> dict[str, tuple[str, ...]]:
    """The dropouts of its family and what each silences, those of other heads left out."""
    fields = PLACES[checkpoint.model_type]
    heads = {"seq_classif_dropout": "SequenceClassification", "qa_dropout": "QuestionAnswering"}
    fields = {f: p for f, p in fields.items() if heads.get(f) in (None, checkpoint.head)}
    field, place = ELSEWHERE.get(checkpoint.model_type, {}).get(checkpoint.head, (None, None))
    return {**fields, field: (*fields[field], place)} if field else fields


# What drops out embeddings, as modules: their own dropout, or in BART the stack itself.
EMBEDDING = ("*embeddings.dropout", "*encoder", "*decoder")
# family -> the field by which it drops out what it embeds
EMBEDDED = dict.fromkeys(("bert", "roberta", "vit", "deit"), "hidden_dropout_prob")
EMBEDDED |= dict.fromkeys(("distilbert", "bart", "mbart"), "dropout")
EMBEDDED |= {"gpt2": "embd_pdrop", "t5": "dropout_rate"}
# T5 has one field: modules that drop, and what is silent if they drop everything. Attention weights and
# within the feed-forward; then each sub-layer's output before it is added (Raffel et al. 2020, section 2.1).
T5 = (
    (("*Attention", "*.DenseReluDense.dropout"), ("*.v.*", "*.wo.*")),
    (("*.layer.?.dropout",), ("*.o.*", "*.wo.*")),
)
ALARM = 1e-9  # chance of a false alarm


def matches(name, patterns) -> bool:
    """Whether a dotted name is one of these."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def silence(model, places) -> None:
    """Set the parameters of these names to zero; of GPT-2's joint projection the part for values."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if matches(name, places):
                start = parameter.shape[-1] // 3 * 2 if FUSED in places else 0
                parameter[..., start:] = 0.0


def without_dropouts(checkpoint, fields) -> dict[str, float]:
    """Options that set all dropouts of a family to zero."""
    return dict.fromkeys((*(name for name in checkpoint.config if "drop" in name), *fields), 0.0)


# A decoder that classifies tokens drops out a tenth before its head, whatever the file says.
@applies_to(any_model, model_type(*PLACES), ~(decoder & head("TokenClassification")), light)
def test_dropping_everything_silences_the_branch(checkpoint, dtype, expect):
    """In training, a dropout of one makes its branches zero, where the papers have them and nowhere else."""
    still = without_dropouts(checkpoint, PLACES[checkpoint.model_type])
    inputs = batch(checkpoint, [9, 6])
    for field, places in fields_of(checkpoint).items():
        silent = fresh_model(checkpoint, dtype=dtype)
        silence(silent, places)
        wanted = run(silent, inputs, output_attentions=False)
        for attention in ("eager", "sdpa") if "att" in field else ("eager",):
            options = {"attention": attention, **still, field: 1.0}
            model = fresh_model(checkpoint, dtype=dtype, **options).train()
            for name, module in model.named_modules():
                module.training = not matches(name, EMBEDDING)
            value = run(model, inputs, output_attentions=False)
            call = f"from_pretrained(path, {options}).train()(**inputs)"
            agree_with_itself(expect, value, wanted, inputs, call, dtype)


@applies_to(any_model, encoder_decoder, model_type("t5"), light)
def test_each_place_drops_everything(checkpoint, dtype, expect):
    """In training, a dropout of one silences T5's attention and feed-forward, within and behind them."""
    inputs = batch(checkpoint, [9, 6])
    model = fresh_model(checkpoint, dtype=dtype, dropout_rate=1.0)
    for dropping, places in T5:
        for name, module in model.named_modules():
            module.training = matches(name, dropping)
        silent = fresh_model(checkpoint, dtype=dtype)
        silence(silent, places)
        value, wanted = (run(one, inputs, output_attentions=False) for one in (model, silent))
        call = f"from_pretrained(path, dropout_rate=1.0)(**inputs), where {dropping} drop out"
        agree_with_itself(expect, value, wanted, inputs, call, dtype)


@applies_to(any_model, model_type(*EMBEDDED), light)
def test_embeddings_are_dropped_out(checkpoint, model, dtype, expect):
    """In training, a number of the embedded input is zero as often as configured, and scaled up otherwise."""
    field = EMBEDDED[checkpoint.model_type]
    options = {**without_dropouts(checkpoint, PLACES.get(checkpoint.model_type, ())), field: 0.5}
    inputs = batch(checkpoint, [12, 12])
    torch.manual_seed(3)
    outputs = run(fresh_model(checkpoint, dtype=dtype, **options).train(), inputs)
    quiet, allowed = answers(model, inputs), own_tolerance(checkpoint, inputs, dtype)
    for name in (name for name in quiet if name.endswith("hidden_states")):
        call = f"from_pretrained(path, {options}).train()(**inputs).{name}"
        first, kept = outputs[name][0], outputs[name][0] != 0
        wanted, limit = 2 * quiet[name][0].cpu()[kept], 2 * allowed[f"{name}.0"]
        expect.close(first[kept], wanted, limit, f"{call}[0], but for zeros", inputs=inputs)
        # T5 drops out what leaves a stack, too (Raffel et al. 2020, section 2.1)
        for place in (0, -1) if checkpoint.model_type == "t5" else (0,):
            states = outputs[name][place]
            share, near = float((states == 0).double().mean()), hoeffding(states.numel())
            wanted = f"1/2 within {near:.3f}"
            call = f"share of zeros in {call}[{place}]"
            expect.true(abs(share - 0.5) <= near, share, wanted, call, inputs=inputs)


def hoeffding(count) -> float:
    """How far the mean of this many independent numbers from 0 to 1 may lie from what is expected."""
    return math.sqrt(math.log(2 / ALARM) / (2 * count))


@applies_to(encoder_decoder, model_type("bart", "mbart"), light)
def test_dropped_layers_are_skipped(checkpoint, model, dtype, expect):
    """A layerdrop of one skips all layers of its stack in training, and none otherwise (Fan et al. 2019)."""
    for stacks in (("encoder", "decoder"), ("decoder",)):
        layers_are_skipped(checkpoint, model, dtype, expect, stacks)


def layers_are_skipped(checkpoint, model, dtype, expect, stacks):
    """With a layerdrop of one in these stacks, these hand on what they read."""
    drops = {f"{name}_layerdrop": float(name in stacks) for name in ("encoder", "decoder")}
    options = without_dropouts(checkpoint, PLACES[checkpoint.model_type]) | drops
    inputs = batch(checkpoint, [9, 6])
    whole, other = answers(model, inputs), fresh_model(checkpoint, dtype=dtype, **options)
    call = f"from_pretrained(path, {drops})(**inputs)"
    agree_with_itself(expect, run(other, inputs), whole, inputs, call, dtype)
    base = other.base_model.train()
    plain = {"output_attentions": False, "output_hidden_states": False, "use_cache": False}
    outputs, limits = run(base, inputs, **plain), own_tolerance(checkpoint, inputs, dtype)
    for stack, states in (("encoder", outputs[-1]), ("decoder", outputs[0])):
        name = f"{stack}_hidden_states"
        norm = getattr(
            getattr(base, stack), "layer_norm", torch.nn.Identity()
        )  # only mBART ends with one
        skipped, limit = norm(whole[name][0].cpu()), max(limits.values())
        wanted = skipped if stack in stacks else whole.encoder_last_hidden_state
        call = f"from_pretrained(path, {drops}).train().base_model(**inputs), the {stack}'s states"
        expect.close(states, wanted, limit, call, inputs=inputs)
