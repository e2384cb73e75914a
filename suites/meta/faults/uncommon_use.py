"""Faults in what callers may do with a model: copy it, feed it otherwise, configure it, read it from older files."""

from __future__ import annotations

import pytest

from suites.meta.edits import edit
from suites.meta.faults import Fault
from suites.meta.places import BART, BERT, GPT2, LLAMA, T5


def copies_are_the_same(patch: pytest.MonkeyPatch) -> None:
    """A deep copy of a model is the model."""
    from transformers import PreTrainedModel

    patch.setattr(PreTrainedModel, "__deepcopy__", lambda self, memo: self, raising=False)


def layers_misnamed(patch: pytest.MonkeyPatch) -> None:
    """num_hidden_layers of GPT-2 is another field."""
    from transformers import GPT2Config

    patch.setitem(GPT2Config.attribute_map, "num_hidden_layers", "n_head")


def labels_not_renumbered(patch: pytest.MonkeyPatch) -> None:
    """Setting num_labels keeps the names there were."""
    from transformers.configuration_utils import PreTrainedConfig

    kept = property(PreTrainedConfig.num_labels.fget, lambda self, value: None)
    patch.setattr(PreTrainedConfig, "num_labels", kept)


def given_configuration_ignored(patch: pytest.MonkeyPatch) -> None:
    """The configuration given to from_pretrained is read anew from the files."""
    from transformers import PreTrainedModel

    original = PreTrainedModel.from_pretrained.__func__

    def from_files(cls, path, *arguments, config=None, **options):
        config = type(config).from_pretrained(path) if config is not None else None
        return original(cls, path, *arguments, config=config, **options)

    patch.setattr(PreTrainedModel, "from_pretrained", classmethod(from_files))


def pickles_in_half(patch: pytest.MonkeyPatch) -> None:
    """Weights of a pytorch_model.bin pass through bfloat16."""
    from transformers import modeling_utils

    original = modeling_utils.load_state_dict

    def rounded(file, *arguments, **options):
        state = original(file, *arguments, **options)
        if not str(file).endswith(".bin"):
            return state
        return {
            n: t.bfloat16().to(t.dtype) if t.dtype.is_floating_point else t
            for n, t in state.items()
        }

    patch.setattr(modeling_utils, "load_state_dict", rounded)


def loaded_frozen(patch: pytest.MonkeyPatch) -> None:
    """from_pretrained gives weights that cannot be trained."""
    from transformers import PreTrainedModel

    original = PreTrainedModel.from_pretrained.__func__

    def frozen(cls, *arguments, **options):
        found = original(cls, *arguments, **options)
        return found.requires_grad_(False) if isinstance(found, PreTrainedModel) else found

    patch.setattr(PreTrainedModel, "from_pretrained", classmethod(frozen))


def vocabulary_renamed(patch: pytest.MonkeyPatch) -> None:
    """Tokenizers look for their files under other names."""
    from transformers import PreTrainedTokenizerBase

    def missing(cls, *arguments, **options):
        raise OSError("vocabulary.txt not found")

    patch.setattr(PreTrainedTokenizerBase, "_from_pretrained", classmethod(missing))


def settings_renamed(patch: pytest.MonkeyPatch) -> None:
    """Image processors look for their settings under another name."""
    from transformers.image_processing_base import ImageProcessingMixin

    def missing(cls, *arguments, **options):
        raise OSError("image_preprocessor.json not found")

    patch.setattr(ImageProcessingMixin, "from_pretrained", classmethod(missing))


FAULTS = [
    Fault(
        "settings-renamed",
        "Image processors look for their settings under another name.",
        settings_renamed,
        ("test_processor_loads",),
        "vit-shapes",
    ),
    Fault(
        "copies-are-the-same",
        "A deep copy of a model is the model.",
        copies_are_the_same,
        ("test_copies_are_equal_and_apart",),
        "gpt2-random",
    ),
    Fault(
        "layers-misnamed",
        "num_hidden_layers of GPT-2 is its number of heads.",
        layers_misnamed,
        ("test_configuration_has_common_names",),
        "gpt2-random",
    ),
    Fault(
        "labels-not-renumbered",
        "num_labels given at loading is ignored.",
        labels_not_renumbered,
        ("test_another_number_of_labels",),
        "bert-sentiment",
    ),
    Fault(
        "given-configuration-ignored",
        "The configuration given to from_pretrained is read anew from the files.",
        given_configuration_ignored,
        ("test_configuration_can_be_given",),
        "t5-gated",
    ),
    Fault(
        "pickles-in-half",
        "Weights of a pytorch_model.bin pass through bfloat16.",
        pickles_in_half,
        ("test_pickled_weights_are_the_same",),
        "bert-masked",
    ),
    Fault(
        "vocabulary-renamed",
        "Tokenizers look for their files under other names.",
        vocabulary_renamed,
        ("test_tokenizer_loads",),
        "bert-cased-tagger",
    ),
    Fault(
        "ids-read-as-rows",
        "BERT takes its ids to lie row by row in memory.",
        edit(
            BERT + "BertEmbeddings.forward",
            (
                "self.word_embeddings(input_ids)",
                "self.word_embeddings(torch.as_strided(input_ids, input_ids.shape, (input_ids.shape[1], 1)))",
            ),
        ),
        ("test_layout_of_inputs_changes_nothing",),
        "bert-random",
    ),
    Fault(
        "rows-beyond-eight-lost",
        "LLaMA leaves rows beyond the eighth at zero.",
        edit(
            LLAMA + "LlamaModel.forward",
            (
                "hidden_states = self.norm(hidden_states)",
                "hidden_states = self.norm(hidden_states)\n"
                "    hidden_states = torch.cat([hidden_states[:8], hidden_states[8:] * 0])",
            ),
        ),
        ("test_rows_are_answered_alone",),
        "llama-chat",
    ),
    Fault(
        "decoder-embeddings-scaled",
        "BART scales embeddings that the caller gives to its decoder.",
        edit(
            BART + "BartDecoder.forward",
            (
                "if inputs_embeds is None:",
                "if inputs_embeds is not None:\n"
                "        inputs_embeds = inputs_embeds * 2\n"
                "    if inputs_embeds is None:",
            ),
        ),
        ("test_decoder_embeddings_equal_ids",),
        "bart-random",
    ),
    Fault(
        "configured-outputs-forgotten",
        "Outputs that the configuration asks for are not returned.",
        edit(
            GPT2 + "GPT2Model.forward/output_capturing",
            ('getattr(self.config, f"output_{k}", False)', "False"),
        ),
        ("test_returned_outputs_can_be_configured",),
        "gpt2-counting",
    ),
    Fault(
        "loaded-frozen",
        "Weights are loaded frozen.",
        loaded_frozen,
        ("test_weights_are_loaded_trainable",),
        "llama-bytes",
    ),
    Fault(
        "norm-always-in-single",
        "LLaMA's norms answer in float32 whatever their input.",
        edit(
            LLAMA + "LlamaRMSNorm.forward",
            (
                "return self.weight * hidden_states.to(input_dtype)",
                "return (self.weight * hidden_states.to(input_dtype)).float()",
            ),
        ),
        ("test_dtype_can_be_changed",),
        "llama-yarn",
    ),
    Fault(
        "cross-attention-deaf",
        "T5's cross-attention hears nothing of the encoder.",
        edit(
            T5 + "T5Block.forward",
            (
                "key_value_states=encoder_hidden_states",
                "key_value_states=encoder_hidden_states * 0",
            ),
        ),
        ("test_cross_attention_reads_the_encoder",),
        "t5-reverse",
    ),
    Fault(
        "several-labels-as-one",
        "BERT takes several numbers for one regression.",
        edit(
            BERT + "BertForSequenceClassification.forward",
            (
                'self.config.problem_type = "multi_label_classification"',
                'self.config.problem_type = "regression"',
            ),
        ),
        ("test_loss_follows_the_labels",),
        "bert-random",
    ),
    Fault(
        "generic-regression-by-absolute-error",
        "LLaMA's regression loss is the absolute error.",
        edit(
            "loss.loss_utils:ForSequenceClassificationLoss",
            ("loss_fct = MSELoss()", "loss_fct = nn.L1Loss()"),
        ),
        ("test_loss_follows_the_labels",),
        "llama-bytes",
    ),
    Fault(
        "new-rows-at-zero",
        "Rows added by resizing are drawn anew, not around the mean.",
        edit(
            "modeling_utils:PreTrainedModel._get_resized_embeddings",
            (
                "if new_num_tokens > old_num_tokens and not mean_resizing:",
                "mean_resizing = False\n    if new_num_tokens > old_num_tokens and not mean_resizing:",
            ),
        ),
        ("test_new_rows_are_the_mean",),
        "gpt2-counting",
    ),
    Fault(
        "multiple-ignored",
        "pad_to_multiple_of rounds down.",
        edit(
            "modeling_utils:PreTrainedModel._get_resized_embeddings",
            (
                "(new_num_tokens + pad_to_multiple_of - 1) // pad_to_multiple_of",
                "new_num_tokens // pad_to_multiple_of",
            ),
        ),
        ("test_new_rows_are_the_mean",),
        "gpt2-counting",
    ),
    Fault(
        "time-never-up",
        "max_time is not looked at.",
        edit(
            "generation.stopping_criteria:MaxTimeCriteria.__call__",
            ("> self.max_time", "> self.max_time + 1e9"),
        ),
        ("test_time_and_the_input_bound_generation",),
        "gpt2-random",
    ),
    Fault(
        "input-pairs-allowed",
        "encoder_no_repeat_ngram_size forbids nothing.",
        edit(
            "generation.logits_process:EncoderNoRepeatNGramLogitsProcessor.__call__",
            ('-float("inf")', "scores_processed[i, banned_tokens]"),
        ),
        ("test_time_and_the_input_bound_generation",),
        "t5-reverse",
    ),
    Fault(
        "head-hides-its-body",
        "A base model finds none of its weights in the files of a model with a head.",
        edit(
            "core_model_loading:rename_source_key",
            (
                'renamed_key = re.sub(f"^{base_model_prefix}.", "", renamed_key, count=1)',
                "pass",
            ),
        ),
        ("test_base_model_equals_reference",),
        "bert-masked",
    ),
]
