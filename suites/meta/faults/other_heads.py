"""Faults in heads that no checkpoint came with."""

from __future__ import annotations

from suites.meta.edits import edit
from suites.meta.faults import Fault
from suites.meta.places import BART, BERT, DEIT, DISTILBERT, GPT2, MBART, ROBERTA, T5, VIT

GENERIC = "modeling_layers:Generic"

FAULTS = [
    Fault(
        "bert-span-ends-swapped",
        "BERT's question answering takes ends for starts.",
        edit(
            BERT + "BertForQuestionAnswering.forward",
            (
                "start_logits, end_logits = logits.split(1, dim=-1)",
                "end_logits, start_logits = logits.split(1, dim=-1)",
            ),
        ),
        ("test_other_heads_equal_reference",),
        "bert-masked",
    ),
    Fault(
        "bert-span-loss-summed",
        "BERT's span loss is the sum of both ends' losses.",
        edit(
            BERT + "BertForQuestionAnswering.forward",
            ("total_loss = (start_loss + end_loss) / 2", "total_loss = start_loss + end_loss"),
        ),
        ("test_other_heads_equal_reference",),
        "bert-sentiment",
    ),
    Fault(
        "bert-choices-not-separated",
        "BERT's multiple choice puts scores of all rows into one.",
        edit(
            BERT + "BertForMultipleChoice.forward",
            ("logits.view(-1, num_choices)", "logits.view(num_choices, -1).T"),
        ),
        ("test_choices_are_scored_each_alone",),
        "bert-random",
    ),
    Fault(
        "bert-choices-lose-their-types",
        "BERT's multiple choice forgets the token types.",
        edit(
            BERT + "BertForMultipleChoice.forward",
            ("token_type_ids=token_type_ids", "token_type_ids=None"),
        ),
        ("test_choices_are_scored_each_alone",),
        "bert-random",
    ),
    Fault(
        "bert-next-sentence-unweighted",
        "BERT's next-sentence head reads the first token instead of the pooled state.",
        edit(
            BERT + "BertForNextSentencePrediction.forward",
            ("pooled_output = outputs[1]", "pooled_output = outputs[0][:, 0]"),
        ),
        ("test_pretraining_heads_are_the_two_heads",),
        "bert-masked",
    ),
    Fault(
        "bert-pretraining-one-loss",
        "BERT's pretraining forgets the next-sentence loss.",
        edit(
            BERT + "BertForPreTraining.forward",
            ("total_loss = masked_lm_loss + next_sentence_loss", "total_loss = masked_lm_loss"),
        ),
        ("test_pretraining_heads_are_the_two_heads",),
        "bert-masked",
    ),
    Fault(
        "roberta-choices-by-the-last",
        "RoBERTa's multiple choice pools the last token.",
        edit(
            ROBERTA + "RobertaForMultipleChoice.forward",
            ("pooled_output = outputs[1]", "pooled_output = outputs[0][:, -1]"),
        ),
        ("test_choices_are_scored_from_the_pooler",),
        "roberta-random",
    ),
    Fault(
        "roberta-tagger-drops-the-last-layer",
        "RoBERTa's tagger reads the embeddings.",
        edit(
            ROBERTA + "RobertaForTokenClassification.forward",
            (
                "sequence_output = outputs[0]",
                "sequence_output = self.roberta.embeddings(input_ids)",
            ),
        ),
        ("test_other_heads_equal_reference",),
        "roberta-masked",
    ),
    Fault(
        "roberta-head-relu",
        "RoBERTa's classifier takes relu for tanh.",
        edit(ROBERTA + "RobertaClassificationHead.forward", ("torch.tanh(x)", "torch.relu(x)")),
        ("test_other_heads_equal_reference",),
        "roberta-span",
    ),
    Fault(
        "distilbert-masked-head-without-norm",
        "DistilBERT's masked head leaves out its norm.",
        edit(
            DISTILBERT + "DistilBertForMaskedLM.forward",
            ("prediction_logits = self.vocab_layer_norm(prediction_logits)", "pass"),
        ),
        ("test_other_heads_equal_reference",),
        "distilbert-span",
    ),
    Fault(
        "distilbert-choices-without-relu",
        "DistilBERT's multiple choice has no relu.",
        edit(
            DISTILBERT + "DistilBertForMultipleChoice.forward",
            ("pooled_output = nn.ReLU()(pooled_output)", "pass"),
        ),
        ("test_choices_are_scored_each_alone",),
        "distilbert-tagger",
    ),
    Fault(
        "distilbert-tagger-shifted",
        "DistilBERT's tagger reads the token to the right.",
        edit(
            DISTILBERT + "DistilBertForTokenClassification.forward",
            ("sequence_output = outputs[0]", "sequence_output = outputs[0].roll(-1, 1)"),
        ),
        ("test_other_heads_equal_reference",),
        "distilbert-random",
    ),
    Fault(
        "gpt2-classifies-the-last-column",
        "GPT-2 classifies by the last column, padding or not.",
        edit(
            GPT2 + "GPT2ForSequenceClassification.forward",
            ("(token_indices * non_pad_mask).argmax(-1)", "-1"),
        ),
        ("test_other_heads_equal_reference",),
        "gpt2-random",
    ),
    Fault(
        "gpt2-classifies-before-the-end",
        "GPT-2 classifies by the token before the last.",
        edit(
            GPT2 + "GPT2ForSequenceClassification.forward",
            (
                "last_non_pad_token = (token_indices * non_pad_mask).argmax(-1)",
                "last_non_pad_token = (token_indices * non_pad_mask).argmax(-1) - 1",
            ),
        ),
        ("test_other_heads_equal_reference",),
        "gpt2-counting",
    ),
    Fault(
        "gpt2-tagger-from-embeddings",
        "GPT-2's tagger reads the states before the last norm.",
        edit(
            GPT2 + "GPT2ForTokenClassification.forward",
            (
                "hidden_states = transformer_outputs.last_hidden_state",
                "hidden_states = self.transformer.wte(input_ids)",
            ),
        ),
        ("test_other_heads_equal_reference",),
        "gpt2-counting",
    ),
    Fault(
        "gpt2-spans-swapped",
        "GPT-2's question answering takes ends for starts.",
        edit(
            GPT2 + "GPT2ForQuestionAnswering.forward",
            (
                "start_logits, end_logits = logits.split(1, dim=-1)",
                "end_logits, start_logits = logits.split(1, dim=-1)",
            ),
        ),
        ("test_other_heads_equal_reference",),
        "gpt2-random",
    ),
    Fault(
        "generic-classifies-the-first",
        "LLaMA classifies by the first token.",
        edit(
            GENERIC + "ForSequenceClassification.forward",
            ("(token_indices * non_pad_mask).argmax(-1)", "0"),
        ),
        ("test_other_heads_equal_reference",),
        "llama-chat",
    ),
    Fault(
        "generic-classifies-the-last-column",
        "Mistral classifies by the last column, padding or not.",
        edit(
            GENERIC + "ForSequenceClassification.forward",
            ("(token_indices * non_pad_mask).argmax(-1)", "-1"),
        ),
        ("test_other_heads_equal_reference",),
        "mistral-random",
    ),
    Fault(
        "generic-spans-swapped",
        "LLaMA's question answering takes ends for starts.",
        edit(
            GENERIC + "ForQuestionAnswering.forward",
            (
                "start_logits, end_logits = logits.split(1, dim=-1)",
                "end_logits, start_logits = logits.split(1, dim=-1)",
            ),
        ),
        ("test_other_heads_equal_reference",),
        "llama-yarn",
    ),
    Fault(
        "generic-tagger-shifted",
        "Mistral's tagger reads the token to the left.",
        edit(
            GENERIC + "ForTokenClassification.forward",
            (
                "sequence_output = outputs.last_hidden_state",
                "sequence_output = outputs.last_hidden_state.roll(1, 1)",
            ),
        ),
        ("test_other_heads_equal_reference",),
        "mistral-sliding",
    ),
    Fault(
        "span-loss-of-starts",
        "The span loss of LLaMA counts the start twice.",
        edit(
            "loss.loss_utils:ForQuestionAnsweringLoss",
            (
                "end_loss = fixed_cross_entropy(end_logits, end_positions",
                "end_loss = fixed_cross_entropy(start_logits, start_positions",
            ),
        ),
        ("test_other_heads_equal_reference",),
        "llama-dynamic",
    ),
    Fault(
        "tagger-loss-of-the-first-label",
        "The tagging loss of Mistral is averaged over ignored tokens too.",
        edit(
            "loss.loss_utils:ForTokenClassification",
            (
                "return fixed_cross_entropy(logits, labels",
                "return fixed_cross_entropy(logits, labels.clamp(min=0)",
            ),
        ),
        ("test_other_heads_equal_reference",),
        "mistral-random",
    ),
    Fault(
        "t5-classifies-the-first-end",
        "T5's classifier reads the first position.",
        edit(
            T5 + "T5ForSequenceClassification.forward",
            (")[:, -1, :]", ")[:, -1, :] * 0 + sequence_output[:, 0]"),
        ),
        ("test_other_heads_equal_reference",),
        "t5-reverse",
    ),
    Fault(
        "t5-classifier-without-tanh",
        "T5's classifier has no tanh.",
        edit(
            T5 + "T5ClassificationHead.forward",
            ("hidden_states = torch.tanh(hidden_states)", "pass"),
        ),
        ("test_other_heads_equal_reference",),
        "t5-gated",
    ),
    Fault(
        "t5-question-reads-the-encoder",
        "T5's question answering reads the encoder.",
        edit(
            T5 + "T5ForQuestionAnswering.forward",
            (
                "sequence_output = decoder_outputs[0]",
                "sequence_output = encoder_outputs[0][:, : decoder_outputs[0].shape[1]]",
            ),
        ),
        ("test_other_heads_equal_reference",),
        "t5-random",
    ),
    Fault(
        "t5-tagger-unmasked",
        "T5's tagger forgets the mask.",
        edit(
            T5 + "T5ForTokenClassification.forward",
            ("attention_mask=attention_mask", "attention_mask=None"),
        ),
        ("test_other_heads_equal_reference",),
        "t5-reverse",
    ),
    Fault(
        "bart-question-ends-twice",
        "BART's question answering gives the starts for the ends.",
        edit(
            BART + "BartForQuestionAnswering.forward",
            (
                "start_logits, end_logits = logits.split(1, dim=-1)",
                "start_logits, end_logits = logits[..., :1], logits[..., :1]",
            ),
        ),
        ("test_other_heads_equal_reference",),
        "bart-reverse",
    ),
    Fault(
        "mbart-classifier-without-tanh",
        "mBART's classifier has no tanh.",
        edit(
            MBART + "MBartClassificationHead.forward",
            ("hidden_states = torch.tanh(hidden_states)", "pass"),
        ),
        ("test_other_heads_equal_reference",),
        "mbart-transliterate",
    ),
    Fault(
        "mbart-classifies-the-first",
        "mBART classifies by the decoder's first state.",
        edit(
            MBART + "MBartForSequenceClassification.forward",
            ("[:, -1, :]", "[:, -1, :] * 0 + hidden_states[:, 0]"),
        ),
        ("test_other_heads_equal_reference",),
        "mbart-random",
    ),
    Fault(
        "mbart-question-reads-the-encoder",
        "mBART's question answering reads the encoder.",
        edit(
            MBART + "MBartForQuestionAnswering.forward",
            (
                "sequence_output = outputs[0]",
                "sequence_output = outputs.encoder_last_hidden_state[:, : outputs[0].shape[1]]",
            ),
        ),
        ("test_other_heads_equal_reference",),
        "mbart-transliterate",
    ),
    Fault(
        "vit-masked-patches-seen",
        "ViT for masked images sees the patches it should not.",
        edit(
            VIT + "ViTEmbeddings.forward",
            ("embeddings * (1.0 - mask) + mask_tokens * mask", "embeddings"),
        ),
        ("test_masked_patches_are_not_seen",),
        "vit-shapes",
    ),
    Fault(
        "vit-masked-loss-everywhere",
        "ViT's loss for masked images counts every patch.",
        edit(
            VIT + "ViTForMaskedImageModeling.forward",
            ("(reconstruction_loss * mask).sum()", "reconstruction_loss.sum()"),
        ),
        ("test_masked_patches_are_not_seen",),
        "vit-random",
    ),
    Fault(
        "deit-masks-with-nothing",
        "DeiT puts zeros in the place of masked patches, not what it learned for them.",
        edit(
            DEIT + "DeiTEmbeddings.forward",
            ("embeddings * (1.0 - mask) + mask_tokens * mask", "embeddings * (1.0 - mask)"),
        ),
        ("test_masked_patches_are_not_seen",),
        "deit-shapes",
    ),
    Fault(
        "vit-pools-the-last-patch",
        "ViT's pooler reads the last patch.",
        edit(VIT + "ViTPooler.forward", ("hidden_states[:, 0]", "hidden_states[:, -1]")),
        ("test_class_token_is_pooled",),
        "vit-random",
    ),
    Fault(
        "deit-pools-without-activation",
        "DeiT's pooler is a linear layer.",
        edit(
            DEIT + "DeiTPooler.forward",
            ("pooled_output = self.activation(pooled_output)", "pass"),
        ),
        ("test_class_token_is_pooled",),
        "deit-shapes",
    ),
]
