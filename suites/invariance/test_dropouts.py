"""Where dropouts sit: one that drops everything is a branch whose last weights are zero."""

from __future__ import annotations

from fnmatch import fnmatchcase

from fixtures.agreement import agree_with_itself
from fixtures.applicability import any_model, applies_to, decoder, head, light, model_type
from fixtures.ids import batch
from fixtures.lazy import torch
from fixtures.loading import fresh_model
from fixtures.oracle import run

EMBEDDED, FUSED = "*embeddings.LayerNorm.*", "*.c_attn.*"
BERT = {
    "hidden_dropout_prob": (EMBEDDED, "*output.dense.*"),
    "attention_probs_dropout_prob": ("*.self.value.*",),
    "classifier_dropout": ("classifier.weight", "classifier.*.weight"),
}
BART = {
    "dropout": ("*layernorm_embedding.*", "*_attn.out_proj.*", "*.fc2.*"),
    "attention_dropout": ("*.v_proj.*",),
    "activation_dropout": ("*.fc2.weight",),
    "classifier_dropout": ("classification_head.*.weight",),
}
VIT = {  # under the names before 5.9 and since
    "hidden_dropout_prob": ("*embeddings.*", "*.o_proj.*", "*.fc2.*", "*.output.dense.*"),
    "attention_probs_dropout_prob": ("*.v_proj.*", "*.attention.value.*"),
}
LLAMA = {"attention_dropout": ("*.v_proj.*",)}
# family -> field -> parameters behind which it drops, and what follows a dropped input; from the papers:
# dropout acts on embeddings, on attention weights, on each sub-layer's output before it is added, and
# before a head (Vaswani et al. 2017, 5.4; Devlin et al. 2019; Lewis et al. 2020; Radford et al. 2019).
PLACES = {
    "bert": BERT,
    "roberta": BERT,
    "distilbert": {
        "dropout": (EMBEDDED, "*.ffn.lin2.*"),
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


def silence(model, places) -> None:
    """Set the parameters of these names to zero; of GPT-2's joint projection the part for values."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if any(fnmatchcase(name, place) for place in places):
                start = parameter.shape[-1] // 3 * 2 if FUSED in places else 0
                parameter[..., start:] = 0.0


# A decoder that classifies tokens drops out a tenth before its head, whatever the file says.
@applies_to(any_model, model_type(*PLACES), ~(decoder & head("TokenClassification")), light)
def test_dropping_everything_silences_the_branch(checkpoint, dtype, expect):
    """In training, a dropout of one makes its branches zero, where the papers have them and nowhere else."""
    stated = {name for name in checkpoint.config if "drop" in name}
    still = dict.fromkeys((*stated, *PLACES[checkpoint.model_type]), 0.0)
    inputs = batch(checkpoint, [9, 6])
    for field, places in fields_of(checkpoint).items():
        model = fresh_model(checkpoint, dtype=dtype, **(still | {field: 1.0})).train()
        silent = fresh_model(checkpoint, dtype=dtype)
        silence(silent, places)
        value, wanted = (run(one, inputs, output_attentions=False) for one in (model, silent))
        call = f"from_pretrained(path, {field}=1.0, other dropouts 0).train()(**inputs)"
        agree_with_itself(expect, value, wanted, inputs, call, dtype)
