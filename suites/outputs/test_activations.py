"""The activation functions that a configuration may name are the ones published under these names."""

from __future__ import annotations

import math

from fixtures.applicability import any_model, applies_to, loader_sample
from fixtures.lazy import torch
from fixtures.tolerance import K, eps

WIDEST = 14.0  # beyond ten, where one of them is clipped


def normal(x):
    """The share of a normal distribution below x."""
    return 0.5 * (1 + torch.erf(x / math.sqrt(2)))


def approximate(x):
    """Hendrycks & Gimpel 2016, section 2: x times this is nearly a GELU."""
    return 0.5 * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def softplus(x):
    """log(1 + exp(x))."""
    return torch.logaddexp(x, torch.zeros_like(x))


FORMULAS = {
    "gelu": lambda x: x * normal(x),
    "gelu_python": lambda x: x * normal(x),
    "gelu_10": lambda x: (x * normal(x)).clamp(-10, 10),  # Wu et al. 2020, section 4
    "gelu_new": lambda x: x * approximate(x),
    "gelu_fast": lambda x: x * approximate(x),
    "gelu_accurate": lambda x: x * approximate(x),
    "gelu_pytorch_tanh": lambda x: x * approximate(x),
    "gelu_python_tanh": lambda x: x * approximate(x),
    "quick_gelu": lambda x: x / (1 + (-1.702 * x).exp()),  # Hendrycks & Gimpel 2016, section 2
    "laplace": lambda x: normal((x - math.sqrt(0.5)) * math.sqrt(4 * math.pi)),  # Ma et al. 2022
    "leaky_relu": lambda x: torch.where(x > 0, x, 0.01 * x),
    "linear": lambda x: x,
    "mish": lambda x: x * softplus(x).tanh(),  # Misra 2019
    "relu": lambda x: x.clamp(min=0),
    "relu2": lambda x: x.clamp(min=0) ** 2,  # So et al. 2021
    "relu6": lambda x: x.clamp(0, 6),
    "sigmoid": lambda x: 1 / (1 + (-x).exp()),
    "silu": lambda x: x / (1 + (-x).exp()),
    "swish": lambda x: x / (1 + (-x).exp()),
    "tanh": lambda x: 1 - 2 / ((2 * x).exp() + 1),
    "hardswish": lambda x: x * (x + 3).clamp(0, 6) / 6,  # Howard et al. 2019
    "sqrtsoftplus": lambda x: softplus(x).sqrt(),
    "prelu": lambda x: torch.where(x > 0, x, 0.25 * x),  # He et al. 2015, as it starts
}


@applies_to(any_model, loader_sample)
def test_activations_are_what_they_are_called(checkpoint, expect):
    """Every activation function that the library knows by a published name equals its formula."""
    from transformers.activations import ACT2FN

    x = torch.linspace(-WIDEST, WIDEST, 281).double()
    known = sorted(FORMULAS.keys() & set(ACT2FN))
    expect.true({"gelu", "relu"} <= set(known), known, "gelu and relu", "list(ACT2FN)")
    for name in known:
        wanted = FORMULAS[name](x)
        value = ACT2FN[name](x.float()).double()
        near = K * eps("float32") * max(1.0, float(wanted.abs().max()))
        call = f"__import__('transformers.activations').activations.ACT2FN[{name!r}](x)"
        expect.close(value, wanted, near, call, x=x.float())


@applies_to(any_model, loader_sample)
def test_each_layer_has_an_activation_of_its_own(checkpoint, expect):
    """What an activation function learns is its layer's own: each time it is looked up it is a new module."""
    from transformers.activations import ACT2FN

    for name in sorted(FORMULAS.keys() & set(ACT2FN)):
        first, second = (list(ACT2FN[name].parameters()) for _ in range(2))
        shared = [p.shape for p in first if any(p is other for other in second)]
        call = f"shapes of parameters that ACT2FN[{name!r}] and ACT2FN[{name!r}] share"
        expect.equal(shared, [], call)
