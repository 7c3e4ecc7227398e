"""Options are checked when a function is made, before anything is done with them."""

from __future__ import annotations

import numpy as np
import pytest

import wengert as wg
from wengert.errors import InputError, WengertError

X = np.array([1.0, 2.0])


def f(x):
    return np.sum(x**2)


JIT = [
    *({"static_argnums": n} for n in (7, -3, "0", 1.5, True, (0, 0), [0, None], None)),
    *({"static_argnames": n} for n in ("unknown", 3, None, [1], ("x", 2))),
    *({"backend": b} for b in ("nonsense", "", 3, True, b"native")),
    *({"memory_budget": b} for b in (-1, "12 apples", "", True, [1])),
    *({"max_specialisations": n} for n in (0, -1, 1.5, "64", None, True)),
    *({"fastmath": b} for b in (1, "yes", None)),
    *({"unknown": 1}, {"static_argnum": 0}),
]
MADE = {
    "a function": lambda: f,
    "a gradient": lambda: wg.grad(f),
    "a jitted function": lambda: wg.jit(f),
    "a sparse Jacobian": lambda: wg.jacobian(f, format="csr"),
    "a sparse Hessian": lambda: wg.hessian(f, sparsity="auto"),
}


@pytest.mark.parametrize("made", list(MADE))
@pytest.mark.parametrize("options", JIT, ids=str)
def test_jit(options, made):
    with pytest.raises(TypeError):
        wg.jit(MADE[made](), **options)


def test_a_renamed_option_raises_with_its_present_name():
    with pytest.raises(InputError, match=r"jit: limit= is now max_specialisations=; write"):
        wg.jit(f, limit=3)
    with pytest.raises(InputError, match=r"jit: there is no option limits="):
        wg.jit(limits=3)


@pytest.mark.parametrize(
    "options",
    [{"memory_budget": 1}, {"memory_budget": "1MiB"}, {"backend": "numpy"},
     {"max_specialisations": 3}, {"fastmath": True}, {"static_argnums": 0},
     {"static_argnames": "x"}],
    ids=str,
)  # fmt: skip
def test_options_without_effect_on_a_sparse_matrix(options):
    with pytest.raises(WengertError):
        wg.jit(wg.jacobian(lambda x: x**2, format="csr"), **options)


def test_a_sparse_matrix_compiles_itself():
    made = wg.jacobian(lambda x: x**2, format="csr")
    assert wg.jit(made) is made
    assert wg.jit(made, backend="native") is made


DERIVATIVES = {
    wg.grad: ("argnums", "has_aux", "holomorphic"),
    wg.value_and_grad: ("argnums", "has_aux", "holomorphic"),
    wg.jacfwd: ("argnums", "has_aux"),
    wg.jacrev: ("argnums", "has_aux"),
    wg.jacobian: ("argnums", "has_aux", "mode", "format", "sparsity", "chunk_size", "probe"),
    wg.hessian: ("argnums", "mode", "format", "sparsity", "chunk_size", "probe"),
    wg.value_and_jacobian: ("argnums", "mode", "format", "sparsity", "chunk_size", "probe"),
    wg.laplacian: ("argnums", "chunk_size"),
    wg.hessian_diagonal: ("argnums", "chunk_size"),
}
WRONG = {
    "argnums": ("x", 1.5, True, None, (0, 0), [0, "x"], {0: 1.5}.values()),
    "has_aux": (3, "yes", None),
    "holomorphic": (3, "yes", None),
    "mode": ("sideways", 3, None, ["auto"]),
    "format": ("dens", None, 3, ["csr"]),
    "sparsity": ("yes", 3, [[1]], np.ones(3)),
    "chunk_size": (0, -1, 2.0, True, "2"),
    "probe": (2, "no", None),
}
CASES = [(made, k, x) for made, names in DERIVATIVES.items() for k in names for x in WRONG[k]]


@pytest.mark.parametrize(
    ("made", "option", "x"), CASES, ids=[f"{m.__name__}-{k}-{x}" for m, k, x in CASES]
)
def test_derivatives(made, option, x):
    with pytest.raises(TypeError):
        made(f, **{option: x})


@pytest.mark.parametrize(
    "options",
    [{"format": "operator", "sparsity": "auto"}, {"format": "operator", "mode": "reverse"},
     {"format": "operator", "chunk_size": 3}, {"format": "operator", "probe": False},
     {"probe": False}, {"mode": "both"}],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("made", [wg.jacobian, wg.hessian, wg.value_and_jacobian])
def test_options_that_mean_nothing_together(made, options):
    with pytest.raises(InputError):
        made(f, **options)


TAKE_A_FUNCTION = {
    **{m.__name__: m for m in DERIVATIVES},
    "jit": wg.jit,
    "vmap": wg.vmap,
    "checkpoint": wg.checkpoint,
    "custom_jvp": wg.custom_jvp,
    "custom_vjp": wg.custom_vjp,
    "vjp": lambda g: wg.vjp(g, X),
    "jvp": lambda g: wg.jvp(g, (X,), (X,)),
    "hvp": lambda g: wg.hvp(g, (X,), (X,)),
    "linearize": lambda g: wg.linearize(g, X),
}


@pytest.mark.parametrize("name", list(TAKE_A_FUNCTION))
@pytest.mark.parametrize("g", [3.0, X, "f", [f]], ids=lambda g: type(g).__name__)
def test_what_is_no_function(name, g):
    with pytest.raises(InputError, match="takes a function"):
        TAKE_A_FUNCTION[name](g)


PIECEWISE = {
    "a comparison": lambda x: np.sum(x) > 1,
    "argmax": np.argmax,
    "an int": lambda x: 3,
    "a bool": lambda x: True,
    "rounded": lambda x: np.sum(x).astype(int),
    "a count": np.count_nonzero,
}
ARRAYS = {
    "a mask": lambda x: x > 1,
    "argsort": np.argsort,
    "beside floats": lambda x: (x, np.argmax(x)),
}
SCALAR = {
    "grad": wg.grad,
    "jit grad": lambda g: wg.jit(wg.grad(g)),
    "value_and_grad": wg.value_and_grad,
    "hessian": wg.hessian,
    "sparse hessian": lambda g: wg.hessian(g, format="csr"),
    "hessian operator": lambda g: wg.hessian(g, format="operator"),
    "hvp": lambda g: lambda x: wg.hvp(g, (x,), (x,)),
}
ANY = {
    "jacobian": wg.jacobian,
    "jit jacobian": lambda g: wg.jit(wg.jacobian(g)),
    "jacfwd": wg.jacfwd,
    "jacrev": wg.jacrev,
    "csr": lambda g: wg.jacobian(g, format="csr"),
    "coloured": lambda g: wg.jacobian(g, format="csr", mode="reverse"),
    "detected": lambda g: wg.jacobian(g, sparsity="auto"),
    "value_and_jacobian": wg.value_and_jacobian,
    "sparse value_and_jacobian": lambda g: wg.value_and_jacobian(g, format="csc"),
    "operator": lambda g: wg.jacobian(g, format="operator"),
    "laplacian": wg.laplacian,
    "jit laplacian": lambda g: wg.jit(wg.laplacian(g)),
    "hessian_diagonal": wg.hessian_diagonal,
}


@pytest.mark.parametrize("how", [*SCALAR, *ANY])
@pytest.mark.parametrize("name", list(PIECEWISE))
def test_results_without_derivative(name, how):
    with pytest.raises(InputError, match="no derivative"):
        {**SCALAR, **ANY}[how](PIECEWISE[name])(X)


@pytest.mark.parametrize("how", list(ANY))
@pytest.mark.parametrize("name", list(ARRAYS))
def test_arrays_without_derivative(name, how):
    with pytest.raises(InputError, match="no derivative"):
        ANY[how](ARRAYS[name])(X)


def test_they_may_stand_beside_the_result():
    g, aux = wg.grad(lambda x: (np.sum(x**2), (np.argmax(x), x > 1)), has_aux=True)(X)
    assert g.tolist() == [2, 4]
    assert aux[0] == 1
    assert aux[1].tolist() == [False, True]
