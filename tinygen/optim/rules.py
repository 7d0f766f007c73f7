"""The rules by which parameters follow their gradients."""

from __future__ import annotations

import functools
import math
from array import array
from collections.abc import Iterable
from typing import Any

from ..backend import Array, kernels
from ..core import Parameter
from ..names import nearest
from ..nn.module import Module
from ..ranges import fraction, not_negative
from .optimizer import Optimizer
from .schedules import Schedule


class SGD(Optimizer):
    """Stochastic gradient descent:  p -= rate g.

    With momentum:  v = momentum v - rate g,  p += v.

    Args:
        parameters: a Module, or parameters.
        learning_rate: a number, or a function of the number of steps done.
        momentum: from 0 up to, not including, 1.
        nesterov: look ahead:  p += momentum v - rate g  (Sutskever et al. 2013).
        convention: "keras", or "pytorch" where the rate multiplies v only when it is used.
        clip: see Optimizer.
    """

    def __init__(
        self,
        parameters: Module | Iterable[Parameter],
        learning_rate: float | Schedule = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        *,
        convention: str = "keras",
        **clip: float | None,
    ) -> None:
        _check(self, convention, momentum=momentum)
        if not isinstance(nesterov, bool):
            raise TypeError(f"SGD: nesterov must be True or False, not {nesterov!r:.80}")
        if nesterov and not momentum:
            raise ValueError("SGD: nesterov needs a momentum above 0")
        self.SLOTS = ("velocity",) if momentum else ()
        self.momentum, self.nesterov, self.convention = momentum, nesterov, convention
        super().__init__(parameters, learning_rate, **clip)

    def update(
        self,
        parameters: list[Array],
        gradients: list[Array],
        slots: list[list[Array]],
        rate: float,
        scale: float | Array,
        count: int,
    ) -> None:
        """One step for arrays without axes."""
        m = self.momentum
        if self.convention == "keras":
            factors = (-rate, m, -rate) if self.nesterov else (-rate, 1.0, 0.0)
        else:
            factors = (1.0, -rate * m, -rate) if self.nesterov else (1.0, -rate, 0.0)
        if not m:
            factors = (0.0, 0.0, -rate)
        velocities = slots[0] if slots else []
        kernels(parameters[0]).sgd(parameters, gradients, velocities, m, *factors, scale)


class RMSprop(Optimizer):
    """Gradients divided by the root of their mean square (Hinton 2012).

    s = rho s + (1 - rho) g^2,  p -= rate g / sqrt(s + epsilon);
    in PyTorch's convention  p -= rate g / (sqrt(s) + epsilon).
    """

    SLOTS = ("square",)

    def __init__(
        self,
        parameters: Module | Iterable[Parameter],
        learning_rate: float | Schedule = 1e-3,
        rho: float = 0.9,
        epsilon: float = 1e-7,
        *,
        convention: str = "keras",
        **clip: float | None,
    ) -> None:
        _check(self, convention, rho=rho)
        not_negative("RMSprop: epsilon", epsilon)
        self.rho, self.epsilon, self.convention = rho, epsilon, convention
        super().__init__(parameters, learning_rate, **clip)

    def update(
        self,
        parameters: list[Array],
        gradients: list[Array],
        slots: list[list[Array]],
        rate: float,
        scale: float | Array,
        count: int,
    ) -> None:
        """One step for arrays without axes."""
        inside, outside = (self.epsilon, 0.0) if self.convention == "keras" else (0.0, self.epsilon)
        kernels(parameters[0]).rmsprop(
            parameters, gradients, slots[0], rate, self.rho, inside, outside, scale
        )


class Adam(Optimizer):
    """Adaptive moments (Kingma & Ba 2015), with decoupled weight decay (Loshchilov & Hutter 2019).

    m = beta1 m + (1 - beta1) g,  s = beta2 s + (1 - beta2) g^2,  and at step t
    p -= rate sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(s) + epsilon);
    in PyTorch's convention epsilon is added to sqrt(s / (1 - beta2^t)).

    The step t is counted for each parameter from when the optimiser took it in (or it grew), so
    what is added to a network begins with steps of about `rate`, as it would in a fresh optimiser.
    A step without a gradient, as while a parameter is frozen, counts in Keras's convention, whose
    `iterations` are those of the optimiser: unfrozen late, a parameter begins with steps that are
    sqrt(1 - beta2^t) (1 - beta1) / ((1 - beta1^t) sqrt(1 - beta2)) times as large: 10 rates with
    beta1 = 0 and beta2 = 0.99. In PyTorch's it does not count, and the first step is the rate.
    """

    SLOTS = ("mean", "square")
    COUNTS = True

    def __init__(
        self,
        parameters: Module | Iterable[Parameter],
        learning_rate: float | Schedule = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-7,
        weight_decay: float = 0.0,
        *,
        convention: str = "keras",
        **clip: float | None,
    ) -> None:
        _check(self, convention, beta1=beta1, beta2=beta2)
        not_negative(f"{type(self).__name__}: epsilon", epsilon)
        not_negative(f"{type(self).__name__}: weight_decay", weight_decay)
        self.beta1, self.beta2, self.epsilon = beta1, beta2, epsilon
        self.weight_decay, self.convention = weight_decay, convention
        super().__init__(parameters, learning_rate, **clip)

    def update(
        self,
        parameters: list[Array],
        gradients: list[Array],
        slots: list[list[Array]],
        rate: float,
        scale: float | Array,
        count: int,
    ) -> None:
        """One step for arrays without axes."""
        root = math.sqrt(1.0 - self.beta2**count)
        epsilon = self.epsilon * (1.0 if self.convention == "keras" else root)
        from_mean = rate * root / (1.0 - self.beta1**count)
        factors = from_mean, 0.0, 1.0, epsilon, 1.0 - rate * self.weight_decay, scale
        kernels(parameters[0]).adam(parameters, gradients, *slots, self.beta1, self.beta2, *factors)


class AdamW(Adam):
    """Adam with decoupled weight decay, by default 0.004 as in Keras."""

    def __init__(
        self,
        parameters: Module | Iterable[Parameter],
        learning_rate: float | Schedule = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-7,
        weight_decay: float = 0.004,
        *,
        convention: str = "keras",
        **clip: float | None,
    ) -> None:
        super().__init__(
            parameters,
            learning_rate,
            beta1,
            beta2,
            epsilon,
            weight_decay,
            convention=convention,
            **clip,
        )


class Nadam(Adam):
    """Adam with Nesterov's look-ahead (Dozat 2016).

    With u_t = beta1 (1 - 0.96^(d t) / 2) and U_t their product up to t:
    p -= rate (u_{t+1} m / (1 - U_{t+1}) + (1 - u_t) g / (1 - U_t)) / (sqrt(s_t) + epsilon),
    where s_t is s / (1 - beta2^t), and d is 1 in Keras's convention and 0.004 in PyTorch's.
    """

    def update(
        self,
        parameters: list[Array],
        gradients: list[Array],
        slots: list[list[Array]],
        rate: float,
        scale: float | Array,
        count: int,
    ) -> None:
        """One step for arrays without axes."""
        decay = 1.0 if self.convention == "keras" else 0.004
        now, following = (_look_ahead(self.beta1, decay, t) for t in (count, count + 1))
        product = _product(self.beta1, decay, count)
        from_mean = rate * following / (1.0 - product * following)
        from_gradient = rate * (1.0 - now) / (1.0 - product)
        root = 1.0 / math.sqrt(1.0 - self.beta2**count)
        keep = 1.0 - rate * self.weight_decay
        kernels(parameters[0]).adam(
            parameters,
            gradients,
            *slots,
            self.beta1,
            self.beta2,
            from_mean,
            from_gradient,
            root,
            self.epsilon,
            keep,
            scale,
        )


def _look_ahead(beta1: float, decay: float, t: int) -> float:
    """u_t of Nadam."""
    u: float = beta1 * (1.0 - 0.5 * 0.96 ** (decay * t))
    return u


def _product(beta1: float, decay: float, t: int) -> float:
    """U_t of Nadam; 0 from where 1 - U_t is 1."""
    known = _products(beta1, decay)
    while len(known) <= t and known[-1] > 2.0**-54:
        known.append(known[-1] * _look_ahead(beta1, decay, len(known)))
    return known[t] if t < len(known) else 0.0


@functools.lru_cache(16)
def _products(beta1: float, decay: float) -> array[float]:
    """U_t from t = 0 on, as far as they were asked for."""
    return array("d", [1.0])


BY_NAME: dict[str, type[Optimizer]] = {
    "sgd": SGD,
    "rmsprop": RMSprop,
    "adam": Adam,
    "adamw": AdamW,
    "nadam": Nadam,
}


def create(name: str, parameters: Module | Iterable[Parameter], **options: Any) -> Optimizer:
    """The optimiser of that name: sgd, rmsprop, adam, adamw or nadam."""
    if name not in BY_NAME:
        raise ValueError(f"unknown optimizer {name!r}{nearest(name, BY_NAME)}")
    return BY_NAME[name](parameters, **options)


def _check(optimizer: Optimizer, convention: str, **fractions: float) -> None:
    kind = type(optimizer).__name__
    if convention not in ("keras", "pytorch"):
        raise ValueError(f'{kind}: convention must be "keras" or "pytorch", not {convention!r}')
    for name, value in fractions.items():
        fraction(f"{kind}: {name}", value)
