"""Tied weights are one matrix and stay one; untied ones stay two; resizing keeps what was there."""

from __future__ import annotations

from fixtures.applicability import (
    Predicate,
    applies_to,
    head,
    light,
    loader_sample,
    model_type,
    one_each,
    small,
    text_model,
)
from fixtures.ids import batch
from fixtures.lazy import torch, transformers
from fixtures.oracle import run
from fixtures.stored import copied, same, stored, ties_embeddings

language_model = text_model & head("MaskedLM", "CausalLM", "Seq2SeqLM")
tied = Predicate("tied embeddings", lambda c: ties_embeddings(c) is True)
untied = Predicate("untied embeddings", lambda c: ties_embeddings(c) is False)
# Families whose heads have a bias or a table of their own that resizing must follow.
OTHERS = ("roberta-masked", "bart-random", "mbart-random", "mistral-random")
sample = language_model & (loader_sample | Predicate("other heads", lambda c: c.name in OTHERS))
LINE = "model.get_output_embeddings().weight is model.get_input_embeddings().weight"


def one_matrix(model):
    """Whether input and output embeddings are the same memory."""
    return (
        model.get_output_embeddings().weight.data_ptr()
        == model.get_input_embeddings().weight.data_ptr()
    )


@applies_to(language_model, tied)
def test_tied_embeddings_are_one_matrix(checkpoint, plain, expect):
    """Files that tie the embeddings load to one matrix for input and output."""
    expect.equal(one_matrix(plain[0]), True, LINE)


@applies_to(language_model, untied)
def test_untied_embeddings_are_two_matrices(checkpoint, plain, expect):
    """Files that keep an output embedding of its own load to two matrices."""
    expect.equal(one_matrix(plain[0]), False, LINE)


@applies_to(language_model, light)
def test_tying_survives_saving(checkpoint, single, reloaded, expect):
    """Saved and loaded again, tied embeddings are tied and untied ones are not."""
    expect.equal(one_matrix(reloaded[0]), one_matrix(single), LINE)
    before, after = (
        getattr(model.config, "tie_word_embeddings", None) for model in (single, reloaded[0])
    )
    expect.equal(after, before, "model.config.tie_word_embeddings")


def matrix_names(checkpoint, single):
    """The stored name of the embedding matrix that is tied, its stored copy, and the output's name."""
    tensors, parts = stored(checkpoint.path), ("input", "output")
    table = single.get_input_embeddings().weight
    modules = {id(m): name for name, m in single.named_modules()}
    own, other = (
        f"{modules[id(getattr(single, f'get_{part}_embeddings')())]}.weight" for part in parts
    )
    name = next(n for n, t in tensors.items() if torch.equal(t.float(), table.cpu().float()))
    return name, own, other


@applies_to(sample, tied)
def test_a_tied_matrix_is_found_under_either_name(checkpoint, fresh, single, expect, tmp_path):
    """Files that hold a tied matrix under the output's name alone load to the same model."""
    tensors = stored(checkpoint.path)
    name, _, other = matrix_names(checkpoint, single)
    tensors[other] = tensors.pop(name)
    model, info = fresh(copied(checkpoint, tmp_path, tensors))
    call = f"type(model).from_pretrained(directory with {other} in place of {name})"
    differing = same(model.state_dict(), single.state_dict())
    expect.true(not differing, differing, "the weights of the files", f"{call}.state_dict()")
    expect.equal(one_matrix(model), True, LINE)
    expect.equal(list(info["missing_keys"]), [], f"{call}, missing keys")


@applies_to(sample, tied)
def test_two_matrices_are_not_made_one(checkpoint, fresh, single, expect, tmp_path):
    """Files that hold another output matrix keep it, whatever the configuration says of tying."""
    tensors = stored(checkpoint.path)
    name, own, other = matrix_names(checkpoint, single)
    tensors[other] = tensors[name] + 1
    tensors[own] = tensors.pop(name)
    model, _ = fresh(copied(checkpoint, tmp_path, tensors))
    call = f"type(model).from_pretrained(directory with another {other}).state_dict()"
    state = model.state_dict()
    kept = [n for n in (own, other) if torch.equal(state[n], tensors[n].float())]
    expect.equal(kept, [own, other], f"the matrices of the files in {call}")


@applies_to(sample)
def test_changing_tied_embeddings_changes_both(checkpoint, fresh, expect, tmp_path):
    """A change of the input embedding reaches the output exactly when tied; saving keeps the change."""
    model, _ = fresh()
    embedding, output = model.get_input_embeddings().weight, model.get_output_embeddings().weight
    together, old = one_matrix(model), output[5].detach().clone()
    with torch.no_grad():
        embedding[5] += 1.0
    moved = not torch.equal(output[5], old)
    words = f"an output row that {'follows' if together else 'ignores'} the input row"
    expect.true(moved == together, f"{'changed' if moved else 'unchanged'}", words, LINE)
    model.save_pretrained(tmp_path)
    again, _ = fresh(tmp_path)
    for part, row in (("input", embedding[5]), ("output", output[5])):
        call = f"type(model).from_pretrained(directory).get_{part}_embeddings().weight[5]"
        got = getattr(again, f"get_{part}_embeddings")().weight[5]
        expect.equal(got, row, call, directory=str(tmp_path))


def matrices(model):
    """The ways to a model's embedding and output matrices, by name."""
    names = ("get_input_embeddings", "get_output_embeddings")
    return {name: getattr(model, name) for name in names}


@applies_to(sample)
def test_resizing_keeps_old_rows(checkpoint, fresh, expect, tmp_path):
    """More rows leave the old rows, tying and scores as they were; fewer bring the first ones back."""
    model, _ = fresh()
    inputs, size = batch(checkpoint, [9, 9]), checkpoint.config["vocab_size"]
    tying, before = one_matrix(model), run(model, inputs).logits
    rows = {name: part().weight.detach().clone() for name, part in matrices(model).items()}
    exact = 1e-5 * float(before.abs().max())
    model.resize_token_embeddings(size + 3)
    call = f"model.resize_token_embeddings({size + 3})"
    heights = [len(part().weight) for part in matrices(model).values()]
    value = [*heights, model.config.vocab_size, one_matrix(model)]
    expect.equal(value, [size + 3, size + 3, size + 3, tying], call)
    for name, part in matrices(model).items():
        value = part().weight[:size]
        expect.close(value, rows[name], 0.0, f"{call}, model.{name}().weight[:{size}]")
    after = run(model, inputs).logits
    shape, then = [*before.shape[:-1], size + 3], f"({call}, model(**inputs))[1].logits"
    expect.equal(list(after.shape), shape, f"{then}.shape", inputs=inputs)
    expect.close(after[..., :size], before, exact, f"{then}[..., :{size}]", inputs=inputs)
    model.save_pretrained(tmp_path)
    again, info = fresh(tmp_path)
    call, where = "type(model).from_pretrained(directory, output_loading_info=True)", str(tmp_path)
    problems = [*info["missing_keys"], *info["mismatched_keys"]]
    expect.equal(problems, [], f"{call}[1]", directory=where)
    value = run(again, inputs).logits
    expect.close(value, after, exact, f"{call}[0](**inputs).logits", directory=where, inputs=inputs)
    model.resize_token_embeddings(size)
    call = f"model.resize_token_embeddings({size}); model.get_input_embeddings().weight"
    value = model.get_input_embeddings().weight
    expect.close(value, rows["get_input_embeddings"], 0.0, call)


@applies_to(sample)
def test_new_rows_are_the_mean(checkpoint, fresh, expect):
    """Rows added by resizing are the mean of the old ones (Hewitt 2021), as many as fill up a multiple;
    what is frozen stays so, padding keeps its row."""
    model, _ = fresh()
    model.requires_grad_(False)
    padding = [getattr(part(), "padding_idx", None) for part in matrices(model).values()]
    before = {
        name: part().weight.detach().clone().double() for name, part in matrices(model).items()
    }
    old = before["get_input_embeddings"]
    model.resize_token_embeddings(len(old) + 1, pad_to_multiple_of=16)
    call = f"model.resize_token_embeddings({len(old) + 1}, pad_to_multiple_of=16)"
    new = model.get_input_embeddings().weight.detach().double()
    expect.equal(len(new), -(-(len(old) + 1) // 16) * 16, f"len({call}.weight)")
    expect.equal(model.get_input_embeddings().num_embeddings, len(new), f"{call}.num_embeddings")
    kept = [getattr(part(), "padding_idx", None) for part in matrices(model).values()]
    expect.equal(kept, padding, f"{call}.padding_idx, and the head's")
    learning = [n for n, p in model.named_parameters() if p.requires_grad]
    expect.equal(learning, [], f"(model.requires_grad_(False), {call}), what learns then")
    for options in ({}, {"pad_to_multiple_of": 16}):
        same_rows = model.resize_token_embeddings(len(new) if options else None, **options).weight
        again = f"{call}, then once more to {len(new)} rows with {options}"
        expect.equal(len(same_rows), len(new), again)
    for name, part in matrices(model).items():
        rows = old if model.config.tie_word_embeddings else before[name]
        # drawn with a billionth of the old rows' covariance
        near = 10 * float(rows.std(0).max()) * 1e-9**0.5
        wanted = rows.mean(0).expand(len(new) - len(old), -1)
        added = part().weight.detach().double()[len(old) :]
        expect.close(added, wanted, near, f"({call}, model.{name}().weight[{len(old)}:])[1]")


WRITERS = {
    "bert": ("BertForMaskedLM", "BertForPreTraining", "BertLMHeadModel"),
    "roberta": ("RobertaForMaskedLM", "RobertaForCausalLM"),
    "distilbert": ("DistilBertForMaskedLM",),
    "gpt2": ("GPT2LMHeadModel", "GPT2DoubleHeadsModel"),
    "llama": ("LlamaForCausalLM",),
    "mistral": ("MistralForCausalLM",),
    "t5": ("T5ForConditionalGeneration",),
    "bart": ("BartForConditionalGeneration", "BartForCausalLM"),
    "mbart": ("MBartForConditionalGeneration", "MBartForCausalLM"),
}
ENCODES = {"is_decoder": False, "add_cross_attention": False}


def read_by_writers(checkpoint):
    """Two rows for the class of a family that scores words, whichever head the checkpoint has."""
    inputs = batch(checkpoint, [9, 9])
    read = (
        {"decoder_input_ids": inputs["input_ids"]} if checkpoint.kind == "encoder-decoder" else {}
    )
    return read | inputs


@applies_to(text_model, model_type(*WRITERS), small, one_each)
def test_resizing_keeps_a_head_of_its_own(checkpoint, expect):
    """Where input and output are two matrices, both get more rows, and the old tokens' scores stay as they were."""
    settings = checkpoint.stated() | ENCODES | {"tie_word_embeddings": False}
    kind = getattr(transformers, WRITERS[checkpoint.model_type][0])
    model = kind(transformers.AutoConfig.for_model(**settings)).float().eval()
    head = model.get_output_embeddings()
    size = len(head.weight)
    if head.bias is not None:
        torch.nn.init.normal_(head.bias)
    inputs = read_by_writers(checkpoint)
    before = run(model, inputs).logits
    model.resize_token_embeddings(size + 3, pad_to_multiple_of=16)
    call = f"(model.resize_token_embeddings({size + 3}, pad_to_multiple_of=16), model(**inputs))[1].logits"
    after, exact = run(model, inputs).logits, 1e-5 * float(before.abs().max())
    rows = -(-(size + 3) // 16) * 16
    value = [after.shape[-1], model.config.vocab_size]
    expect.equal(value, [rows, rows], f"{call}.shape[-1], model.config.vocab_size", inputs=inputs)
    expect.close(after[..., :size], before, exact, f"{call}[..., :{size}]", inputs=inputs)


@applies_to(text_model, model_type("bert", "llama", "mistral", "bart", "mbart"), small, one_each)
def test_padding_may_be_cut_off(checkpoint, expect):
    """A padding token that is the last may be cut off: what is left is embedded as before."""
    size = checkpoint.config["vocab_size"]
    settings = checkpoint.stated() | ENCODES | {"pad_token_id": size - 1}
    kind = getattr(transformers, WRITERS[checkpoint.model_type][0])
    model = kind(transformers.AutoConfig.for_model(**settings)).float().eval()
    inputs = {
        name: value % (size - 1) if name.endswith("input_ids") else value
        for name, value in read_by_writers(checkpoint).items()
    }
    before = run(model, inputs).logits
    model.resize_token_embeddings(size - 1)
    call = f"(model.resize_token_embeddings({size - 1}), model(**inputs))[1].logits"
    value, exact = run(model, inputs).logits, 1e-5 * float(before.abs().max())
    expect.close(value, before[..., :-1], exact, call, inputs=inputs)


@applies_to(model_type(*WRITERS), small, one_each)
def test_each_head_that_writes_is_tied_as_configured(checkpoint, expect):
    """Every class of a family that scores words has one matrix for input and output where the configuration says so, else two."""
    # T5 ties, whatever it says
    choices = (True,) if checkpoint.model_type == "t5" else (True, False)
    for name in WRITERS[checkpoint.model_type]:
        for ties in choices:
            settings = checkpoint.stated() | ENCODES | {"tie_word_embeddings": ties}
            config = transformers.AutoConfig.for_model(**settings)
            model = getattr(transformers, name)(config)
            call = f"{LINE}, model = {name}(config), tie_word_embeddings={ties}"
            expect.equal(one_matrix(model), ties, call)
