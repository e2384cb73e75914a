"""Faults in where dropouts sit, and in which field of the configuration sets them."""

from __future__ import annotations

from suites.meta.edits import edit, edits
from suites.meta.faults import Fault
from suites.meta.places import BART, BERT, DISTILBERT, GPT2, ROBERTA, T5, VIT

CHECK = ("test_dropping_everything_silences_the_branch",)
PLACES = ("test_each_place_drops_everything",)
EMBEDDED = ("test_embeddings_are_dropped_out",)
HEADS = ("test_heads_drop_out_what_they_read",)

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
        EMBEDDED,
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
        EMBEDDED,
        "bart-random",
    ),
    Fault(
        "patches-never-dropped",
        "ViT's embeddings have no dropout.",
        edit(VIT + "ViTEmbeddings.forward", ("embeddings = self.dropout(embeddings)", "pass")),
        EMBEDDED,
        "vit-random",
    ),
    Fault(
        "patches-dropped-with-the-residual",
        "ViT drops out the sum of its feed-forward and what it was given.",
        edit(
            VIT + "ViTLayer.forward",
            (
                "hidden_states = self.mlp(hidden_states)\n"
                "    hidden_states = self.dropout(hidden_states)\n"
                "    hidden_states = hidden_states + residual",
                "hidden_states = self.dropout(self.mlp(hidden_states) + residual)",
            ),
        ),
        CHECK,
        "vit-random",
    ),
    Fault(
        "fused-attention-drops-half",
        "The default attention kernel drops out half as often as configured.",
        edit(
            "integrations.sdpa_attention:sdpa_attention_forward",
            ("dropout_p=dropout,", "dropout_p=dropout / 2,"),
        ),
        CHECK,
        "bert-random",
    ),
    Fault(
        "positions-dropped-twice",
        "GPT-2 drops out its positions before it drops out their sum with the tokens.",
        edit(
            GPT2 + "GPT2Model.forward",
            (
                "position_embeds = self.wpe(position_ids)",
                "position_embeds = self.drop(self.wpe(position_ids))",
            ),
        ),
        EMBEDDED,
        "gpt2-random",
    ),
    Fault(
        "t5-embeddings-never-dropped",
        "T5 does not drop out what enters its stacks.",
        edit(T5 + "T5Stack.forward", ("self.dropout(inputs_embeds)", "inputs_embeds")),
        EMBEDDED,
        "t5-random",
    ),
    Fault(
        "t5-states-never-dropped",
        "T5 does not drop out what leaves its stacks.",
        edit(
            T5 + "T5Stack.forward",
            ("hidden_states = self.dropout(hidden_states)\n", "hidden_states = hidden_states\n"),
        ),
        EMBEDDED,
        "t5-random",
    ),
    Fault(
        "t5-self-attention-never-dropped",
        "T5's self-attention adds its output without dropout.",
        edit(
            T5 + "T5LayerSelfAttention.forward",
            ("self.dropout(attention_output)", "attention_output"),
        ),
        PLACES,
        "t5-random",
    ),
    Fault(
        "t5-cross-attention-never-dropped",
        "T5's cross-attention adds its output without dropout.",
        edit(
            T5 + "T5LayerCrossAttention.forward",
            ("self.dropout(attention_output)", "attention_output"),
        ),
        PLACES,
        "t5-random",
    ),
    Fault(
        "t5-feed-forward-never-dropped",
        "T5's feed-forward adds its output without dropout.",
        edit(T5 + "T5LayerFF.forward", ("self.dropout(forwarded_states)", "forwarded_states")),
        PLACES,
        "t5-random",
    ),
    Fault(
        "t5-feed-forward-dropped-with-the-residual",
        "T5 drops out the sum of its feed-forward and what it was given.",
        edit(
            T5 + "T5LayerFF.forward",
            (
                "hidden_states + self.dropout(forwarded_states)",
                "self.dropout(hidden_states + forwarded_states)",
            ),
        ),
        PLACES,
        "t5-random",
    ),
    Fault(
        "t5-activations-never-dropped",
        "T5's feed-forward does not drop out its activations.",
        edits(
            *(
                edit(f"{T5}{kind}.forward", ("hidden_states = self.dropout(hidden_states)", "pass"))
                for kind in ("T5DenseActDense", "T5DenseGatedActDense")
            )
        ),
        PLACES,
        "t5-reverse",
    ),
    Fault(
        "t5-attention-weights-never-dropped",
        "T5 drops out no attention weight.",
        edit(
            T5 + "T5Attention.forward",
            ("dropout=0.0 if not self.training else self.dropout", "dropout=0.0"),
        ),
        PLACES,
        "t5-random",
    ),
    Fault(
        "layers-never-dropped",
        "BART's decoder knows no layerdrop.",
        edit(
            BART + "BartDecoder.forward",
            ("if self.training and self.layerdrop > 0.0:", "if False:"),
        ),
        ("test_dropped_layers_are_skipped",),
        "bart-random",
    ),
    Fault(
        "layers-dropped-in-evaluation",
        "BART's encoder skips layers in evaluation, too.",
        edit(
            BART + "BartEncoder.forward",
            ("if self.training and self.layerdrop > 0.0:", "if self.layerdrop > 0.0:"),
        ),
        ("test_dropped_layers_are_skipped",),
        "bart-random",
    ),
    Fault(
        "choices-never-dropped",
        "BERT scores choices without dropout.",
        edit(
            BERT + "BertForMultipleChoice.forward",
            ("pooled_output = self.dropout(pooled_output)", "pass"),
        ),
        HEADS,
        "bert-random",
    ),
    Fault(
        "choices-dropped-by-another-field",
        "DistilBERT drops out of what its choices are scored by as its layers do.",
        edit(
            DISTILBERT + "DistilBertForMultipleChoice.__init__",
            ("config.seq_classif_dropout", "config.dropout"),
        ),
        HEADS,
        "distilbert-random",
    ),
    Fault(
        "t5-classifies-without-dropout",
        "T5's classifier drops out behind its first layer only.",
        edit(
            T5 + "T5ClassificationHead.forward",
            ("hidden_states = self.dropout(hidden_states)", "pass"),
        ),
        HEADS,
        "t5-random",
    ),
    Fault(
        "bart-classifies-without-dropout",
        "BART's classifier drops out in front of its first layer only.",
        edit(
            BART + "BartClassificationHead.forward",
            (
                "hidden_states = torch.tanh(hidden_states)\n    hidden_states = self.dropout(hidden_states)",
                "hidden_states = torch.tanh(hidden_states)",
            ),
        ),
        HEADS,
        "bart-random",
    ),
    Fault(
        "summary-never-dropped",
        "GPT-2's summary of a text knows one dropout, the last.",
        edit(
            GPT2 + "GPT2SequenceSummary.forward",
            ("output = self.first_dropout(output)", "pass"),
        ),
        ("test_choices_are_summarised_as_configured",),
        "gpt2-random",
    ),
    Fault(
        "decoder-drops-as-its-encoder",
        "mBART's decoder skips layers as often as its encoder is told to.",
        edit(
            "models.mbart.modeling_mbart:MBartDecoder.__init__",
            ("config.decoder_layerdrop", "config.encoder_layerdrop"),
        ),
        ("test_dropped_layers_are_skipped",),
        "mbart-random",
    ),
]
