"""One rule of types for all ops: see tinygen/promotion.py."""

import numpy as np
import pytest

import tinygen
from tests.op_cases import loss
from tests.test_ops import (
    OPTIONS,
    assert_close,
    cotangents,
    listed,
    tensors,
    value_and_gradients,
)
from tinygen import Function, Random, Tensor, nn, ops, tensor

WITH_TARGET = {case.name for case in loss.CASES} - {"gaussian_kl"}
# What integers and booleans alone stay, if not in their own type then in int64.
EXACT = {
    "abs", "activate", "add", "broadcast_to", "clip", "concatenate", "expand_dims",
    "flip", "getitem", "max", "maximum", "min", "minimum", "multiply", "negative", "pad", "repeat",
    "reshape", "scatter_add", "split", "square", "squeeze", "stack", "subtract", "sum", "sum_to",
    "take", "take_along_axis", "translate2d", "transpose", "where",
}  # fmt: skip
COMPUTED = [v for v in OPTIONS if v.case.name != "astype"]  # which has a rule of its own
every_computation = pytest.mark.parametrize("variant", COMPUTED, ids=str)
SCALARS = ("float64", "float32", "float16", "longdouble", "int64", "uint8", "bool")


def floating(arrays):
    """The places of the inputs that are no labels or masks."""
    return [i for i, a in enumerate(arrays) if a.dtype.kind == "f"]


def both_orders(fn, inputs):
    """Outputs, gradients, and the gradients of a function of those."""
    outputs = listed(fn(*inputs))
    moving = [x for x in inputs if isinstance(x, Tensor) and x.requires_grad]
    first = tinygen.grad(outputs, moving, cotangents(outputs), create_graph=True)
    total = sum((g * Tensor(c)).sum() for g, c in zip(first, cotangents(first), strict=True))
    return outputs, [*first, *tinygen.grad(total, moving)]


@every_computation
def test_of_several_floating_types_the_widest_is_computed_in(variant):
    """As if all were cast beforehand; each gradient is of the type of its input."""
    arrays = variant.sample("float32")
    moving = floating(arrays)
    for i in moving:
        wide = [a.astype("float64") if j == i else a for j, a in enumerate(arrays)]
        target = variant.case.name in WITH_TARGET and i > 0  # takes the type of the prediction
        common = "float32" if target else "float64"
        cast = [a.astype(common) if j in moving else a for j, a in enumerate(arrays)]
        outputs, gradients = both_orders(variant.fn, tensors(wide))
        expected, expected_gradients = both_orders(variant.fn, tensors(cast))
        for y, z in zip(outputs, expected, strict=True):
            assert y.dtype == common
            np.testing.assert_array_equal(y.data, z.data)
        assert [g.dtype for g in gradients] == [wide[j].dtype for j in moving] * 2
        found, wanted = ([g.data for g in gs] for gs in (gradients, expected_gradients))
        assert_close(found, wanted, variant.bounds("float32", 100))


@every_computation
def test_float16_is_computed_in_float32(variant):
    arrays = variant.sample("float16")
    moving = floating(arrays)
    cast = [a.astype("float32") if i in moving else a for i, a in enumerate(arrays)]
    values, gradients = value_and_gradients(variant.fn, tensors(arrays))
    expected, wanted = value_and_gradients(variant.fn, tensors(cast))
    for y, z in zip(values, expected, strict=True):
        assert y.dtype == z.dtype or (y.dtype == np.float16 and variant.case.name in EXACT)
        np.testing.assert_array_equal(y, z.astype(y.dtype))
    assert {g.dtype for g in gradients} == {np.dtype("float16")}
    assert_close(gradients, wanted, {"rtol": 5e-3, "atol": 5e-3})


def whole(a, dtype):
    """Numbers of about that size and sign, as far as the type has them; large ones of uint8."""
    if dtype == "bool":
        return a > 0.5
    up = np.ceil(abs(a)) * (60 if dtype == "uint8" and abs(a).max(initial=0) > 1 else 1)
    return (up if dtype == "uint8" else np.copysign(up, a)).astype(dtype)


def assert_as_if_cast(fn, arrays, given):
    """Integers or booleans give what they do when cast beforehand."""
    with np.errstate(all="ignore"):  # logarithms of 0 and the like
        outputs, expected = listed(fn(*given)), listed(fn(*arrays))
    for y, z in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(y.numpy(), z.numpy(), rtol=1e-6, atol=1e-6)
    return outputs


@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool"])
@every_computation
def test_integers_are_computed_with_as_floats(variant, dtype):
    """All inputs are integers, then one of them beside float32."""
    arrays = variant.sample("float32")
    moving = floating(arrays)
    if variant.case.name == "softmax_cross_entropy":
        moving = moving[:1]  # integers as the target are labels
    integers = {i: whole(arrays[i], dtype) for i in moving}
    floats = {i: a.astype("float32") for i, a in integers.items()}
    given = [integers.get(i, a) for i, a in enumerate(arrays)]
    cast = [floats.get(i, a) for i, a in enumerate(arrays)]
    for y in assert_as_if_cast(variant.fn, cast, given):
        kinds = "biuf" if variant.case.name in EXACT else "f"
        assert y.dtype == np.float32 or (y.dtype.kind in kinds and y.dtype.kind != "f"), y
    for i in moving if len(moving) > 1 else ():
        given = [integers[i] if j == i else a for j, a in enumerate(arrays)]
        cast = [floats[i] if j == i else a for j, a in enumerate(arrays)]
        for y in assert_as_if_cast(variant.fn, cast, given):
            assert y.dtype == np.float32


# --- Numbers ------------------------------------------------------------------------------------


def numbers(kind):
    """2 as a scalar of NumPy, or something near it that float32 cannot hold; and as a number."""
    scalar = np.dtype(kind).type(1 if kind == "bool" else 2.1)
    return scalar, float(scalar) if scalar.dtype.kind == "f" else scalar.item()


@pytest.mark.parametrize("kind", SCALARS)
@pytest.mark.parametrize(
    "fn",
    [
        lambda x, s: x + s, lambda x, s: s + x, lambda x, s: x - s, lambda x, s: s - x,
        lambda x, s: x * s, lambda x, s: s * x, lambda x, s: x / s, lambda x, s: s / x,
        lambda x, s: x**s, lambda x, s: s**x, lambda x, s: ops.maximum(x, s),
        lambda x, s: ops.minimum(s, x), lambda x, s: ops.clip(x, s), lambda x, s: ops.clip(x, 0, s),
        lambda x, s: ops.where(x > 1, x, s), lambda x, s: ops.where(x > 1, s, x),
        lambda x, s: ops.pad(x, [(1, 1)], s), lambda x, s: ops.add(x, [s, s, s]),
        lambda x, s: ops.elu(x, s), lambda x, s: ops.leaky_relu(x, s),
        lambda x, s: ops.activate(x, ("elu", s)), lambda x, s: ops.dropout(x, s / 4, rng=Random(1)),
        lambda x, s: ops.gaussian_noise(x, s, rng=Random(1)),
        lambda x, s: ops.huber(x, x.detach() + 2, "none", s),
        lambda x, s: ops.pixel_norm(x, s), lambda x, s: ops.layer_norm(x, epsilon=s),
        lambda x, s: ops.batch_norm(x[:, None], epsilon=s),
        lambda x, s: ops.batch_norm(x[:, None], None, None, x[:1], x[1:2], s),
        lambda x, s: ops.instance_norm(x[None, :, None], epsilon=s),
        lambda x, s: ops.minibatch_stddev(x[:, None], epsilon=s),
        lambda x, s: ops.upfirdn2d(x[None, :, None, None], (1, 2), padding=1, gain=s),
        lambda x, s: ops.upfirdn2d(x[None, :, None, None], (s, s), padding=1),
        lambda x, s: x * Random(1).normal((3,), s, s),
        lambda x, s: x * Random(1).uniform((3,), 0, s),
    ],
)  # fmt: skip
def test_scalars_of_numpy_are_as_weak_as_numbers(fn, kind):
    """Also options: the same bits as with a number of Python, in float32, gradients too.

    Or the same refusal, of a boolean where an option must be a number.
    """
    x = tensor([0.5, 1.5, 2.5], requires_grad=True)
    scalar, number = numbers(kind)
    results: list[tuple] = []
    for s in (scalar, number):
        try:
            y = fn(x, s)
        except TypeError as error:
            if kind != "bool" or "must be a number" not in str(error):
                raise
            results.append(())
            continue
        (g,) = tinygen.grad(y.sum(), x)
        assert (y.dtype, g.dtype) == (np.float32, np.float32)
        results.append((y.data, g.data))
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_arrays_keep_their_type_and_numbers_take_it():
    x = tensor([0.1, 0.2])
    assert (x + np.array(1.0)).dtype == np.float64
    double = Tensor(np.array([0.1]))
    np.testing.assert_array_equal(ops.add(double, [0.1]).data, [0.1 + 0.1])
    np.testing.assert_array_equal(ops.add([0.1], double).data, [0.1 + 0.1])
    assert ops.sqrt(2.0).dtype == ops.add(1, 2).dtype == ops.exp([1, 2]).dtype == np.float32
    np.testing.assert_allclose(
        ops.sigmoid([[1, 2, 3]]).data, 1 / (1 + np.exp([[-1, -2, -3]])), 1e-6
    )


@pytest.mark.parametrize(
    ("made", "dtype", "values"),
    [
        (lambda x: x + 1, "int64", [201, 251]),
        (lambda x: x * 1.5, "float32", [300, 375]),
        (lambda x: 1 - x, "int64", [-199, -249]),
        (lambda x: x / 2, "float32", [100, 125]),
        (lambda x: x**-1, "float32", [1 / 200, 1 / 250]),
        (lambda x: ops.maximum(x, 240), "uint8", [240, 250]),
        (lambda x: ops.maximum(x, 300), "int64", [300, 300]),
        (lambda x: ops.maximum(x, [-1, 300]), "int64", [200, 300]),
        (lambda x: ops.clip(x, -1, 300), "int64", [200, 250]),
        (lambda x: ops.clip(x, 0.5, 220.5), "float32", [200, 220.5]),
        (lambda x: ops.where([True, False], x, 0.5), "float32", [200, 0.5]),
        (lambda x: ops.pad(x, [(0, 1)], 0.5), "float32", [200, 250, 0.5]),
        (lambda x: ops.pad(x, [(0, 1)]), "uint8", [200, 250, 0]),
        (lambda x: ops.concatenate([x, np.int8([-1])]), "int64", [200, 250, -1]),
        (lambda x: ops.concatenate([x, np.float32([0.5])]), "float32", [200, 250, 0.5]),
        (lambda x: ops.scatter_add(x, np.array([0, 0]), (1,)), "int64", [450]),
        (lambda x: ops.sum(x > 0), "int64", 2),
        (lambda x: (x > 220).mean(), "float32", 0.5),
        (lambda x: x.var(), "float32", 625),
        (lambda x: ops.norm(x), "float32", np.hypot(200, 250)),
    ],
)
def test_numbers_meet_integers(made, dtype, values):
    y = made(Tensor(np.array([200, 250], "uint8")))
    assert y.dtype == dtype
    np.testing.assert_allclose(y.data, values, 1e-6)


# --- Sums ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8", "int32", "float16"])
def test_sums_do_not_wrap_or_overflow(dtype):
    n = 70_000
    x = Tensor(np.ones((n, 1), dtype))
    assert ops.sum(x).item() == ops.sum(x, 0).item() == ops.sum_to(x, (1, 1)).item() == n
    assert ops.mean(x).item() == ops.mean(x, 0).item() == 1
    assert ops.var(x).item() == 0
    assert ops.norm(x).item() == pytest.approx(np.sqrt(n))
    assert ops.logsumexp(x).item() == pytest.approx(1 + np.log(n))
    assert ops.softmax(x, 0).data.sum() == pytest.approx(1)
    assert ops.mse(x, ops.negative(x)).item() == ops.mse(x, np.zeros((n, 1), dtype)).item() * 4 == 4
    image = ops.reshape(x, (1, 700, 100, 1))
    assert ops.global_avg_pool2d(image).item() == pytest.approx(1, rel=1e-5)
    if dtype == "float16":
        y = Tensor(np.ones(n, dtype), requires_grad=True)
        (g,) = tinygen.grad(ops.max(y) * 1000, y)  # all tie
        np.testing.assert_allclose(g.data, np.full(n, 1000 / n), 1e-3)


@pytest.mark.parametrize(
    "fn",
    [
        lambda x: ops.sum(x, 1), lambda x: ops.sum(x, (0, 1), True), lambda x: ops.sum(x),
        lambda x: ops.sum(x[0], 0), lambda x: ops.sum(x.T, 1), lambda x: ops.sum_to(x, (1, 1, 2)),
        lambda x: ops.mean(x, 1), lambda x: ops.var(x, 1), lambda x: ops.norm(x, 1),
        lambda x: ops.logsumexp(x, 1), lambda x: ops.softmax(x, 1), lambda x: ops.mse(x, -x),
    ],
)  # fmt: skip
@pytest.mark.parametrize("order", ["C", "F"])
def test_many_elements_in_any_order_keep_their_digits(fn, order):
    x = np.random.default_rng(0).uniform(0.05, 0.15, (1, 100_000, 2)).astype("float32")
    x = np.asarray(x, order=order)
    np.testing.assert_allclose(fn(Tensor(x)).data, fn(Tensor(x.astype("float64"))).data, 1e-6)


# --- Other types --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda x: x * 2j, "multiply: input 1 is of type complex128"),
        (lambda x: np.complex64(2) + x, "add: input 0 is of type complex"),
        (lambda x: ops.exp(np.ones(2, complex)), "exp: input 0 .* real and imaginary part"),
        (
            lambda x: ops.softmax(np.ones(2, "longdouble")),
            r'longdouble|float128.*astype\("float64"',
        ),
        (lambda x: ops.mse(x, np.ones(2, complex)), "mse: input 1 is of type complex128"),
        (lambda x: ops.where([True, False], x, "a"), "where: input 2 is of type <U1"),
        (lambda x: x + None, "add: input 1 is of type object"),
        (lambda x: ops.add(x, ["a", "b"]), "add: input 1 is of type <U1"),
        (
            lambda x: ops.sum(np.ones(2, "uint64")),
            r'sum: input 0 is of type uint64.*astype\("int64"',
        ),
        (lambda x: tensor(300, dtype="uint8"), "cannot make a tensor of int: .*300"),
    ],
)
def test_other_types_are_refused_in_words(wrong, message):
    with pytest.raises(TypeError, match=message):
        wrong(tensor([1.0, 2.0]))


@pytest.mark.parametrize("kind", ["f2", "f4", "f8", "i4", "u2"])
@pytest.mark.parametrize("variant", {v.case.name: v for v in reversed(COMPUTED)}.values(), ids=str)
def test_the_order_of_bytes_does_not_matter(variant, kind):
    arrays = variant.sample("float32")
    native = [a.astype(kind if i in floating(arrays) else a.dtype) for i, a in enumerate(arrays)]
    swapped = [a.astype(a.dtype.newbyteorder(">")) for a in native]
    with np.errstate(all="ignore"):
        found, expected = listed(variant.fn(*swapped)), listed(variant.fn(*native))
        leaves = tensors(swapped)
    for y, z in zip(found, expected, strict=True):
        assert y.dtype == z.dtype
        np.testing.assert_array_equal(y.data, z.data)
    assert all(x.dtype.isnative for x in leaves)


def test_numbers_go_to_the_type_that_is_asked_for_at_once():
    assert tensor([0.1], dtype="float64").item() == 0.1
    assert tensor(2**24 + 1, dtype="int64").item() == 2**24 + 1
    assert tensor(np.float64(0.1)).dtype == np.float64
    assert tensor(np.float64(0.1), dtype="float32").dtype == np.float32


def test_backward_starts_in_the_type_of_its_output():
    seen = []

    class Watched(Function):
        def forward(self, x):
            return x * 2

        def backward(self, gy):
            seen.append(gy.dtype)
            return gy * 2

    for seed in (np.ones(3), np.ones(3, "float16"), np.ones(3, int), tensor([1, 1, 1], "float64")):
        x = tensor([1.0, 2.0, 3.0], requires_grad=True)
        Watched()(x).backward(seed)
        assert x.grad.dtype == np.float32
        np.testing.assert_array_equal(x.grad.data, [2, 2, 2])
    assert set(seen) == {np.dtype("float32")}


def test_a_function_says_what_it_takes():
    class Same(Function):
        def forward(self, x, labels):
            return x + labels[0] * 0

    y = Same()(np.array([1, 2]), np.array([0]))
    assert y.dtype == np.float32
    Same.takes = tinygen.promotion.NUMBERS
    assert Same()(np.uint8([1, 2]), np.int8([0])).dtype == np.int64
    Same.takes = tinygen.promotion.ANY
    assert Same()(np.uint8([1, 2]), np.uint8([0])).dtype == np.uint8
    Same.takes, Same.apart = tinygen.promotion.FLOATS, (1,)
    assert Same()(np.float16([1, 2]), np.int8([0])).dtype == np.float32


def test_layers_and_whole_networks_take_images_of_bytes():
    """Of a network of float64 the bytes become float64."""
    rng = Random(0)
    network = nn.Sequential(
        nn.Conv2D(3, 4, 3, rng=rng), nn.BatchNorm(4), nn.MaxPool2D(2), nn.Flatten(), nn.Dense(36, 2)
    )
    images = np.random.default_rng(0).integers(0, 256, (2, 6, 6, 3), "uint8")
    for dtype in ("float32", "float64"):
        network.to(dtype=dtype)
        found, expected = network(images), network(images.astype(dtype))
        assert found.dtype == dtype
        np.testing.assert_array_equal(found.data, expected.data)


def test_weights_are_float32_whatever_made_them():
    """A gain of 1 / np.sqrt(fan_in) is a scalar of float64."""
    initial = lambda shape, rng: rng.normal(shape) * (1 / np.sqrt(shape[0]))  # noqa: E731
    assert nn.Dense(3, 4, initializer=initial).weight.dtype == np.float32


@every_computation
def test_arrays_and_lists_are_as_good_as_tensors(variant):
    """All inputs, or one of them."""
    arrays = variant.sample("float32")
    expected = listed(variant.fn(*tensors(arrays)))
    several = [[i] for i in range(len(arrays))] if len(arrays) > 1 else []
    for plain in [range(len(arrays)), *several]:
        for form in (np.asarray, np.ndarray.tolist):
            given = tensors(arrays)
            for i in plain:
                given[i] = form(arrays[i])
            for y, z in zip(listed(variant.fn(*given)), expected, strict=True):
                assert y.dtype == z.dtype
                np.testing.assert_array_equal(y.data, z.data)


def test_composites_take_lists_and_numbers():
    np.testing.assert_allclose(ops.softmax([[1, 2]]).data.sum(), 1, rtol=1e-6)
    assert ops.stack([1.0, 2]).data.tolist() == [1, 2]
    assert ops.astype([1.5, 2.5], "int64").data.tolist() == [1, 2]
    assert ops.mean(3).item() == 3
    x = tensor([1.0, 2.0, 3.0])
    assert x[[True, False, True]].data.tolist() == [1, 3]
    assert x[1:].data.tolist() == [2, 3]
    assert (x == [1, 2, 4]).data.tolist() == [True, True, False]
    assert (tensor(np.array([0.1])) == 0.1).item()  # as precise as the number is
    with pytest.raises(TypeError, match="cannot make a tensor of list"):
        ops.softmax([[1.0], [1.0, 2.0]])
    with pytest.raises(TypeError, match=r"cannot make a tensor of .*: give numbers"):
        ops.softmax(["a"])
