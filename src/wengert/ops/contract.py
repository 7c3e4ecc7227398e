"""The contraction of two arrays over shared labels: matmul, dot, tensordot, einsum and kin.

``contract(a, b, spec="ij,jk->ik")``. Each label stands at most once in each operand, every label of
the result is in an operand, and every label of an operand is in the other operand or the result
(sums and diagonals of a single operand are taken before). Its transposes are contractions again:
``a`` gets ``contract(ct, b, spec="ik,jk->ij")``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from wengert.ir.graph import Aval
from wengert.ops import patterns
from wengert.ops.base import Op, Transpose, dtype_of, register, shape_of

__all__ = ["LABELS", "contract", "fresh_label"]

LABELS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


@lru_cache(maxsize=4096)
def _terms(spec: str) -> tuple[str, str, str]:
    operands, result = spec.split("->")
    a, b = operands.split(",")
    return a, b, result


def fresh_label(spec: str) -> str:
    """Return a label that `spec` does not use."""
    return next(s for s in LABELS if s not in spec)


def _permute(x: Any, have: str, want: str) -> Any:
    return x if have == want else x.transpose([have.index(s) for s in want])


@lru_cache(maxsize=4096)
def _evaluator(spec: str) -> Callable[[Any, Any], Any]:
    """Choose the BLAS call for a contraction: labels batched, contracted, and free in each."""
    a, b, out = _terms(spec)
    shared = [s for s in a if s in b]
    batch = "".join(s for s in out if s in shared)
    summed = "".join(s for s in shared if s not in out)
    free_a = "".join(s for s in out if s in a and s not in b)
    free_b = "".join(s for s in out if s in b and s not in a)
    if not summed:
        return _outer(a, b, out)
    if not batch:
        if len(a) <= 2 and len(b) <= 2 and len(summed) == 1:
            return _plain(a, b, out, summed)
        return _flattened(a, b, out, summed, free_a, free_b)
    return _batched(a, b, out, batch, summed, free_a, free_b)


def _outer(a: str, b: str, out: str) -> Callable[[Any, Any], Any]:
    """Multiply elementwise, with axes of length 1 for missing labels."""

    def run(x: Any, y: Any) -> Any:
        x = _permute(x, a, "".join(s for s in out if s in a))
        y = _permute(y, b, "".join(s for s in out if s in b))
        x = x[tuple(slice(None) if s in a else None for s in out)]
        y = y[tuple(slice(None) if s in b else None for s in out)]
        return x * y

    return run


def _plain(a: str, b: str, out: str, summed: str) -> Callable[[Any, Any], Any]:
    """Vectors and matrices: one call of ``dot`` with transposes as views."""
    flip_a = len(a) == 2 and a[0] == summed
    flip_b = len(b) == 2 and b[1] == summed
    rest = a.replace(summed, "") + b.replace(summed, "")
    dot = np.dot
    if rest != out:  # result wanted transposed: swap the operands
        if flip_a and flip_b:
            return lambda x, y: dot(y, x)
        if flip_a:
            return lambda x, y: dot(y.T, x)
        if flip_b:
            return lambda x, y: dot(y, x.T)
        return lambda x, y: dot(y.T, x.T)
    if flip_a and flip_b:
        return lambda x, y: dot(x.T, y.T)
    if flip_a:
        return lambda x, y: dot(x.T, y)
    if flip_b:
        return lambda x, y: dot(x, y.T)
    return dot


def _flattened(
    a: str, b: str, out: str, summed: str, free_a: str, free_b: str
) -> Callable[[Any, Any], Any]:
    """No batch labels: reshape to one matrix product."""

    def run(x: Any, y: Any) -> Any:
        x = _permute(x, a, free_a + summed)
        y = _permute(y, b, summed + free_b)
        m, n = x.shape[: len(free_a)], y.shape[len(summed) :]
        k = math.prod(y.shape[: len(summed)])
        z = np.dot(x.reshape(math.prod(m), k), y.reshape(k, math.prod(n)))
        z = _permute(z.reshape(m + n), free_a + free_b, out)
        return z if out else z[()]

    return run


def _batched(
    a: str, b: str, out: str, batch: str, summed: str, free_a: str, free_b: str
) -> Callable[[Any, Any], Any]:
    """Batch labels lead; `matmul` loops over them."""

    def run(x: Any, y: Any) -> Any:
        x = _permute(x, a, batch + free_a + summed)
        y = _permute(y, b, batch + summed + free_b)
        nb = len(batch)
        lead, m, n = x.shape[:nb], x.shape[nb : nb + len(free_a)], y.shape[nb + len(summed) :]
        k = math.prod(x.shape[nb + len(free_a) :])
        p, q = math.prod(m), math.prod(n)
        x, y = x.reshape(*lead, p, k), y.reshape(*lead, k, q)
        if p == 1 and q == 1:
            z = np.einsum("...ik,...ki->...", x, y)
        else:
            z = np.matmul(x, y)
        return _permute(z.reshape(lead + m + n), batch + free_a + free_b, out)

    return run


def _contract(a: Any, b: Any, *, spec: str) -> Any:
    return _evaluator(spec)(a, b)


def _infer(a: Any, b: Any, *, spec: str) -> Aval:
    ta, tb, out = _terms(spec)
    sizes = dict(zip(ta + tb, (*shape_of(a), *shape_of(b)), strict=True))
    return Aval(tuple(sizes[s] for s in out), np.result_type(dtype_of(a), dtype_of(b)))


@lru_cache(maxsize=4096)
def _transposed(spec: str, k: int) -> str:
    a, b, out = _terms(spec)
    return f"{out},{b}->{a}" if k == 0 else f"{out},{a}->{b}"


def _batch(op: Op, args: Any, batched: Any, attrs: dict[str, Any]) -> Any:
    a, b, out = _terms(attrs["spec"])
    s = fresh_label(attrs["spec"])
    terms = [s + t if is_b else t for t, is_b in zip((a, b), batched, strict=True)]
    return op(*args, spec=f"{terms[0]},{terms[1]}->{s}{out}")


def _flops(out: Any, a: Any, b: Any, *, spec: str) -> int:
    """Count a multiply and an add per summed term; one multiply where nothing is summed."""
    ta, tb, result = _terms(spec)
    sizes = dict(zip(ta + tb, (*shape_of(a), *shape_of(b)), strict=True))
    products = math.prod(sizes.values())
    return 2 * products if any(n > 1 for s, n in sizes.items() if s not in result) else products


def _counts(n: int, out: Aval, a: Aval, b: Aval) -> dict[str, int]:
    """Count products only where nothing is summed."""
    return {"multiply": n} if n == out.size else {"multiply": n // 2, "add": n // 2}


contract: Op = register(
    Op(
        "contract",
        _contract,
        infer=_infer,
        derivative=Transpose(
            (
                lambda ct, a, b, *, spec: contract(ct, b, spec=_transposed(spec, 0)),
                lambda ct, a, b, *, spec: contract(ct, a, spec=_transposed(spec, 1)),
            )
        ),
        batch=_batch,
        flops=_flops,
        counts=_counts,
        macs=True,
        pattern=patterns.contraction,
        may_raise=False,
        waits=True,
    )
)
