"""The rules by which parameters follow their gradients."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from ..backend import Array, kernels
from ..core import Parameter
from ..names import nearest
from ..nn.module import Module
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
        self.rho, self.epsilon, self.convention = rho, epsilon, convention
        super().__init__(parameters, learning_rate, **clip)

    def update(
        self,
        parameters: list[Array],
        gradients: list[Array],
        slots: list[list[Array]],
        rate: float,
        scale: float | Array,
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
    """

    SLOTS = ("mean", "square")

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
    ) -> None:
        """One step for arrays without axes."""
        root = math.sqrt(1.0 - self.beta2 ** (self.steps + 1))
        epsilon = self.epsilon * (1.0 if self.convention == "keras" else root)
        from_mean = rate * root / (1.0 - self.beta1 ** (self.steps + 1))
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

    _product: tuple[int, float] = (0, 1.0)  # t and U_t of the last step

    def update(
        self,
        parameters: list[Array],
        gradients: list[Array],
        slots: list[list[Array]],
        rate: float,
        scale: float | Array,
    ) -> None:
        """One step for arrays without axes."""
        t = self.steps + 1
        decay = 1.0 if self.convention == "keras" else 0.004
        done, product = self._product if self._product[0] <= t else (0, 1.0)
        for i in range(done + 1, t + 1):
            product *= self._look_ahead(i, decay)
        self._product = t, product
        now, following = self._look_ahead(t, decay), self._look_ahead(t + 1, decay)
        from_mean = rate * following / (1.0 - product * following)
        from_gradient = rate * (1.0 - now) / (1.0 - product)
        root = 1.0 / math.sqrt(1.0 - self.beta2**t)
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

    def _look_ahead(self, t: int, decay: float) -> float:
        """u_t."""
        u: float = self.beta1 * (1.0 - 0.5 * 0.96 ** (decay * t))
        return u


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
        if not 0 <= value < 1:
            raise ValueError(f"{kind}: {name} must be at least 0 and below 1, not {value}")
