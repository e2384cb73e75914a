"""The same arithmetic done another way: every result differs by roundings only.

Each function is a harmless variation's `apply`: it replaces a torch function the library computes with.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from fixtures.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

Patch = pytest.MonkeyPatch


def matrix_products(
    change: Callable[[Callable[[Tensor, Tensor], Tensor], Tensor, Tensor], Tensor],
) -> Callable[[Patch], None]:
    """Replace matmul and linear by `change(product, a, b)`."""

    def apply(patch: Patch) -> None:
        product, linear = torch.matmul, torch.nn.functional.linear

        def matmul(a: Tensor, b: Tensor, **options: Any) -> Tensor:
            return change(product, a, b)

        def linear_by_matmul(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
            if x.dim() < 2:
                return linear(x, weight, bias)
            out = change(product, x, weight.transpose(-1, -2))
            return out if bias is None else out + bias

        patch.setattr(torch, "matmul", matmul)
        patch.setattr(torch.nn.functional, "linear", linear_by_matmul)

    return apply


def in_halves(product: Callable[[Tensor, Tensor], Tensor], a: Tensor, b: Tensor) -> Tensor:
    """The sum of two products over half of the terms each."""
    middle = a.shape[-1] // 2
    return product(a[..., :middle], b[..., :middle, :]) + product(
        a[..., middle:], b[..., middle:, :]
    )


def in_float64(product: Callable[[Tensor, Tensor], Tensor], a: Tensor, b: Tensor) -> Tensor:
    """The product of the same numbers, rounded once."""
    return product(a.double(), b.double()).to(a.dtype)


def row_by_row(product: Callable[[Tensor, Tensor], Tensor], a: Tensor, b: Tensor) -> Tensor:
    """One product for each row of the batch."""
    if a.dim() < 3 or not len(a):
        return product(a, b)
    return torch.stack(
        [product(row, b if b.dim() < 3 else b[i if len(b) > 1 else 0]) for i, row in enumerate(a)]
    )


halves = matrix_products(in_halves)
doubled = matrix_products(in_float64)
by_row = matrix_products(row_by_row)


def softmax_backwards(patch: Patch) -> None:
    """Softmax of the reversed scores, reversed."""
    softmax = torch.nn.functional.softmax

    def backwards(x: Tensor, dim: int = -1, **options: Any) -> Tensor:
        return softmax(x.flip(dim), dim=dim, **options).flip(dim)

    patch.setattr(torch.nn.functional, "softmax", backwards)


def softmax_doubled(patch: Patch) -> None:
    """Softmax in float64, rounded once."""
    softmax = torch.nn.functional.softmax

    def precise(x: Tensor, dim: int = -1, dtype: Any = None, **options: Any) -> Tensor:
        return softmax(x.double(), dim=dim).to(dtype or x.dtype)

    patch.setattr(torch.nn.functional, "softmax", precise)


def norm(patch: Patch) -> None:
    """LayerNorm by its formula (Ba et al. 2016), in at least float32."""

    def layer_norm(
        x: Tensor, shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5
    ) -> Tensor:
        wide = x.double() if x.dtype == torch.float64 else x.float()
        centred = wide - wide.mean(-1, keepdim=True)
        scaled = centred / torch.sqrt((centred * centred).mean(-1, keepdim=True) + eps)
        scaled = scaled if weight is None else scaled * weight
        return (scaled if bias is None else scaled + bias).to(x.dtype)

    patch.setattr(torch.nn.functional, "layer_norm", layer_norm)


def gelu(patch: Patch) -> None:
    """GELU by its formulas (Hendrycks and Gimpel 2016), in at least float32."""

    def by_formula(x: Tensor, approximate: str = "none") -> Tensor:
        wide = x.double() if x.dtype == torch.float64 else x.float()
        if approximate == "tanh":
            inner = math.sqrt(2 / math.pi) * (wide + 0.044715 * wide**3)
            return (0.5 * wide * (1 + torch.tanh(inner))).to(x.dtype)
        return (0.5 * wide * (1 + torch.erf(wide / math.sqrt(2)))).to(x.dtype)

    patch.setattr(torch.nn.functional, "gelu", by_formula)


def attention(patch: Patch) -> None:
    """The fused attention kernel by its definition (Vaswani et al. 2017)."""

    def defined(
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Any = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor:
        if enable_gqa:
            groups = query.shape[-3] // key.shape[-3]
            key, value = key.repeat_interleave(groups, -3), value.repeat_interleave(groups, -3)
        scores = (
            query
            @ key.transpose(-1, -2)
            * (scale if scale is not None else query.shape[-1] ** -0.5)
        )
        if is_causal:
            scores = scores.masked_fill(torch.ones(scores.shape[-2:]).triu(1).bool(), -torch.inf)
        if attn_mask is not None:
            scores = (
                scores.masked_fill(~attn_mask, -torch.inf)
                if attn_mask.dtype == torch.bool
                else scores + attn_mask
            )
        # a row without any visible key is defined as zero by the kernel
        return torch.dropout(scores.softmax(-1).nan_to_num(0.0), dropout_p, True) @ value

    patch.setattr(torch.nn.functional, "scaled_dot_product_attention", defined)
