"""The backward pass: from outputs to gradients, by edges of the recorded graph."""

from __future__ import annotations

import operator
import sys
from collections.abc import Iterable, Sequence
from heapq import heappop, heappush
from typing import Any, TypeAlias

from .backend import Array, array_module, beside, is_array
from .config import grad_mode, hooks
from .core import Edge, Tensor, TensorLike, data_of
from .function import Function, run_hooked, wrap

# What gradients are found by: the edge, or the id of a leaf, since Tensors compare by value.
Key: TypeAlias = tuple[Function, int] | int


def backward(
    y: Tensor, grad: TensorLike | None, retain_graph: bool | None, create_graph: bool
) -> None:
    """What `Tensor.backward` does."""
    gradients, leaves = _run_backward([y], [grad], None, retain_graph, create_graph)
    seen = {id(data_of(grad))}
    for leaf in leaves:
        _deliver(leaf, gradients[id(leaf)], seen, create_graph)


def grad(
    outputs: Tensor | Iterable[Tensor],
    inputs: Tensor | Iterable[Tensor],
    grad_outputs: TensorLike | Iterable[TensorLike | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool = False,
) -> tuple[Any, ...]:
    """The gradients of `outputs` with respect to `inputs`, as a tuple; `.grad` is left alone.

    Args:
        outputs: one tensor or several, whose gradients are added up.
        inputs: one tensor or several, leaves or not.
        grad_outputs: the gradient of each output to start with; 1 for single elements.
        retain_graph: keep the graph for another backward; by default only if `create_graph`.
        create_graph: make the gradients differentiable.
        allow_unused: give None, instead of an error, for an input that no output depends on.

    An input that is reached, but only by a constant, gets zeros. A gradient of `create_graph`
    counts as reaching all of `inputs`, even where it happens to be constant in one of them.
    """
    outs, ins = _listed(outputs), _listed(inputs)
    for i, x in enumerate(ins):
        if not x.requires_grad:
            raise ValueError(f"grad: input {i} of shape {x.shape} does not require a gradient")
    seeds = [None] * len(outs) if grad_outputs is None else _listed(grad_outputs)
    keys = [x.edge or id(x) for x in ins]
    reached = dict.fromkeys(keys, False)
    found, _ = _run_backward(outs, seeds, reached, retain_graph, create_graph)
    results: list[Tensor | None] = []
    for i, (x, key) in enumerate(zip(ins, keys, strict=True)):
        gradient = found.get(key)
        if gradient is None and reached[key]:
            gradient = Tensor(array_module(x.array).zeros_like(x.array))
        if gradient is None and not allow_unused:
            raise ValueError(
                f"grad: no output depends on input {i} of shape {x.shape}; "
                "allow_unused=True gives None for such inputs"
            )
        if gradient is not None and gradient.dtype != x.dtype:
            gradient = gradient.astype(x.dtype)
        if gradient is not None and create_graph:
            gradient = GradientOf()(gradient, *ins)
        results.append(gradient)
    return tuple(results)


class GradientOf(Function):
    """y = g, a gradient that is a function of the inputs even where it is constant in them."""

    apart = range(sys.maxsize)  # nothing is computed

    def forward(self, g: Array, *inputs: Array) -> Array:
        return g.view()

    def backward(self, gy: Tensor) -> tuple[Tensor | None, ...]:
        return (gy, *[None] * (len(self.needed) - 1))


def _listed(tensors: Any) -> list[Any]:
    """One tensor, or several, as a list."""
    single = isinstance(tensors, (Tensor, int, float)) or is_array(tensors)
    return [tensors] if single else list(tensors)


def _run_backward(
    outputs: Sequence[Tensor],
    seeds: Sequence[TensorLike | None],
    targets: dict[Key, bool] | None,
    retain_graph: bool | None,
    create_graph: bool,
) -> tuple[dict[Key, Tensor], list[Tensor]]:
    """Gradients by edge: of all leaves, or of `targets`, whose values become True where reached.

    Beside them the leaves that were reached.

    Nodes are numbered as they are made, and edges lead to smaller numbers. So if the newest node
    that has received a gradient is always taken next, all its gradients have arrived.
    """
    gradients: dict[Key, Tensor] = {}
    leaves: list[Tensor] = []
    waiting: list[tuple[int, Function]] = []  # a heap of nodes with gradients, the newest on top
    queued: set[Function] = set()
    chosen = None if targets is None else _leading_to(targets, outputs)
    retain_graph = create_graph if retain_graph is None else retain_graph

    def send(edge: Edge, gradient: Tensor) -> None:
        """Add up by edge, but never into an array that someone else may hold."""
        source = edge[0]
        key: Any = id(source) if isinstance(source, Tensor) else edge
        if key in gradients:
            gradients[key] = gradients[key] + gradient
            return
        gradients[key] = gradient
        if isinstance(source, Tensor):
            leaves.append(source)
        elif source not in queued and (chosen is None or source in chosen):
            queued.add(source)
            heappush(waiting, (-source.sequence, source))

    with grad_mode(create_graph):
        for i, (y, seed) in enumerate(zip(outputs, seeds, strict=True)):
            if not y.requires_grad:
                raise RuntimeError(
                    f"backward: output {i} of shape {y.shape} does not depend on anything that "
                    "requires a gradient"
                )
            send(y.edge or (y, 0), _seed(y, seed))
        while waiting:
            node = heappop(waiting)[1]
            edges = node.edges
            if edges is None:
                raise _freed(node)
            incoming = _incoming(node, gradients, targets)
            if chosen is None:
                node.needed = edges
            if hooks:
                results = run_hooked(node, "backward", incoming)
            else:
                results = node.backward(*incoming)
            if type(results) is not tuple:
                results = (results,)
            if len(results) != len(edges):
                raise RuntimeError(
                    f"{node.name}.backward gave {len(results)} gradients for {len(edges)} inputs"
                )
            for edge, needed, gradient in zip(edges, node.needed, results):  # noqa: B905
                if needed and gradient is not None:
                    if not isinstance(gradient, Tensor):
                        raise _no_tensor(node, gradient)
                    send(edge, gradient)  # type: ignore[arg-type]  # needed, so not None
            if not retain_graph:
                node.free()
    return gradients, leaves


def _no_tensor(node: Function, gradient: Any) -> TypeError:
    return TypeError(
        f"{node.name}.backward gave {type(gradient).__name__}, not a Tensor: write it with ops on "
        "the Tensors that it gets and on self.saved, so that it can be differentiated again"
    )


def _freed(node: Function) -> RuntimeError:
    return RuntimeError(
        f"the graph behind {node.name} was freed by an earlier backward; "
        "pass retain_graph=True to that one"
    )


def _seed(y: Tensor, seed: TensorLike | None) -> Tensor:
    """The gradient that backward starts with at output `y`."""
    if seed is None:
        if y.size != 1:
            raise ValueError(
                f"backward: give the gradient of an output of shape {y.shape}; "
                "only a single element has 1 as its default"
            )
        return Tensor(array_module(y.array).ones(y.shape, y.dtype))
    if isinstance(seed, (int, float)):
        xp = array_module(y.array)
        seed = xp.full(y.shape if y.size == 1 else (), seed, y.dtype)
    gradient = seed if isinstance(seed, Tensor) else Tensor(seed)
    if gradient.device != y.device and not gradient.requires_grad:
        gradient = Tensor(beside(gradient.array, y.array))
    if gradient.shape != y.shape:
        raise ValueError(f"backward: gradient of shape {gradient.shape} for output {y.shape}")
    return gradient if gradient.dtype == y.dtype else gradient.astype(y.dtype)


def _key(edge: Any) -> Key:
    """What the gradient of an edge is found by."""
    return id(edge[0]) if isinstance(edge[0], Tensor) else edge


def _leading_to(targets: dict[Key, bool], outputs: Sequence[Tensor]) -> set[Function]:
    """The nodes on a way from `outputs` to `targets`.

    Each is told which of its gradients that takes, and targets that are reached become True.
    """
    stack = [y.edge[0] for y in outputs if y.edge is not None]
    found = set(stack)
    targets.update({y.edge or id(y): True for y in outputs if (y.edge or id(y)) in targets})
    while stack:
        node = stack.pop()
        if node.edges is None:
            raise _freed(node)
        for edge in node.edges:
            if edge is not None:
                if _key(edge) in targets:
                    targets[_key(edge)] = True
                source = edge[0]
                if not isinstance(source, Tensor) and source not in found:
                    found.add(source)
                    stack.append(source)
    useful: set[Function] = set()
    for node in sorted(found, key=operator.attrgetter("sequence")):  # from the oldest
        node.needed = [
            e is not None
            and (_key(e) in targets or (not isinstance(e[0], Tensor) and e[0] in useful))
            for e in node.edges or ()
        ]
        if any(node.needed):
            useful.add(node)
    return useful


def _incoming(
    node: Function, gradients: dict[Key, Tensor], targets: dict[Key, bool] | None
) -> Sequence[Tensor]:
    """The gradients of the outputs of `node`; zeros for those that nothing depends on."""
    if node.outputs is None and targets is None:
        return (gradients.pop((node, 0)),)
    found = []
    outputs = node.outputs or [((), None)]
    for i in range(len(outputs)):
        edge = node, i
        keep = targets is not None and edge in targets
        found.append(gradients.get(edge) if keep else gradients.pop(edge, None))
    xp = array_module(*(g.array for g in found if g is not None))
    return [
        Tensor(xp.zeros(shape, dtype)) if gradient is None else gradient
        for gradient, (shape, dtype) in zip(found, outputs, strict=True)
    ]


def _deliver(leaf: Tensor, gradient: Tensor, seen: set[int], create_graph: bool) -> None:
    """Add to `leaf.grad`. Without a graph the leaf gets an array that nobody else writes to."""
    array = gradient.array
    if array.shape != leaf.array.shape:
        raise RuntimeError(
            f"a backward gave a gradient of shape {gradient.shape} for a leaf of {leaf.shape}"
        )
    if leaf.grad is not None:
        with grad_mode(create_graph):
            leaf.grad = leaf.grad + gradient
    elif create_graph:
        leaf.grad = gradient
    else:
        if array.dtype != leaf.array.dtype:
            array = array.astype(leaf.dtype)
        shared = is_array(array.base) or id(array) in seen or not array.flags.c_contiguous
        seen.add(id(array))
        leaf.grad = wrap(array.copy() if shared else array)
