"""Plant a fault the way a human ships one: a few characters changed in the library's source."""

from __future__ import annotations
import __future__

import ast
import inspect
import textwrap
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest


def edit(target: str, *changes: tuple[str, str]) -> Callable[[pytest.MonkeyPatch], None]:
    """A fault's `apply`: in the source of a function of transformers, replace text by other text.

    target: "models.bert.modeling_bert:BertPooler.forward", or for a decorator's wrapper around it
    "models.bert.modeling_bert:BertModel.forward/output_capturing", the decorator's module behind the
    slash; changes: (old, new), each applied to the first occurrence. The running function object is changed, so everybody who imported it has it.
    Raises LookupError when the library's source no longer holds an old text.
    """

    def apply(patch: pytest.MonkeyPatch) -> None:
        function = find(target)
        source = textwrap.dedent(inspect.getsource(function.__code__))
        for old, new in changes:
            if old not in source:
                raise LookupError(f"{target} no longer holds {old!r}: plant this fault anew")
            source = source.replace(old, new, 1)
        patch.setattr(function, "__code__", compiled(function, source))

    return apply


def edits(*parts: Callable[[pytest.MonkeyPatch], None]) -> Callable[[pytest.MonkeyPatch], None]:
    """Several edits as one fault, e.g. the same mistake in two copies of a function."""

    def apply(patch: pytest.MonkeyPatch) -> None:
        for part in parts:
            part(patch)

    return apply


def find(target: str) -> FunctionType:
    """The innermost function under a dotted name, decorators taken off, or the wrapper asked for."""
    target, _, wrapper = target.partition("/")
    module, path = target.split(":")
    found: Any = import_module(f"transformers.{module}")
    for name in path.split("."):
        found = getattr(found, name)
    found = getattr(found, "fget", getattr(found, "__func__", found))
    if not wrapper:
        return inspect.unwrap(found)
    return inspect.unwrap(found, stop=lambda f: Path(f.__code__.co_filename).stem == wrapper)


def compiled(function: FunctionType, source: str) -> CodeType:
    """The code object of changed source, with the free variables the function had."""
    tree = ast.parse(source)
    body = tree.body[0]
    assert isinstance(body, ast.FunctionDef)
    body.decorator_list = []
    free = function.__code__.co_freevars
    if free:  # `super()` and closures want their cells
        arguments = ast.arguments([], [ast.arg(name) for name in free], None, [], [], None, [])
        outer = ast.FunctionDef("outer", arguments, [body], [], None, None)
        tree = ast.fix_missing_locations(ast.Module([outer], []))
    lazy = function.__code__.co_flags & __future__.annotations.compiler_flag
    code = compile(
        tree, f"<fault in {function.__qualname__}>", "exec", flags=lazy, dont_inherit=True
    )
    return nested(code, function.__code__.co_name)


def nested(code: CodeType, name: str) -> CodeType:
    """The code object of this name within another."""
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            if constant.co_name == name:
                return constant
            if constant.co_name == "outer":
                return nested(constant, name)
    raise LookupError(name)
