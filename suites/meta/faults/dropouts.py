"""Faults in where dropouts sit, and in which field of the configuration sets them."""

from __future__ import annotations

from suites.meta.edits import edit
from suites.meta.faults import Fault
from suites.meta.places import BART, BERT, DISTILBERT, GPT2, ROBERTA, VIT

CHECK = ("test_dropping_everything_silences_the_branch",)

FAULTS = [
    Fault(
        "dropped-after-the-norm",
        "BERT's attention drops out what its norm gives, instead of what goes in.",
        edit(
            BERT + "BertSelfOutput.forward",
            (
                "hidden_states = self.dropout(hidden_states)\n    hidden_states = self.LayerNorm(hidden_states + input_tensor)",
                "hidden_states = self.dropout(self.LayerNorm(hidden_states + input_tensor))",
            ),
        ),
        CHECK,
        "bert-random",
    ),
    Fault(
        "embeddings-dropped-before-the-norm",
        "BERT's embeddings are dropped out before their norm.",
        edit(
            BERT + "BertEmbeddings.forward",
            ("self.LayerNorm(embeddings)", "self.LayerNorm(self.dropout(embeddings))"),
            ("embeddings = self.dropout(embeddings)", "pass"),
        ),
        CHECK,
        "bert-random",
    ),
    Fault(
        "no-dropout-is-the-default",
        "A classifier_dropout of zero counts as none given.",
        edit(
            BERT + "BertForSequenceClassification.__init__",
            (
                "config.classifier_dropout if config.classifier_dropout is not None else",
                "config.classifier_dropout or",
            ),
        ),
        CHECK,
        "bert-sentiment",
    ),
    Fault(
        "head-drops-once",
        "RoBERTa's classifier drops out before its first layer only.",
        edit(
            ROBERTA + "RobertaClassificationHead.forward",
            ("x = torch.tanh(x)\n    x = self.dropout(x)", "x = torch.tanh(x)"),
        ),
        CHECK,
        "roberta-sentiment",
    ),
    Fault(
        "classifier-drops-by-another-field",
        "DistilBERT's classifier drops out as its layers do.",
        edit(
            DISTILBERT + "DistilBertForSequenceClassification.__init__",
            ("config.seq_classif_dropout", "config.dropout"),
        ),
        CHECK,
        "distilbert-sentiment",
    ),
    Fault(
        "dropped-before-the-last-layer",
        "DistilBERT's feed-forward drops out before its second layer instead of behind it.",
        edit(
            DISTILBERT + "FFN.ff_chunk",
            ("x = self.lin2(x)\n    x = self.dropout(x)", "x = self.lin2(self.dropout(x))"),
        ),
        CHECK,
        "distilbert-random",
    ),
    Fault(
        "attention-output-never-dropped",
        "GPT-2's attention adds its output without dropout.",
        edit(
            GPT2 + "GPT2Attention.forward",
            ("attn_output = self.resid_dropout(attn_output)", "pass"),
        ),
        CHECK,
        "gpt2-random",
    ),
    Fault(
        "encoder-embeddings-dropped-early",
        "BART's encoder drops out its embeddings before their norm.",
        edit(
            BART + "BartEncoder.forward",
            (
                "hidden_states = self.layernorm_embedding(hidden_states)",
                "hidden_states = self.layernorm_embedding(nn.functional.dropout("
                "hidden_states, p=self.dropout, training=self.training))",
            ),
            (
                "    hidden_states = nn.functional.dropout(hidden_states, p=self.dropout, training=self.training)\n",
                "",
            ),
        ),
        CHECK,
        "bart-random",
    ),
    Fault(
        "patches-never-dropped",
        "ViT's embeddings have no dropout.",
        edit(VIT + "ViTEmbeddings.forward", ("embeddings = self.dropout(embeddings)", "pass")),
        CHECK,
        "vit-random",
    ),
]
