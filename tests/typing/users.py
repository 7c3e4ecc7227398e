"""What mypy sees of a user's code: what it says of a line stands behind it. It is not run."""

# ruff: noqa: F821, B018
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import wengert as wg

Array = NDArray[np.float64]


@dataclass
class Model:
    w: Array
    b: float


def loss(model: Model, x: Array, *, reg: float = 0.0) -> float:
    return float(np.sum(model.w * x)) + reg


def named(x: float, n: int) -> tuple[float, str]:
    return x * n, "name"


m, a = Model(np.zeros(2), 0.0), np.zeros(2)

reveal_type(wg.grad(loss)(m, a, reg=1.0))  # Model
reveal_type(wg.grad(loss)(m, x=a))  # Model
reveal_type(wg.value_and_grad(loss)(m, a))  # tuple[float, Model]
reveal_type(wg.grad(named, has_aux=True)(1.0, 2))  # tuple[float, str]
reveal_type(wg.value_and_grad(named, has_aux=True)(1.0, n=2))  # tuple[tuple[float, str], float]
reveal_type(wg.value_and_grad(loss, argnames="x")(model=m, x=a))  # tuple[float, Any]
reveal_type(wg.grad(loss, argnums=1)(m, a))  # Any
reveal_type(wg.jit(loss)(m, a, reg=1.0))  # float
reveal_type(wg.jit(wg.grad(loss))(m, a))  # Model
reveal_type(wg.jit(wg.value_and_grad(loss), backend="numpy")(m, a))  # tuple[float, Model]
reveal_type(wg.elementwise_grad(named)(1.0, 2))  # float
reveal_type(wg.jit(loss).cache_info().traces)  # int


@wg.jit
def decorated(x: Array) -> Array:
    return x * 2


@wg.jit(static_argnames="n")
def with_options(x: Array, n: int) -> Array:
    return x * n


reveal_type(decorated(a))  # ndarray
reveal_type(with_options(a, n=3))  # ndarray

reveal_type(wg.jacobian(decorated, format="csr"))  # MatrixFunction
reveal_type(wg.value_and_jacobian(decorated, mode="reverse")(a))  # tuple[Any, Any]
reveal_type(wg.hessian(loss, format="operator"))  # MatrixFunction
wg.jacobian(decorated, mode="backwards")  # error: No overload variant
wg.jacobian(decorated, format="sparse")  # error: No overload variant
wg.hessian(loss)(m)  # error: Too few arguments
wg.jit(loss, backend="gpu")  # error: No overload variant

wg.grad(loss)(a, a)  # error: incompatible type
wg.grad(loss)(m, a, rag=1.0)  # error: Unexpected keyword argument
wg.jit(loss)(m)  # error: Missing positional argument
wg.grad(loss(m, a))  # error: No overload variant
decorated("text")  # error: incompatible type
wg.nothing_of_this_name  # error: no attribute
