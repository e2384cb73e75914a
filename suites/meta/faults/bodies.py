"""Faults between a head and the model under it: what is not handed down, and what is not handed up."""

from __future__ import annotations

from suites.meta.edits import edit
from suites.meta.faults import Fault
from suites.meta.places import BART, BERT, DEIT, DISTILBERT, GPT2, MBART, ROBERTA, T5, VIT

CHECK = ("test_heads_hand_on_what_they_are_given",)

FAULTS = [
    Fault(
        "bert-decoder-forgets-the-mask",
        "BERT as a decoder attends to padding.",
        edit(BERT + "BertLMHeadModel.forward", ("attention_mask=attention_mask,", "")),
        CHECK,
        "bert-random",
    ),
    Fault(
        "bert-pretraining-forgets-positions",
        "BERT's pretraining ignores the position ids it is given.",
        edit(BERT + "BertForPreTraining.forward", ("position_ids=position_ids,", "")),
        CHECK,
        "bert-random",
    ),
    Fault(
        "roberta-choices-lose-their-states",
        "RoBERTa's multiple choice does not hand on hidden states.",
        edit(
            ROBERTA + "RobertaForMultipleChoice.forward",
            ("hidden_states=outputs.hidden_states,", ""),
        ),
        CHECK,
        "roberta-random",
    ),
    Fault(
        "roberta-choices-forget-embeddings",
        "RoBERTa's multiple choice forgets the embeddings it is given.",
        edit(
            ROBERTA + "RobertaForMultipleChoice.forward", ("inputs_embeds=flat_inputs_embeds,", "")
        ),
        CHECK,
        "roberta-random",
    ),
    Fault(
        "roberta-decoder-swaps-its-attentions",
        "RoBERTa as a decoder gives its own attentions for those across.",
        edit(
            ROBERTA + "RobertaForCausalLM.forward",
            ("cross_attentions=outputs.cross_attentions", "cross_attentions=outputs.attentions"),
        ),
        CHECK,
        "roberta-random",
    ),
    Fault(
        "distilbert-choices-lose-their-attentions",
        "DistilBERT's multiple choice does not hand on attentions.",
        edit(
            DISTILBERT + "DistilBertForMultipleChoice.forward",
            ("attentions=outputs.attentions,", ""),
        ),
        CHECK,
        "distilbert-random",
    ),
    Fault(
        "double-heads-forget-types",
        "GPT-2 with two heads forgets the token types.",
        edit(GPT2 + "GPT2DoubleHeadsModel.forward", ("token_type_ids=token_type_ids,", "")),
        CHECK,
        "gpt2-random",
    ),
    Fault(
        "gpt2-tagger-forgets-the-mask",
        "GPT-2's tagger attends to padding.",
        edit(GPT2 + "GPT2ForTokenClassification.forward", ("attention_mask=attention_mask,", "")),
        CHECK,
        "gpt2-random",
    ),
    Fault(
        "bart-decoder-alone-keeps-no-cache",
        "BART's decoder alone does not hand on its cache.",
        edit(
            BART + "BartForCausalLM.forward",
            ("past_key_values=outputs.past_key_values,", ""),
        ),
        CHECK,
        "bart-random",
    ),
    Fault(
        "mbart-decoder-alone-loses-its-states",
        "mBART's decoder alone does not hand on hidden states.",
        edit(MBART + "MBartForCausalLM.forward", ("hidden_states=outputs.hidden_states,", "")),
        CHECK,
        "mbart-random",
    ),
    Fault(
        "vit-masked-images-lose-their-attentions",
        "ViT for masked images does not hand on attentions.",
        edit(VIT + "ViTForMaskedImageModeling.forward", ("attentions=outputs.attentions,", "")),
        CHECK,
        "vit-random",
    ),
    Fault(
        "roberta-tagger-forgets-types",
        "RoBERTa's tagger forgets the token types.",
        edit(
            ROBERTA + "RobertaForTokenClassification.forward",
            ("token_type_ids=token_type_ids,", ""),
        ),
        ("test_other_heads_equal_reference",),
        "roberta-random",
    ),
    Fault(
        "distilbert-question-forgets-positions",
        "DistilBERT's question answering ignores the position ids it is given.",
        edit(
            DISTILBERT + "DistilBertForQuestionAnswering.forward",
            ("position_ids=position_ids,", ""),
        ),
        ("test_other_heads_equal_reference",),
        "distilbert-random",
    ),
    Fault(
        "bart-question-forgets-a-mask",
        "BART's question answering ignores the decoder's mask.",
        edit(
            BART + "BartForQuestionAnswering.forward",
            ("decoder_attention_mask=decoder_attention_mask,", ""),
        ),
        ("test_other_heads_equal_reference",),
        "bart-random",
    ),
    Fault(
        "t5-question-forgets-embeddings",
        "T5's question answering forgets the embeddings given to its decoder.",
        edit(
            T5 + "T5ForQuestionAnswering.forward",
            ("inputs_embeds=decoder_inputs_embeds,", "inputs_embeds=None,"),
        ),
        ("test_other_heads_take_embeddings",),
        "t5-random",
    ),
    Fault(
        "answers-ending-beyond-the-text-count",
        "The span loss of LLaMA counts an answer's end that was cut off.",
        edit(
            "loss.loss_utils:ForQuestionAnsweringLoss",
            (
                "end_positions = end_positions.clamp(0, ignored_index)",
                "end_positions = end_positions.clamp(0, ignored_index - 1)",
            ),
        ),
        ("test_other_heads_equal_reference",),
        "llama-bytes",
    ),
    Fault(
        "teacher-loses-attentions",
        "DeiT with its teacher does not hand on attentions.",
        edit(
            DEIT + "DeiTForImageClassificationWithTeacher.forward",
            ("attentions=outputs.attentions,", ""),
        ),
        CHECK,
        "deit-shapes",
    ),
]
