"""How a checkpoint loads: the facts that explain a hundred changed outputs in one line."""

from __future__ import annotations

import inspect
import math
import re

from fixtures.applicability import applies_to, light, own_weights, tokenizer, walk_sample
from fixtures.checkpoint import HEADS
from fixtures.lazy import torch, transformers
from fixtures.loading import SAFE, fresh_model, fresh_tokenizer, load_tokenizer
from fixtures.walk import HOSTILE

TOKENIZER_FACTS = (
    "is_fast vocab_size model_max_length padding_side truncation_side model_input_names "
    "clean_up_tokenization_spaces all_special_tokens all_special_ids special_tokens_map chat_template"
).split()
ADDED = (
    "{str(i): {n: getattr(t, n) for n in ('content', 'lstrip', 'rstrip', 'normalized', 'special', "
    "'single_word')} for i, t in sorted(tokenizer.added_tokens_decoder.items())}"
)
SPLITTING = (
    "{name: getattr(tokenizer.backend_tokenizer.model, name) for name in 'byte_fallback "
    "continuing_subword_prefix dropout end_of_word_suffix fuse_unk ignore_merges "
    "max_input_chars_per_word'.split() if getattr(tokenizer.backend_tokenizer.model, name, None)}"
)
GENERATION_FACTS = (
    "max_length max_new_tokens min_length do_sample num_beams num_beam_groups temperature top_k top_p min_p "
    "typical_p repetition_penalty encoder_repetition_penalty length_penalty no_repeat_ngram_size early_stopping "
    "num_return_sequences renormalize_logits use_cache cache_implementation pad_token_id bos_token_id "
    "eos_token_id decoder_start_token_id forced_bos_token_id forced_eos_token_id min_new_tokens max_time "
    "stop_strings penalty_alpha dola_layers diversity_penalty bad_words_ids sequence_bias suppress_tokens "
    "begin_suppress_tokens forced_decoder_ids exponential_decay_length_penalty guidance_scale "
    "encoder_no_repeat_ngram_size remove_invalid_values epsilon_cutoff eta_cutoff "
    "prompt_lookup_num_tokens num_assistant_tokens return_dict_in_generate output_scores "
    "output_attentions output_hidden_states"
).split()
UNSET = (
    "[name for name in 'max_length do_sample num_beams temperature top_k top_p use_cache'.split()"
    " if getattr(model.generation_config, name) is None]"
)
PARTS = ("get_encoder", "get_decoder", "get_input_embeddings", "get_output_embeddings")
CONFIG = "config = transformers.AutoConfig.from_pretrained(checkpoint)\n"
MODEL_CALLS = "forward generate save_pretrained from_pretrained resize_token_embeddings".split()
# Named tokens are facts already, and attributes of the class in some versions only.
NAMED = re.compile(r".*(_token|_token_id|special_tokens|special_tokens_ids|special_ids)")
TOKENIZER_CALLS = (
    "__call__ decode batch_decode apply_chat_template save_pretrained pad encode_plus batch_encode_plus "
    "build_inputs_with_special_tokens prepare_for_model"
).split()
# what a caller says of a configuration -> what is asked of it then
CONFIGURED = {
    "num_labels=5": "[config.num_labels, len(config.id2label)]",
    "id2label={'0': 'a', '1': 'b', '2': 'c'}": "[config.num_labels, config.id2label, config.label2id]",
    "num_labels=2, id2label={0: 'a', 1: 'b', 2: 'c'}": "[config.num_labels, config.id2label]",
    "vocab_size=300.0": "type(config.vocab_size).__name__",
    "hidden_size='many'": "type(config.hidden_size).__name__",
    "hidden_dropout_prob=None": "type(config.hidden_dropout_prob).__name__",
    "torch_dtype='float16'": "str(transformers.AutoModel.from_pretrained(checkpoint, config=config).dtype)",
}
# What generate does where a setting is None (GenerationConfig's documentation): since 5.0 a setting
# left alone is None, before it was this value.
DEFAULTS = {
    "max_length": 20,
    "min_length": 0,
    "do_sample": False,
    "num_beams": 1,
    "num_beam_groups": 1,
    "temperature": 1.0,
    "top_k": 50,
    "top_p": 1.0,
    "typical_p": 1.0,
    "repetition_penalty": 1.0,
    "encoder_repetition_penalty": 1.0,
    "length_penalty": 1.0,
    "no_repeat_ngram_size": 0,
    "early_stopping": False,
    "num_return_sequences": 1,
    "renormalize_logits": False,
    "use_cache": True,
    "diversity_penalty": 0.0,
    "encoder_no_repeat_ngram_size": 0,
    "remove_invalid_values": False,
    "epsilon_cutoff": 0.0,
    "eta_cutoff": 0.0,
    "num_assistant_tokens": 20,
    "return_dict_in_generate": False,
    "output_scores": False,
    "output_attentions": False,
    "output_hidden_states": False,
}


@applies_to(tokenizer)
def test_tokenizer_facts(checkpoint, observe):
    """What AutoTokenizer made of the files, and how a hostile text comes out."""
    made = observe.attempt(
        "load/tokenizer/class",
        lambda: type(load_tokenizer(checkpoint)).__name__,
        group="load",
        reproduce="type(tokenizer).__name__",
    )
    if made is None:
        return
    loaded = load_tokenizer(checkpoint)
    asked = {fact: f"tokenizer.{fact}" for fact in TOKENIZER_FACTS}
    asked["length"] = "len(tokenizer)"
    asked["backend"] = "type(tokenizer.backend_tokenizer.model).__name__"
    for part in ("normalizer", "pre_tokenizer", "decoder", "post_processor"):
        asked[part] = f"str(tokenizer.backend_tokenizer.{part})[:400]"
    asked["model"] = SPLITTING
    asked["fingerprint"] = "tokenizer(text)['input_ids']"
    asked["added"] = ADDED
    for fact, expression in asked.items():
        names = {"text": HOSTILE} if "text" in expression else {}
        observe.evaluate(
            f"load/tokenizer/{fact}", expression, {"tokenizer": loaded, **names}, group="load"
        )
    observe.attempt(
        "load/tokenizer/class with use_fast=False",
        lambda: type(fresh_tokenizer(checkpoint, use_fast=False)).__name__,
        group="load",
        reproduce="type(transformers.AutoTokenizer.from_pretrained(checkpoint, use_fast=False)).__name__",
    )


@applies_to(own_weights)
def test_model_facts(checkpoint, observe):
    """What from_pretrained makes of the files when everything is left alone."""
    model = None

    def load():
        nonlocal model
        model = fresh_model(checkpoint, attention=None, dtype=None)
        return type(model).__name__

    observe.attempt("load/model/class", load, group="load", reproduce="type(model).__name__")
    if model is None:
        return
    for fact, expression in (
        ("dtype", "sorted({str(p.dtype) for p in model.parameters()})"),
        ("attention", "model.config._attn_implementation"),
        ("size", "[model.num_parameters(), model.num_parameters(exclude_embeddings=True)]"),
        ("generates", "model.can_generate()"),
        (
            "base",
            "[model.base_model_prefix, type(model.base_model).__name__, model.main_input_name]",
        ),
        ("parameters", "{n: list(p.shape) for n, p in model.named_parameters()}"),
    ):
        observe.evaluate(f"load/model/{fact}", expression, {"model": model}, group="load")
    for part in PARTS:
        for owner, name in ((model, part), (model.base_model, f"base_model.{part}")):
            if hasattr(owner, part):
                asked = f"type(model.{name}()).__name__"
                observe.evaluate(f"load/model/{name}", asked, {"model": model}, group="load")
    observe.attempt("load/model/tied", lambda: tied(model), group="load")
    if light(checkpoint):
        observe_weights(observe, "load/model/weights", model, "model")
    generation = getattr(model, "generation_config", None)
    if generation is not None:
        observe.evaluate("load/generation/what is None", UNSET, {"model": model}, group="api")
    for name in GENERATION_FACTS if generation is not None else ():
        value = getattr(generation, name, None)
        observe(
            f"load/generation/{name}",
            DEFAULTS.get(name) if value is None else value,
            group="load",
            reproduce=f"model.generation_config.{name}",
        )


def tied(model) -> bool:
    """Whether input and output embeddings are one tensor."""
    output = model.get_output_embeddings()
    return output is not None and output.weight is model.get_input_embeddings().weight


@applies_to(own_weights)
def test_auto_classes(checkpoint, observe):
    """Each Auto class on these files: what it builds, which weights it misses or ignores, how they are drawn."""
    numbers, kinds = {}, []
    for name in [
        "AutoModel",
        *(f"AutoModelFor{head}" for head in HEADS),
        "AutoModelForPreTraining",
    ]:
        loader, made = getattr(transformers, name), []

        def load(loader=loader, made=made):
            torch.manual_seed(0)
            model, info = loader.from_pretrained(checkpoint.path, output_loading_info=True, **SAFE)
            missing = sorted(info["missing_keys"])
            made += [model, missing]
            kinds.append({part: type(value).__name__ for part, value in info.items()})
            return {
                "class": type(model).__name__,
                "missing": missing,
                "unexpected": sorted(info["unexpected_keys"]),
                "mismatched": sorted(str(key) for key in info["mismatched_keys"]),
            }

        code = f"transformers.{name}.from_pretrained(checkpoint"
        shown = f"{code}, output_loading_info=True)[1]"
        observe.attempt(f"load/auto/{name}", load, group="load", reproduce=shown)
        if made and light(checkpoint):
            observe_weights(observe, f"load/auto/{name}/weights", made[0], f"{code})", made[1])
            if made[1]:
                numbers[name] = drawn(*made)
    observe("load/auto/what is drawn after a seed", numbers, group="load")
    observe("load/auto/types of loading info", kinds[:1], group="api")


def drawn(model, missing) -> str:
    """The size of the weights that loading missed and drew, to six digits."""
    new = (p.detach() for name, p in model.named_parameters() if is_missing(name, missing))
    return f"{math.fsum(float(p.double().abs().sum()) for p in new if p.numel() > 1):.6g}"


def is_missing(name, missing) -> bool:
    """Whether a weight is among those that were missed, which 4.x names with or without the base's prefix."""
    return any(f".{one}".endswith(f".{name}") or f".{name}".endswith(f".{one}") for one in missing)


def observe_weights(observe, name, model, code, missing=()) -> None:
    """The sum of the magnitudes of all weights that were loaded, whatever they are called."""
    loaded = (p for name, p in model.named_parameters() if not is_missing(name, missing))
    total = math.fsum(float(p.detach().double().abs().sum()) for p in loaded)
    observe(
        name,
        torch.tensor(total, dtype=torch.float64),
        group="load",
        tolerance=1e-9 * total,
        reproduce=f"sum(p.abs().sum() for p in {code}.parameters())",
    )


@applies_to(own_weights)
def test_configuration(checkpoint, observe):
    """The fields of the loaded configuration, and of its class's defaults."""
    # not that of a shared model: computing a loss writes problem_type into it
    config = transformers.AutoConfig.from_pretrained(checkpoint.path, **SAFE)
    held = public(config.to_dict())
    for name in sorted({*public(checkpoint.config), *held}):
        if hasattr(config, name):
            observe(
                f"load/config/{name}",
                held.get(name, getattr(config, name)),
                group="load",
                reproduce=CONFIG + f"getattr(config, {name!r}, 'absent')",
            )
    for name, value in public(type(config)().to_dict()).items():
        observe(
            f"api/config/{name}",
            value,
            group="api",
            reproduce=CONFIG + f"getattr(type(config)(), {name!r}, 'absent')",
        )


@applies_to(own_weights, light, walk_sample)
def test_told_configuration(checkpoint, observe):
    """A configuration read with each option: labels told in two ways, fields of another type, a dtype."""
    for options, expression in CONFIGURED.items():
        made = f"transformers.AutoConfig.from_pretrained(checkpoint, {options})"
        names = {"transformers": transformers, "checkpoint": str(checkpoint.path)}

        def told(made=made, expression=expression, names=names):
            return eval(expression, {**names, "config": eval(made, names)})

        observe.attempt(
            f"load/config told {options}",
            told,
            group="outputs",
            reproduce=f"config = {made}\n{expression}",
        )


def public(fields):
    """Fields a user would touch: not the record of the library's own version and path."""
    hidden = {"transformers_version", "_name_or_path", "_attn_implementation_autoset"}
    return {name: value for name, value in fields.items() if name not in hidden}


@applies_to(own_weights)
def test_signatures(model, observe):
    """The parameters of the calls a user makes to a model, and all else that it offers."""
    for name in MODEL_CALLS:
        observe_signature(observe, f"model.{name}", getattr(model, name, None))
    theirs = dir(torch.nn.Module)
    for name in (n for n in dir(model) if n not in (*MODEL_CALLS, *theirs)):
        if not name.startswith("_") and name not in model._modules:
            observe_there(observe, "model", name)


@applies_to(tokenizer)
def test_tokenizer_signatures(tokenizer, observe):
    """The parameters of the calls a user makes to a tokenizer, and all else that it offers."""
    for name in TOKENIZER_CALLS:
        observe_signature(observe, f"tokenizer.{name}", getattr(tokenizer, name, None))
    for name in (n for cls in type(tokenizer).__mro__[:-1] for n in vars(cls)):
        if not (name.startswith("_") or NAMED.fullmatch(name) or name in TOKENIZER_CALLS):
            observe_there(observe, "tokenizer", name)


def observe_there(observe, subject, name) -> None:
    """That an object has an attribute."""
    observe(
        f"api/{subject}/{name}", "there", group="api", reproduce=f"hasattr({subject}, {name!r})"
    )


def observe_signature(observe, name, function) -> None:
    """Each parameter of a function with its default; nothing where the function is gone."""
    shown = f"import inspect\ninspect.signature({name})"
    place = f"api/{name.replace('.', '/')}"
    if function is not None:
        observe(place, "there", group="api", reproduce=shown)
        for parameter, default in parameters(function).items():
            observe(f"{place}/{parameter}", default, group="api", reproduce=shown)


def parameters(function) -> dict[str, str]:
    """Names and defaults of a function's parameters."""
    found = inspect.signature(function).parameters.values()
    shown = {p.name: "required" if p.default is p.empty else repr(p.default) for p in found}
    return {name: re.sub(r" at 0x[0-9a-f]+", "", text) for name, text in shown.items()}
