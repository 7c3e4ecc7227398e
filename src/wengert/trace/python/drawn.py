"""Random numbers with traced parameters: the same draw of a plain generator, moved and stretched.

``rng.normal(loc, scale)`` is ``loc + scale * rng.normal(0, 1)``: the derivative with respect to the
parameters is that at the numbers drawn (Kingma and Welling, *Auto-encoding variational Bayes*,
arXiv:1312.6114). The numbers are those that NumPy draws.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.errors import ConversionError, UnsupportedError, user_line
from wengert.ops.base import shape_of
from wengert.trace.python.table import among
from wengert.trace.tracer import Tracer

__all__ = ["drawn"]


def _size(size: Any, *parameters: Any) -> Any:
    if size is not None:
        return size
    shape = np.broadcast_shapes(*map(shape_of, parameters))
    return shape if shape else None


def _placed(name: str, default_loc: float = 0.0) -> Callable[..., Any]:
    """Stand for a distribution with ``loc`` and ``scale``."""

    def draw(rng: Any, loc: Any = default_loc, scale: Any = 1.0, size: Any = None) -> Any:
        _check(name, scale)
        return loc + scale * getattr(rng, name)(0.0, 1.0, _size(size, loc, scale))

    return draw


def _scaled(name: str) -> Callable[..., Any]:
    """Stand for a distribution with ``scale``."""

    def draw(rng: Any, scale: Any = 1.0, size: Any = None) -> Any:
        _check(name, scale)
        return scale * getattr(rng, name)(1.0, _size(size, scale))

    return draw


def _check(name: str, scale: Any) -> None:
    if bool(np.any(scale < 0)):
        raise ValueError("scale < 0" + user_line())


def _uniform(rng: Any, low: Any = 0.0, high: Any = 1.0, size: Any = None) -> Any:
    return low + (high - low) * rng.uniform(0.0, 1.0, _size(size, low, high))


def _lognormal(rng: Any, mean: Any = 0.0, sigma: Any = 1.0, size: Any = None) -> Any:
    _check("lognormal", sigma)
    return np.exp(mean + sigma * rng.normal(0.0, 1.0, _size(size, mean, sigma)))


def _gamma(rng: Any, shape: Any, scale: Any = 1.0, size: Any = None) -> Any:
    if isinstance(shape, Tracer):
        raise UnsupportedError(
            "gamma: the scale of its draws has a derivative, the shape has none. Write the "
            "derivative with wg.custom_jvp, or draw by another distribution" + user_line()
        )
    _check("gamma", scale)
    return scale * rng.standard_gamma(shape, _size(size, shape, scale))


def _weibull(rng: Any, a: Any, size: Any = None) -> Any:
    return rng.standard_exponential(_size(size, a)) ** (1.0 / a)


def _multivariate_normal(
    rng: Any, mean: Any, cov: Any, size: Any = None, *args: Any, **kwargs: Any
) -> Any:
    if isinstance(cov, Tracer):
        raise UnsupportedError(
            "multivariate_normal: the mean of its draws has a derivative, the covariance has none. "
            "Write mean + np.linalg.cholesky(cov) @ rng.normal(size=n)" + user_line()
        )
    zero = np.zeros(shape_of(mean))
    return mean + rng.multivariate_normal(zero, cov, size, *args, **kwargs)


def _permutation(rng: Any, x: Any, axis: int = 0) -> Any:
    if axis or len(shape_of(x)) != 1:
        raise UnsupportedError(
            "permutation of a traced array of several axes: write x[rng.permutation(len(x))]"
            + user_line()
        )
    return x[rng.permutation(shape_of(x)[0])]


def _choice(rng: Any, a: Any, size: Any = None, replace: bool = True, p: Any = None,
            *args: Any, **kwargs: Any) -> Any:  # fmt: skip
    if isinstance(p, Tracer) or not shape_of(a):
        raise UnsupportedError(
            "choice: what is chosen has a derivative, the probabilities have none" + user_line()
        )
    return a[rng.choice(shape_of(a)[0], size, replace, p, *args, **kwargs)]


_DRAWS: dict[str, Callable[..., Any]] = {
    "normal": _placed("normal"), "laplace": _placed("laplace"), "logistic": _placed("logistic"),
    "gumbel": _placed("gumbel"), "exponential": _scaled("exponential"),
    "rayleigh": _scaled("rayleigh"), "uniform": _uniform, "lognormal": _lognormal,
    "gamma": _gamma, "weibull": _weibull, "multivariate_normal": _multivariate_normal,
    "permutation": _permutation, "choice": _choice,
}  # fmt: skip


def drawn(f: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Draw by a bound method of a generator, where a traced value is among its arguments."""
    name = f.__name__
    made = _DRAWS.get(name)
    if made is None:
        if name == "shuffle":
            return f(*args, **kwargs)
        raise ConversionError(
            f"numpy.random: the draws of {name} have no derivative with respect to its "
            f"parameters. Draw with plain ones, {name}(wg.stop_gradient(x)), or by the inverse of "
            f"its distribution; derivatives of {', '.join(sorted(_DRAWS))} are known" + user_line()
        )
    if among(tuple(kwargs.get(k) for k in ("size", "out")), {}) is not None:
        raise ConversionError(f"numpy.random: the size of {name} is traced" + user_line())
    return made(f.__self__, *args, **kwargs)
