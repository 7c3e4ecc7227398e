"""What may be an argument or an operand: data, a part of the program, or a refusal by name."""

from __future__ import annotations

import array
import decimal
import enum
import fractions

import numpy as np
import pytest
import scipy.sparse as sps

import wengert as wg
from wengert.errors import InputError
from wengert.ops.leaves import is_data, refusal

X = np.array([1.0, 2.0, 3.0])


class Quantity(np.ndarray):
    pass


class Level(enum.IntEnum):
    LOW = 1


class Real(float):
    pass


class WithArray:
    """An array of another library: pandas', PyTorch's."""

    def __array__(self, dtype=None, copy=None):
        return np.ones(3)

    def __mul__(self, other):
        return np.asarray(self) * np.asarray(other)

    __rmul__ = __add__ = __radd__ = __mul__


class WithInterface:
    def __init__(self):
        self.__array_interface__ = np.ones(3).__array_interface__


class WithDLPack:
    def __dlpack__(self, **_):
        return np.ones(3).__dlpack__()

    def __dlpack_device__(self):
        return np.ones(3).__dlpack_device__()


class WithUfunc(np.lib.mixins.NDArrayOperatorsMixin):
    """Does not handle what is not its own."""

    def __array_ufunc__(self, *_, **__):
        return NotImplemented


REFUSED = {
    "masked": (np.ma.array(X, mask=[0, 1, 0]), "m.filled"),
    "masked without mask": (np.ma.array(X), "m.filled"),
    "matrix": (np.ones((3, 3)).view(np.matrix), "np.asarray"),
    "subclass": (X.view(Quantity), "np.asarray"),
    "recarray": (np.rec.array([(1.0, 2.0)] * 3, dtype=[("a", float), ("b", float)]), "x['field']"),
    "fields": (np.zeros(3, [("a", float)]), "x['field']"),
    "objects": (np.array([1, 2, 3], object), "astype"),
    "__array__": (WithArray(), "np.asarray"),
    "__array_interface__": (WithInterface(), "np.asarray"),
    "__dlpack__": (WithDLPack(), "np.from_dlpack"),
    "__array_ufunc__": (WithUfunc(), "np.asarray"),
    "csr_array": (sps.csr_array(np.eye(3)), "constant from outside"),
    "csc_matrix": (sps.csc_matrix(np.eye(3)), "constant from outside"),
}

EVERYWHERE = {
    "jit": lambda f, a: wg.jit(f)(a),
    "jit, in a list": lambda f, a: wg.jit(lambda t: f(t[0]))([a]),
    "jit, keyword": lambda f, a: wg.jit(lambda *, k: f(k))(k=a),
    "grad": lambda f, a: wg.grad(lambda t: np.sum(f(t)))(a),
    "grad, in a dict": lambda f, a: wg.grad(lambda t: np.sum(f(t["a"])))({"a": a}),
    "jit grad": lambda f, a: wg.jit(wg.grad(lambda t: np.sum(f(t))))(a),
    "jacobian": lambda f, a: wg.jacobian(f)(a),
    "csr": lambda f, a: wg.jacobian(f, format="csr")(a),
    "operator": lambda f, a: wg.jacobian(f, format="operator")(a),
    "hessian": lambda f, a: wg.hessian(lambda t: np.sum(f(t)))(a),
    "jvp": lambda f, a: wg.jvp(f, (a,), (a,), allow_int=True),
    "vjp": lambda f, a: wg.vjp(f, a, allow_int=True),
    "linearize": lambda f, a: wg.linearize(f, a, allow_int=True),
    "vmap": lambda f, a: wg.vmap(f)(a),
}


@pytest.mark.parametrize("where", list(EVERYWHERE))
@pytest.mark.parametrize("name", list(REFUSED))
def test_refused_arguments(name, where):
    x, instead = REFUSED[name]
    with pytest.raises(InputError) as info:
        EVERYWHERE[where](lambda t: t * 2.0, x)
    assert instead in str(info.value)


OPERANDS = {
    "x * a": lambda x, a: x * a,
    "a * x": lambda x, a: a * x,
    "x + a": lambda x, a: x + a,
    "a + x": lambda x, a: a + x,
    "multiply(x, a)": np.multiply,
    "multiply(a, x)": lambda x, a: np.multiply(a, x),
    "x @ a": lambda x, a: x @ a,
    "a @ x": lambda x, a: a @ x,
    "where": lambda x, a: np.where(x > 1, x, a),
    "maximum": lambda x, a: np.maximum(a, x),
    "concatenate": lambda x, a: np.concatenate([x, a]),
    "dot": lambda x, a: np.dot(a, x),
    "einsum": lambda x, a: np.einsum("i,i", x, a),
    "x[:] = a": lambda x, a: (x * 1.0).__setitem__(slice(None), a),
    "x += a": lambda x, a: (x * 1.0).__iadd__(a),
    "average": lambda x, a: np.average(x, weights=a),
    "x > a": lambda x, a: x > a,
    "full_like": lambda x, a: np.full_like(x, a) * x,
}


@pytest.mark.parametrize("how", list(OPERANDS))
@pytest.mark.parametrize("name", list(REFUSED))
@pytest.mark.parametrize("compiled", [False, True])
def test_refused_operands(name, how, compiled):
    a = REFUSED[name][0]
    if sps.issparse(a) and ("@" in how or ("*" in how and name.endswith("matrix"))):
        return  # tests/trace/test_sparse.py has these
    if name == "__dlpack__" and how != "full_like":
        return  # see test_memory_that_is_shared_by_dlpack_is_an_array
    if name == "__array__" and how in ("a * x", "a + x"):
        f = lambda x: np.sum(OPERANDS[how](x, a))  # noqa: E731
        np.testing.assert_array_equal(wg.grad(f)(X), np.ones(3))  # its own method is followed
        return
    run = wg.jit if compiled else (lambda f: f)
    with pytest.raises(TypeError):
        run(wg.grad(lambda x: np.sum(OPERANDS[how](x, a))))(X)


@pytest.mark.parametrize("how", [k for k in OPERANDS if k not in ("full_like", "x[:] = a")])
def test_memory_that_is_shared_by_dlpack_is_an_array(how):
    a = WithDLPack()
    for run in (lambda f: f, wg.jit):
        got = run(wg.grad(lambda x: np.sum(OPERANDS[how](x, a)) + np.sum(x)))(X)
        wanted = wg.grad(lambda x: np.sum(OPERANDS[how](x, np.ones(3))) + np.sum(x))(X)
        np.testing.assert_array_equal(got, wanted)


def test_objects_with_operators_of_their_own_decide():
    class Scale:
        """No array: NumPy leaves ``x * scale`` to it."""

        __array_ufunc__ = None

        def __mul__(self, x):
            return 3.0 * x

        __rmul__ = __mul__

    class Unit:
        """NumPy leaves ``x * unit`` to it, because of its priority."""

        __array_priority__ = 5.0

        def __array__(self, dtype=None, copy=None):
            raise AssertionError("it is not asked for an array")

        def __rmul__(self, x):
            return 3.0 * x

    class Labelled:
        """NumPy leaves its functions to it."""

        def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
            numbers = [3.0 if isinstance(x, Labelled) else x for x in inputs]
            return getattr(ufunc, method)(*numbers, **kwargs)

        def __rmul__(self, x):
            return np.multiply(x, self)

    for f in (
        *(lambda x: Scale() * x, lambda x: x * Scale(), lambda x: x * Unit()),
        *(lambda x: x * Labelled(), lambda x: np.multiply(x, Labelled())),
        lambda x: np.multiply(Labelled(), x),
    ):
        assert wg.grad(lambda x, f=f: np.sum(f(x)))(X).tolist() == [3, 3, 3]
        assert wg.jit(wg.grad(lambda x, f=f: np.sum(f(x))))(X).tolist() == [3, 3, 3]


def test_memory_mapped_files_are_arrays(tmp_path):
    m = np.memmap(tmp_path / "x", dtype=float, mode="w+", shape=3)
    m[:] = X
    assert wg.grad(lambda x: np.sum(x**2))(m).tolist() == [2, 4, 6]
    assert wg.jit(wg.grad(lambda x: np.sum(x**2)))(m).tolist() == [2, 4, 6]
    double = wg.jit(lambda x: np.sum(m * x) + np.sum(np.where(m > 0, m, x)))
    assert double(X) == 14 + 6
    m[:] = 1.0
    assert double(X) == 6 + 3
    assert wg.vmap(lambda x: x * m)(np.eye(3)).tolist() == np.eye(3).tolist()


def test_text_and_dates_are_part_of_the_program():
    labels = np.array(["a", "b", "a"])
    chosen = wg.jit(lambda s, x: x[s == "a"])
    assert chosen(labels, X).tolist() == [1, 3]
    labels[0] = "b"
    assert chosen(labels, X).tolist() == [3]
    days = np.array(["2020-01-01", "2020-01-03"], "M8[D]")
    since = wg.jit(lambda d, x: (d - d[0]) / np.timedelta64(1, "D") * x)
    assert since(days, 2.0).tolist() == [0, 4]
    days[1] += 1
    assert since(days, 2.0).tolist() == [0, 6]


FIXED = [
    None, "text", b"bytes", Level.LOW, Real(2.0), decimal.Decimal(2), fractions.Fraction(1, 2),
    frozenset({1}), range(3), slice(1), np.sin, len, int, np.ndarray, np.dtype(float), np.str_("a"),
    array.array("d", [1.0]), object(),
]  # fmt: skip


@pytest.mark.parametrize("x", FIXED, ids=lambda x: type(x).__name__)
def test_fixed(x):
    assert not is_data(x)
    assert refusal(x) == ""


@pytest.mark.parametrize(
    "x", [1, 1.0, True, 1j, np.float32(1), np.int8(1), np.bool_(1), X, X > 1, X.astype("f2")]
)
def test_data(x):
    assert is_data(x)


def test_objects_among_differentiated_arguments():
    with pytest.raises(InputError, match="is a object"):
        wg.grad(lambda x: 1.0)(object())
    with pytest.raises(InputError, match="holds a object"):
        wg.vjp(lambda x, o: x, X, object())


class Own:
    """An operand that NumPy leaves the operators to."""

    __array_ufunc__ = None

    def __rmul__(self, other):
        return other * 2.0

    def __radd__(self, other):
        return other + 3.0

    def __rmatmul__(self, other):
        return np.sum(other) * 4.0

    __mul__ = __rmul__


LEFT_TO = {
    "x * own": (lambda x: x * Own(), 2.0), "own * x": (lambda x: Own() * x, 2.0),
    "x + own": (lambda x: x + Own(), 1.0), "x @ own": (lambda x: x @ Own(), 4.0),
}  # fmt: skip


@pytest.mark.parametrize("how", LEFT_TO)
@pytest.mark.parametrize("wrap", [lambda f: f, wg.jit], ids=["eager", "jit"])
def test_operands_that_numpy_leaves_the_operator_to(how, wrap):
    f, slope = LEFT_TO[how]
    value, g = wrap(wg.value_and_grad(lambda x: np.sum(f(x))))(X)
    np.testing.assert_allclose(value, np.sum(f(X)))
    np.testing.assert_allclose(g, np.full(X.shape, slope))


@pytest.mark.parametrize(
    "x", ["text", b"bytes", decimal.Decimal(2), object()], ids=lambda x: type(x).__name__
)
@pytest.mark.parametrize(
    "ask",
    [
        lambda x: wg.grad(lambda x: 1.0)(x),
        lambda x: wg.jacobian(lambda x: X)([X, x]),
        lambda x: wg.jvp(lambda x: X, ([X, x],), ([X, x],)),
        lambda x: wg.vmap(lambda x: X)([X, x]),
    ],
    ids=["grad", "jacobian", "jvp", "vmap"],
)
def test_what_is_part_of_the_program_is_not_differentiated(ask, x):
    with pytest.raises(InputError, match=f"takes arrays and numbers.* a {type(x).__name__}"):
        ask(x)
