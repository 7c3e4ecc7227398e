"""How eigenvalues and singular values move, also where they are repeated.

A symmetric function of the eigenvalues w of A, such as ``sum(exp(w))``, is as smooth at repeated
ones as elsewhere, but each eigenvalue is not, and eigenvectors are not even determined there.
Written with g, its derivative in w, and C, the matrix of a direction T in the basis of the vectors,

    d A_bar = V (C * G) V^H + V diag(dg) V^H,    G_ij = (g_i - g_j) / (w_i - w_j)

is the second derivative (Daleckii and Krein, 1965). For a repeated value G is 0/0, and stands for
``dg_i/dw_i - dg_i/dw_j`` (Lewis and Sendov, *Twice differentiable spectral functions*, SIAM J.
Matrix Anal. 23, 2001), which cannot be told from g. But the basis of a repeated value may be
chosen, and C is diagonal there in one of them: then G is not asked for, and the rest holds as it
stands.

So a decomposition has, besides its vectors, a *frame*: vectors with the freedom of this choice.
`push` and `pull` below turn frames to the direction that they are given. Where a tape has already
computed with one frame and a later direction asks for another, the other one travels in the place
of the frame's tangent or cotangent, and says in which basis the (co)tangent of the values is. What
cannot be brought into one basis is NaN: directions that disagree, functions that are not symmetric,
third derivatives. Where g does not depend on the matrix (plain sums), G is 0 for equal g.

Values are taken for repeated where they are equal to rounding. For values that are merely close,
with a gap d, a second derivative has a relative error of rounding times ``|w| / d``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from wengert.ir.graph import Aval
from wengert.ops import patterns
from wengert.ops.base import ZERO, Joint, Op, Scale, dtype_of, is_differentiated, register, shape_of
from wengert.ops.control import stop_gradient
from wengert.ops.hermitian import hermitian
from wengert.ops.linalg import adjoint, real_dtype, rounding, row
from wengert.ops.rows import batch_elementwise, flops_each

__all__ = ["Framed", "Frames", "Moves", "eigen_frames", "reciprocal_gaps", "singular_frames"]


# --- which values are repeated --------------------------------------------------------------------
def near(gap: Any, w: Any) -> Any:
    """Say which differences of values are rounding errors."""
    size = np.max(np.abs(w), axis=-1, keepdims=True, initial=0.0)[..., None]
    return np.abs(gap) <= rounding(gap) * size


def separations(w: Any) -> Any:
    """Return ``w[j] - w[i]`` at [i, j], NaN for repeated values, inf on the diagonal."""
    gap = w[..., None, :] - w[..., :, None]
    close = near(gap, w)
    return np.where(np.eye(shape_of(w)[-1], dtype=bool), np.inf, np.where(close, np.nan, gap))


def reciprocal_gaps(w: Any, *, squared: bool = False) -> Any:
    """Return ``1 / (w[j] - w[i])`` at [i, j], 0 on the diagonal, NaN for repeated values.

    With `squared`, the differences are ``w[j]**2 - w[i]**2``.
    """
    right, left = w[..., None, :], w[..., :, None]
    gap = right - left
    same_place = np.eye(shape_of(w)[-1], dtype=bool)
    close = near(gap, w) & ~same_place
    if squared:
        gap = gap * (right + left)
    return np.where(
        same_place, 0, np.where(close, np.nan, 1 / np.where(same_place | close, 1, gap))
    )


def _ratio(c: Any, d: Any, gap: Any, size: Any, most: Any) -> Any:
    shape = np.broadcast_shapes(*map(np.shape, (c, d, gap, size, most)))
    with np.errstate(invalid="ignore", divide="ignore"):
        y = c * (d / gap)
    y = y if y.shape == shape else np.array(np.broadcast_to(y, shape))
    close = np.isnan(gap)
    if not close.any():
        return y
    small = np.abs(c) <= size * (float(np.finfo(y.dtype).eps) * max(10, *c.shape[-1:]))
    return np.where(close & small & (np.abs(d) <= most), 0, y).astype(y.dtype)


# c d / gap; for repeated values 0 where c is nothing beside `size` and d is not above `most`, else
# NaN.
ratio: Op = register(
    Op(
        "over_separations",
        _ratio,
        infer=lambda c, d, gap, size, most: Aval(
            np.broadcast_shapes(*map(shape_of, (c, d, gap, size, most))),
            np.result_type(dtype_of(c), dtype_of(gap)),
        ),
        derivative=Scale(
            (
                lambda t, y, c, d, gap, *_: t * (d / gap),
                lambda t, y, c, d, gap, *_: t * (c / gap),
                lambda t, y, c, d, gap, *_: -(t * (y / gap)),
                None,
                None,
            )
        ),
        batch=batch_elementwise,
        flops=flops_each(2),
        counts="multiply",
        pattern=patterns.elementwise,
        native=False,
    )
)


def _size(c: Any) -> Any:
    return np.max(np.abs(stop_gradient(c)), axis=(-2, -1), keepdims=True, initial=0.0)


class Moves(Joint):
    """``forward(y, xs, ts, **attrs)`` and ``backward(ct, y, xs, wanted, **attrs)``."""

    __slots__ = ("_backward", "_forward")

    def __init__(self, forward: Callable[..., Any], backward: Callable[..., dict[int, Any]]):
        self._forward = forward
        self._backward = backward

    def push(self, y: Any, xs: list[Any], ts: list[Any], attrs: dict[str, Any]) -> Any:
        """Return the tangent of the result."""
        return self._forward(y, xs, ts, **attrs)

    def pull(
        self, ct: Any, y: Any, xs: list[Any], wanted: list[bool], attrs: dict[str, Any]
    ) -> Any:
        """Return the cotangents of the arguments."""
        return self._backward(ct, y, xs, wanted, **attrs)


# --- frames ---------------------------------------------------------------------------------------
def _groups(w: Any) -> list[slice]:
    """Return the runs of repeated values; values are in order, up or down."""
    close = np.abs(np.diff(w)) <= _rounding(w) * np.max(np.abs(w), initial=0.0)
    found, start = [], None
    for i, both in enumerate([*close.tolist(), False]):
        if both and start is None:
            start = i
        elif not both and start is not None:
            found.append(slice(start, i + 1))
            start = None
    return found


def _has_groups(w: Any) -> bool:
    if w.shape[-1] < 2 or not w.size:
        return False
    size = np.max(np.abs(w), axis=-1, keepdims=True)
    return bool(np.any(np.abs(np.diff(w, axis=-1)) <= _rounding(w) * size))


def _rounding(w: Any) -> float:
    return float(np.finfo(w.dtype).eps) * max(10, int(w.shape[-1]))


def _each(run: Callable[..., None], w: Any, out: Any, *others: Any) -> Any:
    """Change those frames in `out` in place whose values are repeated."""
    for i in np.ndindex(w.shape[:-1]):
        groups = _groups(w[i])
        if groups:
            run(out[i], groups, *(x[i] for x in others))
    return out


class Frames:
    """What the rows of a decomposition ``a = U diag(w) V^H`` share: the derivatives by its frames.

    A frame is a matrix `f` that holds U and V, or one where they are the same. Rows are called with
    ``(a, w, v, f)`` besides what they are linear in, where `v` is the frame of the vectors that the
    user gets. All but the linear argument and `a` are data that belong to `a`.
    """

    norm = 1.0
    """What ``f^H f`` is a multiple of the identity by."""

    def __init__(self, name: str) -> None:
        self.name = name
        # real(diag(U^H t V)): the tangents of the values
        self.lengths = self._row(
            "push",
            lambda t, a, w, v, f, **_: self.diagonal(f, t),
            lambda t, a, w, *_, **__: Aval(shape_of(w), real_dtype(w)),
            Moves(self._push_lengths, self._pull_lengths),
        )
        # conj(U diag(g) V^H): the transpose of that
        self.matrix = self._row(
            "pull",
            lambda g, a, w, v, f, **_: self.spread(f, g, a),
            lambda g, a, *_, **__: Aval(shape_of(a), dtype_of(a)),
            Moves(self._push_matrix, self._pull_matrix),
        )
        # the frame in which a direction is diagonal for repeated values
        self.turned = self._row(
            "turned", self._turned, lambda w, f, t: Aval(shape_of(f), dtype_of(f)),
            Moves(lambda y, xs, ts: ts[1], lambda ct, y, xs, wanted: {1: ct}),
        )  # fmt: skip
        # the frame that came as a cotangent; NaN where several came that differ
        self.chosen = self._row(
            "chosen", self._chosen, lambda w, f, came: Aval(shape_of(f), dtype_of(f)), ZERO
        )
        # 1, or NaN where two frames differ
        self.agree = self._row(
            "agree", self._agree,
            lambda w, f, g: Aval((*shape_of(w)[:-1], 1), real_dtype(w)), ZERO,
        )  # fmt: skip

    def _row(self, name: str, evaluate: Any, infer: Any, derivative: Any) -> Op:
        def flops(out: Any, *xs: Any, **_: Any) -> int:
            *lead, m, n = max((shape_of(x) for x in xs), key=lambda s: (len(s), math.prod(s)))
            return 2 * math.prod(lead) * m * n * min(m, n)

        op = row(f"{self.name}_{name}", evaluate, infer=infer, derivative=derivative, flops=flops)
        if derivative is not ZERO:
            op.pattern = patterns.ByArgument(
                {k: patterns.within_vector if (name, k) == ("pull", 0) else patterns.within_matrix
                 for k in (0, 1, 4)}
            )  # fmt: skip
        return op

    # --- of the decomposition
    def sides(self, f: Any, like: Any) -> tuple[Any, Any]:
        """Return U and V, of a frame of matrices like another one."""
        raise NotImplementedError

    def second(self, f: Any, c: Any, g: Any, w: Any, s: Any, constant: bool) -> Any:
        """Return ``conj(d(U diag(g) V^H))`` at constant g in the direction `s`; C is `c`."""
        raise NotImplementedError

    def both(self, f: Any, t: Any, s: Any, w: Any) -> Any:
        """Return the derivative of ``real(diag(U^H t V))`` in the direction `s`."""
        raise NotImplementedError

    def direction(self, t: Any, **attrs: Any) -> Any:
        """Return what acts of a tangent of `a`."""
        return t

    def back(self, ct: Any, **attrs: Any) -> Any:
        """Return the transpose of `direction`."""
        return ct

    # --- evaluation
    def sandwich(self, f: Any, t: Any) -> Any:
        """Return ``U^H t V``."""
        u, v = self.sides(f, t)
        return adjoint(u) @ (t @ v)

    def diagonal(self, f: Any, t: Any) -> Any:
        """Return its real diagonal."""
        u, v = self.sides(f, t)
        return np.sum(np.real(np.conjugate(u) * (t @ v)), axis=-2)

    def spread(self, f: Any, g: Any, like: Any) -> Any:
        """Return ``conj(U diag(g) V^H)``."""
        u, v = self.sides(f, like)
        return np.conjugate((u * g[..., None, :]) @ adjoint(v))

    def _turned(self, w: Any, f: Any, t: Any) -> Any:
        if not _has_groups(w):
            return f.copy()
        if not np.isfinite(t).all():
            return np.full_like(f, np.nan)

        def turn(out: Any, groups: list[slice], t: Any) -> None:
            for k in groups:
                c = self.sandwich(out[:, k], t)
                out[:, k] = out[:, k] @ np.linalg.eigh(c + adjoint(c))[1]

        return _each(turn, w, f.copy(), t)

    def _chosen(self, w: Any, f: Any, came: Any) -> Any:
        if not _has_groups(w):
            return f.copy()

        def choose(out: Any, groups: list[slice], came: Any) -> None:
            for k in groups if came.any() else ():
                q = adjoint(out[:, k]) @ came[:, k] / self.norm
                product = adjoint(q) @ q
                scale = float(np.real(product[0, 0]))
                fits = np.allclose(product, scale * np.eye(len(q)), atol=scale * ROUND, rtol=0)
                out[:, k] = came[:, k] / math.sqrt(scale) if fits and scale > ROUND else np.nan

        return _each(choose, w, f.copy(), came)

    def _agree(self, w: Any, f: Any, g: Any) -> Any:
        out = np.ones((*w.shape[:-1], 1), w.dtype)

        def compare(out: Any, groups: list[slice], f: Any, g: Any) -> None:
            for k in groups:
                q = np.abs(adjoint(f[:, k]) @ g[:, k]) / self.norm
                if not np.all(q - np.diag(np.diag(q)) <= ROUND):
                    out[...] = np.nan

        return _each(compare, w, out, f, g) if _has_groups(w) else out

    # --- derivatives of the rows
    def _moved(self, s: Any, g: Any, w: Any, v: Any, f: Any, constant: bool) -> Any:
        if is_differentiated(v):  # the frame is the vectors, turned by what stays as it is
            f = v @ stop_gradient(adjoint(v) @ f / self.norm)
        return self.second(f, self.sandwich(f, s), g, w, s, constant)

    def _push_lengths(self, y: Any, xs: Any, ts: Any, **attrs: Any) -> Any:
        t, a, w, v, f = xs
        total = None if ts[0] is None else self.lengths(ts[0], a, w, v, f, **attrs)
        if ts[1] is not None:
            frame = v @ stop_gradient(adjoint(v) @ f / self.norm) if is_differentiated(v) else f
            part = self.both(frame, t, self.direction(ts[1], **attrs), w)
            if ts[4] is not None:
                part = part * self.agree(w, f, ts[4])
            total = part if total is None else total + part
        return total

    def _pull_lengths(self, ct: Any, y: Any, xs: Any, wanted: Any, **attrs: Any) -> dict[int, Any]:
        t, a, w, v, f = xs
        found: dict[int, Any] = {}
        if wanted[0]:
            same = not is_differentiated(ct)
            found[0] = self.matrix(ct, a, w, v, f, free=False, constant=same, **attrs)
        if wanted[1]:
            found[1] = self.back(self._moved(t, ct, w, v, f, False), **attrs)
        if wanted[4]:
            found[4] = f
        return found

    def _push_matrix(
        self, y: Any, xs: Any, ts: Any, *, free: bool, constant: bool, **attrs: Any
    ) -> Any:
        g, a, w, v, f = xs
        f = f if ts[4] is None else ts[4]
        total = None
        if ts[0] is not None:
            same = constant and not is_differentiated(ts[0])
            total = self.matrix(ts[0], a, w, v, f, free=False, constant=same, **attrs)
        if ts[1] is not None:
            part = self._moved(self.direction(ts[1], **attrs), g, w, v, f, constant)
            total = part if total is None else total + part
        return total

    def _pull_matrix(
        self, ct: Any, y: Any, xs: Any, wanted: Any, *, free: bool, constant: bool, **attrs: Any
    ) -> dict[int, Any]:
        g, a, w, v, f = xs
        found: dict[int, Any] = {}
        if free and wanted[0] and wanted[4]:
            found[4] = f = self.turned(w, f, ct)
        if wanted[0]:
            found[0] = self.lengths(ct, a, w, v, f, **attrs)
        if wanted[1]:
            found[1] = self.back(self._moved(ct, g, w, v, f, constant), **attrs)
        return found


def quotients(c: Any, g: Any, w: Any, constant: bool) -> Any:
    """Return ``C * G``: ``c_ij (g_i - g_j) / (w_i - w_j)``, 0 on the diagonal.

    Different g for a repeated value are those of a function that has no second derivative.
    """
    gap = separations(w)
    d = g[..., None, :] - g[..., :, None]
    size = _size(c)
    if constant:
        c = np.where(np.isnan(gap) & near(d, g), 0, c)
    return ratio(c, d, gap, size, ROUND * _size(g[..., None, :]))


def products(c: Any, s: Any, w: Any) -> Any:
    """Return the sums over j of ``2 real(conj(c_ji) s_ji) / (w_i - w_j)``."""
    z = 2 * np.real(np.conjugate(c) * s)
    size = 2 * _size(c) * _size(s)
    one = np.ones((1, 1), dtype_of(w))
    return np.sum(ratio(z, one, separations(w), size, np.inf * one), axis=-2)


ROUND = 1e-4
"""Frames that differ, and functions that are not symmetric, differ by more."""


def _half(c: Any) -> Any:
    """Return the Hermitian part."""
    return 0.5 * (c + adjoint(c))


class EigenFrames(Frames):
    """Of Hermitian matrices, of which a triangle is read."""

    def sides(self, f: Any, like: Any) -> tuple[Any, Any]:
        """U and V are the same."""
        return f, f

    def direction(self, t: Any, **attrs: Any) -> Any:
        """Return the Hermitian matrix that has the triangle."""
        return hermitian(t, transposed=False, **attrs)

    def back(self, ct: Any, **attrs: Any) -> Any:
        """Return the transpose of that."""
        return hermitian(ct, transposed=True, **attrs)

    def second(self, f: Any, c: Any, g: Any, w: Any, s: Any, constant: bool) -> Any:
        """Return ``conj(V (C * G) V^H)``."""
        return np.conjugate(f @ quotients(_half(c), g, w, constant) @ adjoint(f))

    def both(self, f: Any, t: Any, s: Any, w: Any) -> Any:
        """Return the second derivatives of the eigenvalues."""
        return products(_half(self.sandwich(f, t)), _half(self.sandwich(f, s)), w)


def _over_sums(c: Any, w: Any, kind: str = "") -> Any:
    """Return ``c_ij / (w_i + w_j)``; a skew-symmetric real matrix has nothing on its diagonal."""
    sums = w[..., None, :] + w[..., :, None]
    if (kind or dtype_of(c).kind) != "c":
        eye = np.eye(shape_of(w)[-1], dtype=bool)
        return np.where(eye, 0, c / np.where(eye, 1, sums))
    return c / sums


class SingularFrames(Frames):
    """Of any matrices, U above V.

    The Hermitian part of C meets the quotients of differences, the rest those of sums, and what
    leads out of the spaces of U and V is divided by the value itself.
    """

    norm = 2.0

    def sides(self, f: Any, like: Any) -> tuple[Any, Any]:
        """Return U and V."""
        m = shape_of(like)[-2]
        return f[..., :m, :], f[..., m:, :]

    def second(self, f: Any, c: Any, g: Any, w: Any, s: Any, constant: bool) -> Any:
        """Return ``conj(d(U diag(g) V^H))`` at constant g."""
        u, v = self.sides(f, s)
        e = _half(c)
        both = g[..., None, :] + g[..., :, None]
        inner = quotients(e, g, w, constant) + _over_sums((c - e) * both, w)
        y = u @ inner @ adjoint(v)
        m, n = shape_of(s)[-2:]
        rate = (g / w)[..., None, :]
        if m > n:
            y = y + ((s @ v - u @ c) * rate) @ adjoint(v)
        if n > m:
            y = y + (u * rate) @ adjoint(adjoint(s) @ u - v @ adjoint(c))
        return np.conjugate(y)

    def both(self, f: Any, t: Any, s: Any, w: Any) -> Any:
        """Return the second derivatives of the singular values."""
        u, v = self.sides(f, s)
        c, d = self.sandwich(f, t), self.sandwich(f, s)
        e, h = _half(c), _half(d)
        rest = _over_sums(2 * np.real(np.conjugate(c - e) * (d - h)), w, dtype_of(c).kind)
        y = products(e, h, w) + np.sum(rest, axis=-2)
        m, n = shape_of(s)[-2:]
        if m > n:
            out = np.conjugate(t @ v - u @ c) * (s @ v - u @ d)
            y = y + np.sum(np.real(out), axis=-2) / w
        if n > m:
            out = np.conjugate(adjoint(t) @ u - v @ adjoint(c)) * (adjoint(s) @ u - v @ adjoint(d))
            y = y + np.sum(np.real(out), axis=-2) / w
        return y


eigen_frames = EigenFrames("eigh")
singular_frames = SingularFrames("svd")


@dataclass(frozen=True)
class Framed(Joint):
    """The derivative of a decomposition of one matrix, whose last result is its frame.

    Parameters
    ----------
    frames : Frames
    values : int
        Which result holds the values.
    rule : callable
        ``rule(t, y, a, **attrs)``: the tangents of the results, None for the values and the frame.
    vectors : callable
        Makes a frame of the results' vectors.
    free : bool
        Whether the frame may still be turned.
    """

    frames: Frames
    values: int
    rule: Callable[..., Any]
    vectors: Callable[[Any], Any]
    free: bool = True

    def has_vectors(self, ct: Any) -> bool:
        """Whether there are cotangents of the results that `rule` is of."""
        return any(c is not None for k, c in enumerate(ct[:-1]) if k != self.values)

    def push(self, y: Any, xs: list[Any], ts: list[Any], attrs: dict[str, Any]) -> Any:
        """Return the tangents of the results, and in the frame's place the one that they are in."""
        if ts[0] is None:
            return None
        w, f = y[self.values], y[-1]
        t = self.frames.direction(ts[0], **attrs)
        if self.free:
            f = self.frames.turned(w, f, t)
        found = list(self.rule(ts[0], y, xs[0], **attrs))
        found[self.values] = self.frames.lengths(t, xs[0], w, self.vectors(y), f, **attrs)
        found[-1] = f
        return tuple(found)

    def pull(
        self, ct: Any, y: Any, xs: list[Any], wanted: list[bool], attrs: dict[str, Any]
    ) -> Any:
        """Return what the cotangent of the values adds to that of the matrix."""
        if ct[self.values] is None or not wanted[0]:
            return {}
        a, w, f = xs[0], y[self.values], y[-1]
        if self.free and ct[-1] is not None:
            f = self.frames.chosen(w, f, ct[-1])
        g = ct[self.values]
        part = self.frames.matrix(
            g, a, w, self.vectors(y), f,
            free=self.free, constant=not is_differentiated(g), **attrs,
        )  # fmt: skip
        return {0: self.frames.back(part, **attrs)}
