"""What a user makes by hand: a tokenizer of its files, a model of a configuration, a batch of rows."""

from __future__ import annotations

import re

from fixtures.applicability import (
    applies_to,
    light,
    own_weights,
    tokenizer,
    unpackaged,
    walk_sample,
)
from fixtures.checkpoint import Checkpoint
from fixtures.lazy import torch, transformers
from fixtures.loading import SAFE
from fixtures.tokenizing import private, some_pad_token
from fixtures.traits import TOKENIZER_FILES
from suites.behaviour.test_tokenization import observe_loaded

FAMILY = re.compile(r"(\w+?)(?:For|LMHead|DoubleHeads|Model|EncoderModel)(?![a-z])")
TEXTS = ["one two three", "one"]
ROWS = "[dict(tokenizer(text)) for text in texts]"
LABELLED = "[{**row, 'labels': row['input_ids'][1:]} for row in ROWS]".replace("ROWS", ROWS)
# a collator -> how it is called: all that a language model could be asked for, so that no chance is in it
COLLATED = {
    "padded": f"dict(transformers.DataCollatorWithPadding(tokenizer)({ROWS}))",
    "masked": f"transformers.DataCollatorForLanguageModeling(tokenizer, mlm_probability=1.0)({ROWS})['labels']",
    "to be continued": f"dict(transformers.DataCollatorForLanguageModeling(tokenizer, mlm=False)({ROWS}))",
    "whole words masked": f"transformers.DataCollatorForWholeWordMask(tokenizer, mlm_probability=1.0)({ROWS})['labels']",
    "answers": f"dict(transformers.DataCollatorForSeq2Seq(tokenizer, pad_to_multiple_of=4)({LABELLED}))",
    "labelled words": f"dict(transformers.DataCollatorForTokenClassification(tokenizer)({LABELLED}))",
    "side by side": f"dict(transformers.DataCollatorWithFlattening()({ROWS}))",
}
# what of a family, and of the library, scripts import by name; nothing here imports much by itself
OF_FAMILY = (
    "Config Model PreTrainedModel LMHeadModel EncoderModel ForMaskedLM ForCausalLM ForConditionalGeneration "
    "ForSequenceClassification ForTokenClassification ForQuestionAnswering ForMultipleChoice ForPreTraining "
    "ForNextSentencePrediction DoubleHeadsModel ForImageClassification ForMaskedImageModeling "
    "ForImageClassificationWithTeacher Tokenizer TokenizerFast ImageProcessor ImageProcessorFast FeatureExtractor"
).split()
OF_LIBRARY = (
    "AdamW AutoModelForVision2Seq AutoModelWithLMHead BatchEncoding BeamSearchScorer ConstrainedBeamSearchScorer "
    "DataCollatorForWholeWordMask DisjunctiveConstraint DynamicCache EncoderDecoderCache EncoderDecoderModel "
    "GenerationConfig GenerationMixin HybridCache LineByLineTextDataset LogitsWarper OffloadedCache "
    "PhrasalConstraint PreTrainedModel PreTrainedTokenizer PreTrainedTokenizerFast PretrainedConfig QuantizedCache "
    "QuantizedCacheConfig QuestionAnsweringPipeline SinkCache SlidingWindowCache SpecialTokensMixin StaticCache "
    "SummarizationPipeline Text2TextGenerationPipeline TextDataset TextIteratorStreamer TranslationPipeline "
    "prune_layer set_seed"
).split()
MANY = 256  # numbers whose spread is known to a twentieth
SPREAD = 0.3  # of its logarithm: six times that


def family(checkpoint: Checkpoint) -> str:
    """How the names of its family's classes begin; empty where its files name no class."""
    found = FAMILY.match(checkpoint.architecture or "")
    return found[1] if found else ""


@applies_to(tokenizer, unpackaged)
def test_tokenizer_of_its_files(checkpoint, observe):
    """The tokenizer that a class makes of vocabulary files or of tokenizer.json, given by name or in order."""
    declared = (
        checkpoint.tokenizer_config.get("tokenizer_class") or f"{family(checkpoint)}Tokenizer"
    )
    own = declared.removesuffix("Fast")
    present = [name for name in TOKENIZER_FILES[1:] if (checkpoint.path / name).is_file()][:1]
    named = dict.fromkeys(present, "vocab_file")
    if present == ["vocab.json"] and (checkpoint.path / "merges.txt").is_file():
        named["merges.txt"] = "merges_file"
    by_name = ", ".join(f"{word}=f'{{checkpoint}}/{file}'" for file, word in named.items())
    ways = {
        "of its vocabulary": (own, by_name),
        "of its vocabulary, in order": (own, re.sub(r"\w+=", "", by_name)),
        "of its vocabulary, fast": (f"{own}Fast", by_name),
    }
    if "tokenizer-json" in checkpoint.traits:
        ways["of tokenizer.json"] = (
            "PreTrainedTokenizerFast",
            "tokenizer_file=f'{checkpoint}/tokenizer.json'",
        )
    names = {"transformers": transformers, "checkpoint": checkpoint.path}
    for way, (name, arguments) in ways.items():
        if arguments and hasattr(transformers, name):
            made = f"transformers.{name}({arguments})"
            observe_loaded(
                observe,
                f"made {way}",
                lambda made=made: eval(made, names),
                f"tokenizer = {made}",
            )


@applies_to(tokenizer, unpackaged)
def test_collators(tokenizer, observe):
    """Rows of different lengths as one batch, by each collator that training takes."""
    names = {"transformers": transformers, "texts": TEXTS, "pad": some_pad_token(tokenizer)}
    for name, expression in COLLATED.items():
        observe.evaluate(
            f"tokenization/collated, {name}",
            f"(setattr(tokenizer, 'pad_token', pad), {expression})[1]",
            {"tokenizer": private(tokenizer), **names},
        )


@applies_to(own_weights, walk_sample)
def test_names_to_import(checkpoint, observe):
    """The classes that a script about such a checkpoint imports from the library."""
    own = [f"{family(checkpoint)}{name}" for name in OF_FAMILY] if family(checkpoint) else []
    for name in [*own, *OF_LIBRARY]:
        if hasattr(transformers, name):
            observe(
                f"api/import/{name}",
                "there",
                group="api",
                reproduce=f"hasattr(transformers, {name!r})",
            )


@applies_to(own_weights, light, walk_sample)
def test_model_of_its_configuration(checkpoint, observe):
    """How the weights of a model begin that is made of the configuration alone: constants, and spreads."""
    made = []

    def make():
        torch.manual_seed(0)
        config = transformers.AutoConfig.from_pretrained(checkpoint.path, **SAFE)
        made.append(getattr(transformers, checkpoint.auto_class).from_config(config))
        kinds = [[list(p.shape), str(p.dtype), beginning(p)] for p in made[0].parameters()]
        return sorted(kinds, key=repr)

    code = (
        "config = transformers.AutoConfig.from_pretrained(checkpoint)\n"
        f"model = transformers.{checkpoint.auto_class}.from_config(config)\n"
    )
    shown = "sorted((p.shape, p.std().item()) for p in model.parameters())"
    observe.attempt("load/made of its configuration", make, group="outputs", reproduce=code + shown)
    if made:
        many = [p for p in made[0].parameters() if p.numel() >= MANY and beginning(p) == "spread"]
        spreads = sorted((list(p.shape), float(p.detach().std().log())) for p in many)
        observe(
            "load/made of its configuration/spreads",
            torch.tensor([spread for _, spread in spreads]),
            group="numbers",
            tolerance=SPREAD,
            reproduce=code + shown,
        )


def beginning(parameter) -> str:
    """The number all of it is, or that it spreads."""
    values = parameter.detach().float()
    if not bool(values.isfinite().all()):
        return "not finite"
    low, high = float(values.min()), float(values.max())
    return f"all {low:g}" if low == high else "spread"
