"""The wide walk over a tokenizer's calls: decoding, alignment, windows, padding, tokens and options."""

from __future__ import annotations

from fixtures.applicability import applies_to, tokenizer, unpackaged
from fixtures.checkpoint import read_json
from fixtures.lazy import torch, transformers
from fixtures.loading import SAFE, fresh_tokenizer
from fixtures.tokenizing import private, some_pad_token
from fixtures.traits import added_tokens

SENTENCE = "Hello, how are you? It's 3.14 Été 日本 🤗\n  the one two , isn't it ?"
OTHER = "one two"
WORDS = ["Hello", "world", "it's", " 3.14", "日本"]
BATCH = [SENTENCE, OTHER, ""]
IDS = "tokenizer.encode(text)"
ROWS = "[{'input_ids': [5, 6, 7]}, {'input_ids': [5]}]"
STOPS = ["日本", "isn", "é 日", "o ,"]
ENDED = (
    "{{stop: (lambda ends, ids: any(ends(torch.tensor([ids[:n]]), None).item() for n in range(1, len(ids))))"
    "(transformers.StopStringCriteria(tokenizer, [stop]), tokenizer.encode(text)) for stop in {}}}"
    " if len(tokenizer) < 5000 else None"
)
# observation -> what is asked of a sentence that ends with one of the tokenizer's own tokens
CALLS = {
    "decoded rows": f"tokenizer.decode([{IDS}, tokenizer.encode(other)])",
    "batch decoded row": f"tokenizer.batch_decode({IDS})",
    "batch decoded tensor": f"tokenizer.batch_decode(torch.tensor([{IDS}]))",
    "batch decoded nothing": "tokenizer.batch_decode([])",
    "decoded tensor": f"tokenizer.decode(torch.tensor({IDS}))",
    "decoded one id": "tokenizer.decode(5)",
    "decoded no ids": "tokenizer.decode([])",
    "decoded beyond the vocabulary": "tokenizer.decode([len(tokenizer) + 5])",
    "decoded, special tokens apart": f"tokenizer.decode({IDS}, spaces_between_special_tokens=True)",
    "decoded, special tokens close": f"tokenizer.decode({IDS}, spaces_between_special_tokens=False)",
    "text of tokens": f"tokenizer.convert_tokens_to_string(tokenizer.convert_ids_to_tokens({IDS}))",
    "tokens but special ones": f"tokenizer.convert_ids_to_tokens({IDS}, skip_special_tokens=True)",
    "word ids": "tokenizer(text).word_ids()",
    "sequence ids": "tokenizer(text, other).sequence_ids()",
    "tokens of characters": "(lambda e: [e.char_to_token(i) for i in range(len(text))])(tokenizer(text))",
    "characters of tokens": "(lambda e: [e.token_to_chars(i) for i in range(len(e['input_ids']))])(tokenizer(text))",
    "special mask of ids": f"tokenizer.get_special_tokens_mask({IDS}, already_has_special_tokens=True)",
    "special tokens taken as text": "tokenizer(text, split_special_tokens=True)['input_ids']",
    "as a target": "tokenizer(text_target=text)['input_ids']",
    "with a target": "tokenizer(other, text_target=text)['labels']",
    "everything asked for": "dict(tokenizer(text, return_token_type_ids=True, return_special_tokens_mask=True, return_length=True))",
    "pair without special tokens": "dict(tokenizer(text, other, add_special_tokens=False))",
    "batch of pairs": "tokenizer([(text, other), (other, text)])['input_ids']",
    "texts and pairs": "tokenizer([text, other], [other, text])['input_ids']",
    "encoded list": "tokenizer.encode([other, other])",
    "special tokens added": "[tokenizer.num_special_tokens_to_add(pair) for pair in (False, True)]",
    "truncated to the tokenizer's length": "len(tokenizer('one ' * 300, truncation=True)['input_ids'])",
    "cut at a length only": "tokenizer(text, max_length=7)['input_ids']",
    "truncated, on the left": "tokenizer(text, truncation=True, max_length=7, truncation_side='left')['input_ids']",
    "truncated by a left-handed tokenizer": "(setattr(tokenizer, 'truncation_side', 'left'), tokenizer(text, truncation=True, max_length=7)['input_ids'])[1]",
    "windows": "dict(tokenizer(text, truncation=True, max_length=9, stride=2, return_overflowing_tokens=True))",
    "windows of a pair": "dict(tokenizer(other, text, truncation='only_second', max_length=20, stride=2, return_overflowing_tokens=True, return_offsets_mapping=True))",
    "padded to a length": "dict(tokenizer(other, padding='max_length', max_length=24))",
    "cut and padded": "dict(tokenizer(batch, padding=True, truncation=True, max_length=8))",
    "batch padded by a left-handed tokenizer": "(setattr(tokenizer, 'padding_side', 'left'), dict(tokenizer(batch, padding=True)))[1]",
    "batch as tensors": "dict(tokenizer(batch, padding=True, return_tensors='pt'))",
    "batch windows": "dict(tokenizer(batch, truncation=True, padding=True, max_length=9, stride=2, return_overflowing_tokens=True))",
    "padded later": f"dict(tokenizer.pad({ROWS}))",
    "padded later to a length": f"dict(tokenizer.pad({ROWS}, padding='max_length', max_length=6))",
    "padded later on the left": f"dict(tokenizer.pad({ROWS}, padding_side='left', pad_to_multiple_of=4))",
    "padded later as tensors": f"dict(tokenizer.pad({ROWS}, return_tensors='pt'))",
    "word ids of words": "tokenizer(words, is_split_into_words=True).word_ids()",
    "offsets of words": "tokenizer(words, is_split_into_words=True, return_offsets_mapping=True)['offset_mapping']",
    "pair of words": "tokenizer(words, ['one', 'two'], is_split_into_words=True)['input_ids']",
    "tokens of words": "tokenizer.tokenize(words, is_split_into_words=True)",
    "its sizes": "[len(tokenizer.get_vocab()), tokenizer.vocab_size, len(tokenizer)]",
    "its added tokens": "tokenizer.get_added_vocab()",
    "again, after it was cut": "[len(tokenizer(text, truncation=True, max_length=5, padding='max_length')['input_ids']), tokenizer(text)['input_ids'], tokenizer(batch)['input_ids']][::2]",
    "tokens for a sequence": "[tokenizer.max_len_single_sentence, tokenizer.max_len_sentences_pair]",
    "copied": "__import__('copy').deepcopy(tokenizer)(text)['input_ids']",
    "pickled": "(lambda p: p.loads(p.dumps(tokenizer))(text)['input_ids'])(__import__('pickle'))",
    "ended by texts": ENDED.format("stops"),
    "ended by a character in pieces": ENDED.format("['\\ufffd']"),
    "streamed": "(lambda seen: (lambda stream: ([stream.put(torch.tensor([i])) for i in tokenizer.encode(text)], stream.end(), seen)[2])"
    "(type('Stream', (transformers.TextStreamer,), {'on_finalized_text': lambda self, piece, stream_end=False: seen.append(piece)})(tokenizer)))([])",
    "trained anew": "(lambda t: [t.tokenize(other), sorted(set(t.all_special_tokens))])(tokenizer.train_new_from_iterator([other] * 3, 300)) if len(tokenizer) < 5000 else None",
}
NEW = "x newtok y NEWTOK <new>z  <new> w newtokens <New>"
# what is done to a tokenizer of one's own -> the Python that does it
CHANGES = {
    "added tokens": "tokenizer.add_tokens(['newtok', '<New>'])",
    "added special tokens": "tokenizer.add_tokens(['newtok', '<new>'], special_tokens=True)",
    "added tokens with flags": "tokenizer.add_tokens([transformers.AddedToken('newtok', single_word=True, normalized=False), transformers.AddedToken('<new>', lstrip=True, rstrip=True)])",
    "named special tokens": "tokenizer.add_special_tokens({'pad_token': '<new>', 'sep_token': 'newtok'})",
    "additional special tokens": "tokenizer.add_special_tokens({'additional_special_tokens': ['newtok', '<new>']})",
    "extra special tokens": "tokenizer.add_special_tokens({'extra_special_tokens': ['newtok', '<new>']})",
    "another eos": "setattr(tokenizer, 'eos_token', '<new>')",
    "pad is eos": "setattr(tokenizer, 'pad_token', tokenizer.eos_token)",
    "bos and eos": "(setattr(tokenizer, 'add_bos_token', True), setattr(tokenizer, 'add_eos_token', True))",
    "eos alone": "setattr(tokenizer, 'add_eos_token', True)",
    "another eos, by id": "setattr(tokenizer, 'eos_token_id', 5)",
    "no pad": "setattr(tokenizer, 'pad_token', None)",
    "no bos": "setattr(tokenizer, 'add_bos_token', False)",
    "another language": "setattr(tokenizer, 'src_lang', 'de_DE')",
}
SEEN = (
    "{{'given': {}, 'ids': tokenizer(text)['input_ids'], 'length': len(tokenizer),"
    " 'decoded': tokenizer.decode(tokenizer.encode(text), skip_special_tokens=True),"
    " 'special': sorted(set(tokenizer.all_special_tokens)),"
    " 'named': [tokenizer.pad_token_id, tokenizer.eos_token_id]}}"
)
OPTIONS = (
    {"add_bos_token": True},
    {"add_bos_token": False},
    {"add_eos_token": True},
    {"add_prefix_space": True},
    {"add_prefix_space": False},
    {"do_lower_case": True},
    {"do_lower_case": False, "strip_accents": False},
    {"tokenize_chinese_chars": False},
    {"padding_side": "left", "truncation_side": "left", "model_max_length": 6},
    {"pad_token": "<mypad>"},
    {"bos_token": "<mybos>"},
    {"unk_token": "<myunk>"},
    {"additional_special_tokens": ["<mine>"]},
    {"extra_special_tokens": {"my_token": "<mine>"}},
    {"legacy": False},
    {"from_slow": True},
    {"split_special_tokens": True},
)
LOADED = (
    "{{'ids': tokenizer(text, truncation=tokenizer.model_max_length < 9)['input_ids'],"
    " 'length': len(tokenizer), 'special': sorted(set(tokenizer.all_special_tokens)),"
    " 'decoded': tokenizer.decode(tokenizer.encode(text)), {}}}"
)
# what an option asks for beside ids
ASKED = {
    "padding_side": "'sides': [tokenizer.padding_side, tokenizer.truncation_side]",
    "extra_special_tokens": "'my token': tokenizer.my_token",
}
# what is set before saving -> the Python that sets it, and what should come back
SAVED = (
    "tokenizer.add_tokens(['newtok'])",
    "setattr(tokenizer, 'padding_side', 'left')",
    "setattr(tokenizer, 'truncation_side', 'left')",
    "setattr(tokenizer, 'model_max_length', 33)",
    "setattr(tokenizer, 'chat_template', 'saved')",
    "setattr(tokenizer, 'pad_token', pad)",
)
KEPT = (
    "{'ids': tokenizer(text)['input_ids'], 'padding': tokenizer.padding_side, 'truncation': tokenizer.truncation_side,"
    " 'longest': tokenizer.model_max_length, 'template': tokenizer.chat_template, 'pad': tokenizer.pad_token,"
    " 'special': sorted(set(tokenizer.all_special_tokens))}"
)


def sentence(checkpoint) -> str:
    """The sentence, then the longest and the shortest token that the checkpoint's files add, and words they keep whole."""
    tokens = added_tokens(checkpoint.path) or [""]
    whole = checkpoint.tokenizer_config.get("never_split") or ()
    return f"{SENTENCE} x {tokens[0]} y{tokens[-1]}z {''.join(f'{word} ' for word in whole)}"


@applies_to(tokenizer)
def test_calls(checkpoint, tokenizer, observe):
    """Decoding, alignment, windows and padding in every way a user asks for them."""
    text = sentence(checkpoint)
    names = {"text": text, "other": OTHER, "batch": BATCH, "words": WORDS, "stops": STOPS}
    names |= {"torch": torch, "transformers": transformers}
    for name, expression in CALLS.items():
        own, asked = tokenizer, expression
        if "setattr" in expression:
            own = private(tokenizer)
        given = {n: v for n, v in names.items() if n in expression}
        if "pad" in expression and own.pad_token is None:
            own, given["pad"] = private(tokenizer), some_pad_token(tokenizer)
            asked = f"(setattr(tokenizer, 'pad_token', pad), {expression})[1]"
        observe.evaluate(f"tokenization/{name}", asked, {"tokenizer": own, **given}, input=text)


@applies_to(tokenizer, unpackaged)
def test_changes(tokenizer, observe):
    """Tokens added and settings changed at run time: how a text is encoded and decoded then."""
    for name, change in CHANGES.items():
        observe.evaluate(
            f"tokenization/after {name}",
            SEEN.format(change),
            {"tokenizer": private(tokenizer), "text": NEW, "transformers": transformers},
            input=NEW,
        )


@applies_to(tokenizer, unpackaged)
def test_saved_after_changes(tokenizer, observe, tmp_path):
    """What was set at run time is there when the tokenizer is saved and loaded again, and in its settings."""
    pad = some_pad_token(tokenizer)
    given = {"tokenizer": private(tokenizer), "pad": pad}

    def saved():
        for change in SAVED:
            eval(change, given)
        given["tokenizer"].save_pretrained(tmp_path)
        again = transformers.AutoTokenizer.from_pretrained(tmp_path, **SAFE)
        return eval(KEPT, {"tokenizer": again, "text": NEW})

    code = "\n".join(
        [
            f"pad = {pad!r}",
            *SAVED,
            "import tempfile",
            "directory = tempfile.mkdtemp()",
            "tokenizer.save_pretrained(directory)",
        ]
    )
    observe.attempt(
        "tokenization/saved after changes",
        saved,
        input=NEW,
        reproduce=f"{code}\ntokenizer = transformers.AutoTokenizer.from_pretrained(directory)\n"
        f"text = {{input!r}}\n{KEPT}",
    )
    observe.attempt(
        "persistence/tokenizer settings",
        lambda: without_tokens(read_json(tmp_path / "tokenizer_config.json")),
        group="outputs",
        reproduce=f"{code}\nopen(f'{{directory}}/tokenizer_config.json').read()",
    )


def without_tokens(settings):
    """Settings without the tables of tokens, which what is loaded again shows."""
    tables = ("added_tokens_decoder", "additional_special_tokens", "extra_special_tokens")
    return {name: value for name, value in settings.items() if name not in tables}


@applies_to(tokenizer, unpackaged)
def test_options(checkpoint, observe):
    """A tokenizer loaded with each option that from_pretrained takes for it."""
    for options in OPTIONS:
        said = ", ".join(f"{name}={value!r}" for name, value in options.items())
        asked = next((ASKED[name] for name in options if name in ASKED), "")
        observe_loaded(
            observe,
            checkpoint,
            said,
            lambda o=options: fresh_tokenizer(checkpoint, **o),
            f"transformers.AutoTokenizer.from_pretrained(checkpoint, {said})",
            LOADED.format(asked),
        )


@applies_to(tokenizer, unpackaged)
def test_classes(checkpoint, observe):
    """The tokenizer loaded by the class its files name, its fast twin, and the class for any."""
    own = (checkpoint.tokenizer_config.get("tokenizer_class") or "").removesuffix("Fast")
    ways = {
        "its class": own,
        "its fast class": f"{own}Fast",
    }
    if "tokenizer-json" in checkpoint.traits:
        ways["the class for any"] = "PreTrainedTokenizerFast"
    for said, name in ways.items():
        if own and hasattr(transformers, name):
            observe_loaded(
                observe,
                checkpoint,
                said,
                lambda n=name: getattr(transformers, n).from_pretrained(checkpoint.path, **SAFE),
                f"transformers.{name}.from_pretrained(checkpoint)",
                LOADED.format(""),
            )


def observe_loaded(observe, checkpoint, said, load, code, expression) -> None:
    """What a tokenizer loaded in some way makes of a sentence; code: Python that loads it so."""
    text = sentence(checkpoint) + "<mine> É"
    observe.attempt(
        f"tokenization/loaded with {said}",
        lambda: eval(expression, {"tokenizer": load(), "text": text}),
        input=text,
        reproduce=f"tokenizer = {code}\ntext = {{input!r}}\n{expression}",
    )
