"""What to say of a traced value that was turned into a plain array or number.

The message names what was called, as the user wrote it, and what to write in its place. `INSTEAD`
has a line for each function, or family of functions, that people call.
"""

from __future__ import annotations

from typing import Any

from wengert.errors import Called, ConversionError, called, user_line

__all__ = ["INSTEAD", "array_refused", "instead", "number_refused", "refused_by"]

_IMPLICIT = (
    "solve outside of the derivative, and give the derivative of the solution by wg.custom_jvp or "
    "wg.custom_vjp (implicit function theorem)"
)
_STEPS = "write the steps with NumPy, in a Python loop or wg.scan"

INSTEAD: dict[str, str] = {
    "math": "use the NumPy function (np.sin(x) instead of math.sin(x))",
    "cmath": "use the NumPy function (np.exp(x) instead of cmath.exp(x))",
    "statistics": "use np.mean, np.median, np.var(ddof=1), np.std(ddof=1)",
    "decimal": "compute in floats: a Decimal has no derivative",
    "fractions": "compute in floats: a Fraction has no derivative",
    "numpy.polynomial": "evaluate with np.polyval, or the sums of coefficients times np.vander",
    "json": "return the numbers, and write them outside of the derivative",
    "pickle": "return the numbers, and write them outside of the derivative",
    "memoryview": "compute with the array itself",
    "float": "compute with the value that the text was made of",
    "struct": "return the numbers, and write them outside of the derivative",
    "array.array": "use a NumPy array, np.zeros(n, like=x), or a list",
    "numpy.save": "return the array, and save it outside of the derivative",
    "numpy.savez": "return the array, and save it outside of the derivative",
    "numpy.savetxt": "return the array, and save it outside of the derivative",
    "numpy.nditer": "iterate over np.ndindex(x.shape) and read x[i]",
    "numpy.ndenumerate": "iterate over np.ndindex(x.shape) and read x[i]",
    "numpy.ma": "keep the mask as an array of its own: np.where(mask, 0.0, x)",
    "numpy.matrix": "write arrays of two axes, and A @ B for the product",
    "numpy.bmat": "use np.block",
    "numpy.kaiser": "write np.i0(beta * np.sqrt(1 - t**2)) / np.i0(beta)",
    "numpy.random": "draw plain numbers z, and compute with them: loc + scale * z, "
    "-scale * np.log(u)",
    "numpy.sort_complex": "use np.sort",
    "numpy.frompyfunc": "call the function on arrays, or use np.vectorize",
    "scipy.special.softmax": "write e = np.exp(x - np.max(x)); e / np.sum(e)",
    "scipy.special.log_softmax": "write x - np.logaddexp.reduce(x)",
    "scipy.special.logsumexp": "write np.logaddexp.reduce(x)",
    "scipy.special.zeta": "write scipy.special.zeta(x, 1.0)",
    "scipy.special.beta": "write np.exp(gammaln(a) + gammaln(b) - gammaln(a + b))",
    "scipy.special.betaln": "write gammaln(a) + gammaln(b) - gammaln(a + b)",
    "scipy.special.binom": "write np.exp(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))",
    "scipy.special.comb": "write np.exp(gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1))",
    "scipy.special.factorial": "write scipy.special.gamma(n + 1)",
    "scipy.special.loggamma": "write scipy.special.gammaln(x)",
    "scipy.special.digamma": "write scipy.special.psi(x)",
    "scipy.special.kve": "write its integral or series, or use iv and jv, which have derivatives",
    "scipy.special": "write it with the functions of scipy.special that are listed there",
    "scipy.stats": "write its formula with NumPy and scipy.special: the logarithm of a normal "
    "density is -((x - m) / s)**2 / 2 - np.log(s) - np.log(2 * np.pi) / 2",
    "scipy.integrate.quad": "sum the integrand at fixed nodes (np.polynomial.legendre.leggauss, "
    "np.trapezoid)",
    "scipy.integrate": _STEPS,
    "scipy.optimize.curve_fit": _IMPLICIT,
    "scipy.optimize": _IMPLICIT,
    "scipy.linalg.expm": "give its derivative by wg.custom_jvp with scipy.linalg.expm_frechet, or "
    "use np.linalg.eigh of a symmetric matrix",
    "scipy.linalg": "use np.linalg, whose solve, cholesky, eigh, svd, det, inv, lstsq and qr have "
    "derivatives",
    "scipy.fft": "use np.fft",
    "scipy.fftpack": "use np.fft",
    "scipy.signal.convolve": "use np.convolve",
    "scipy.signal.fftconvolve": "use np.convolve",
    "scipy.signal.correlate": "use np.correlate",
    "scipy.signal": f"use np.convolve and np.fft, or {_STEPS}",
    "scipy.ndimage": "use np.convolve, or sums of shifted slices",
    "scipy.interpolate.interp1d": "use np.interp",
    "scipy.interpolate": "use np.interp, or solve for the coefficients with np.linalg.solve and "
    "evaluate the pieces with np.searchsorted",
    "scipy.spatial": "write the distances: np.sqrt(np.sum((a[:, None] - b) ** 2, axis=-1))",
    "scipy.sparse.linalg": "solve with spsolve, splu(A).solve, cg, gmres or their kin, which take "
    "a traced right-hand side, and constants otherwise",
    "scipy.sparse": "build the sparse matrix from plain numbers, and multiply A @ x; for traced "
    "entries a, np.add.at(y, rows, a * x[columns])",
    "pandas.Series.rolling": "compute with NumPy: np.convolve(y.to_numpy(), np.ones(n) / n, "
    "'valid')",
    "pandas": "compute with NumPy: y.to_numpy() is the array of a Series, traced or not",
    "xarray": "compute with NumPy: da.data is the array of a DataArray, traced or not",
    "torch": "compute with NumPy, or let torch have the derivative by wg.custom_vjp",
    "jax": "compute with NumPy, or let JAX have the derivative by wg.custom_vjp",
    "sklearn": "write the model with NumPy: its fitted coefficients are plain arrays",
    "numba": "call the function without numba.njit: f.py_func",
}
"""What to write instead of a function; of two names that fit, the longer one counts."""

_STOP = "take the value out of the derivative with wg.stop_gradient(x)"
_COLLECT = "collect values with np.stack([...])"
_CUSTOM = "give the function its derivative with wg.custom_jvp"


def instead(name: str) -> str:
    """Return what to write in the place of a function of this dotted name, or nothing."""
    parts = name.split(".")
    for n in range(len(parts), 0, -1):
        found = INSTEAD.get(".".join(parts[:n]))
        if found is not None:
            return found
    return ""


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."


def _advised(what: str, *ways: str) -> str:
    ways = tuple(way for way in ways if way)
    sentence = ways[0] if len(ways) == 1 else ", ".join(ways[:-1]) + f", or {ways[-1]}"
    return f"{what} {sentence[0].upper()}{sentence[1:]}." + user_line()


def _is_librarys(name: str) -> bool:
    return "." in name and not name.startswith(("numpy.array", "numpy.asa", "numpy.asc"))


def array_refused(shape: tuple[int, ...], dtype: Any) -> ConversionError:
    """Return the error for a traced value that code which is not followed makes an array of."""
    do = called()
    value = f"a traced value of shape {shape}"
    if dtype.kind in "iub" and not _is_librarys(do.name):
        return ConversionError(
            _advised(
                f"a traced array of {dtype} was turned into a plain NumPy array"
                + (
                    f", as an index of one ({_short(do.text)})."
                    if do.kind == "index"
                    else f" by {do.name or _short(do.text)}, or as an index of one (w[i])."
                ),
                "write np.asarray(w, like=i)[i] instead of w[i]",
                _COLLECT,
            )
        )
    if do.kind == "store":
        return ConversionError(
            _advised(
                f"{value} was stored into a plain array ({_short(do.text)} = ...), which holds "
                "no derivatives.",
                "make the array with np.zeros(shape, like=x)",
                _COLLECT,
                _STOP,
            )
        )
    name = do.name
    if _is_librarys(name):
        return ConversionError(
            _advised(
                f"{name} turned {value} into a plain NumPy array: its derivative would be lost.",
                instead(name) or (_COLLECT if name.startswith("numpy.") else _CUSTOM),
                _STOP,
            )
        )
    what = f"{value} was turned into a plain NumPy array"
    if name or do.text:
        what += f" by {name or _short(do.text)}"
    return ConversionError(
        _advised(
            f"{what}: its derivative would be lost.",
            "make arrays with np.zeros(shape, like=x)",
            _COLLECT,
            _STOP,
        )
    )


def number_refused(lost: str = "derivative") -> ConversionError:
    """Return the error for a traced value that was made a plain number of Python."""
    do = called()
    name = do.name
    if do.kind == "store":
        return ConversionError(
            _advised(
                f"a traced value was stored into a plain array ({_short(do.text)} = ...): its "
                f"{lost} would be lost.",
                "make the array with np.zeros(shape, like=x)",
                _COLLECT,
                _STOP,
            )
        )
    if name.startswith(("math.", "cmath.")):
        short = name.partition(".")[2]
        numpys = _NUMPYS.get(short, short)
        what = (
            f"{name} was given a traced value, and is a function of the math module, which makes "
            f"a plain Python number of it: its {lost} would be lost."
        )
        way = f"use the NumPy function (np.{numpys}(x) instead of {name}(x))"
        return ConversionError(_advised(what, way, _STOP))
    if _is_librarys(name):
        return ConversionError(
            _advised(
                f"{name} turned a traced value into a plain Python number: its {lost} would be "
                "lost.",
                instead(name) or _CUSTOM,
                _STOP,
            )
        )
    return ConversionError(
        _advised(
            f"a traced value was turned into a plain Python number, by "
            f"{_by(do)}: its {lost} would be lost.",
            "compute with the value itself and NumPy's functions (np.sin(x))",
            "make arrays with np.zeros(shape, like=x)",
            _STOP,
        )
    )


def _by(do: Called) -> str:
    if do.name:
        return f"{do.name}()"
    if do.text:
        return _short(do.text)
    return "float(), .item() or the like"


_NUMPYS = {
    "acos": "arccos", "acosh": "arccosh", "asin": "arcsin", "asinh": "arcsinh", "atan": "arctan",
    "atan2": "arctan2", "atanh": "arctanh", "pow": "power", "fsum": "sum", "comb": "multiply",
    "dist": "linalg.norm", "phase": "angle", "isqrt": "sqrt", "sumprod": "dot", "lgamma": "log",
}  # fmt: skip
"""Names of `math` that NumPy spells differently."""


def refused_by(name: str, what: str = "takes no traced value") -> ConversionError:
    """Return the error for a function of Python's library that was given a traced value."""
    return ConversionError(
        _advised(f"{name} {what}: its derivative would be lost.", instead(name) or _CUSTOM, _STOP)
    )
