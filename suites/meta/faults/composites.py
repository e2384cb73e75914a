"""Faults in models put together of two, and in heads at the edges of what they take."""

from __future__ import annotations

from suites.meta.edits import edit
from suites.meta.faults import Fault
from suites.meta.places import BERT, VIT

TEXT = "models.encoder_decoder.modeling_encoder_decoder:EncoderDecoderModel."
PICTURE = "models.vision_encoder_decoder.modeling_vision_encoder_decoder:VisionEncoderDecoderModel."

FAULTS = [
    Fault(
        "decoder-half-asked-nothing",
        "What is asked of an encoder before a decoder is not asked of the decoder.",
        edit(TEXT + "forward", ("kwargs_decoder | kwargs_shared", "dict(kwargs_decoder)")),
        ("test_an_encoder_is_read_by_a_decoder",),
        "bert-cased-tagger",
    ),
    Fault(
        "picture-states-before-logits",
        "As a tuple, the answer about a picture begins with the encoder's states.",
        edit(
            PICTURE + "forward",
            (
                "return decoder_outputs + encoder_outputs",
                "return encoder_outputs + decoder_outputs",
            ),
        ),
        ("test_pictures_are_read_by_a_decoder",),
        "vit-random",
    ),
    Fault(
        "only-decoders-attend-across",
        "A decoder taken from files gets nothing that attends across if it was a decoder already.",
        edit(
            TEXT + "from_encoder_decoder_pretrained.__func__",
            (
                'or getattr(decoder_config, "add_cross_attention", None) is False',
                'and getattr(decoder_config, "add_cross_attention", None) is False',
            ),
        ),
        ("test_what_decodes_is_made_to_attend_across",),
        "bert-cased-tagger",
    ),
    Fault(
        "one-label-is-none",
        "ViT told of one label has no classifier.",
        edit(
            VIT + "ViTForImageClassification.__init__",
            ("if config.num_labels > 0", "if config.num_labels > 1"),
        ),
        ("test_a_picture_may_have_a_single_label",),
        "vit-random",
    ),
    Fault(
        "classifier-keeps-its-cache",
        "A LLaMA's classifier forgets that no cache was wanted.",
        edit(
            "modeling_layers:GenericForSequenceClassification.forward",
            ("use_cache=use_cache", "use_cache=None"),
        ),
        ("test_classifiers_keep_no_cache_unless_told",),
        "llama-chat",
    ),
    Fault(
        "choices-counted-as-words",
        "BERT counts the words of embedded choices for the choices.",
        edit(
            BERT + "BertForMultipleChoice.forward",
            ("else inputs_embeds.shape[1]", "else inputs_embeds.shape[-2]"),
        ),
        ("test_choices_may_be_embeddings",),
        "bert-cased-tagger",
    ),
]
