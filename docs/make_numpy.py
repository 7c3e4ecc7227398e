"""Write docs/numpy.md: the NumPy functions that wengert differentiates.

Run ``python docs/make_numpy.py`` after adding one; a test compares the file with what this writes.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Iterable
from pathlib import Path

import numpy as np

import wengert.public  # noqa: F401  (fills the tables)
from wengert.ops.base import ZERO, Op
from wengert.ops.elementwise import UFUNCS
from wengert.trace.dispatch import CREATION, FUNCTIONS, UFUNC_METHODS
from wengert.trace.tracer import Tracer

PAGE = """\
# NumPy under wengert

You give wengert ordinary NumPy code. NumPy's functions, operators, methods and indexing work on
traced arrays as on plain ones, with NumPy's values, shapes, promotion (NEP 50) and errors. This
page lists what is supported; `python docs/make_numpy.py` writes it from the tables of the code. Any
other function of NumPy raises `UnsupportedError`, which names it. `wg.custom_jvp` and
`wg.custom_vjp` give a derivative to a function that NumPy lacks.

## Elementwise functions

{smooth}

Piecewise constant, with derivative zero:

{flat}

Of `scipy.special`:

{special}

`dtype=`, `out=` (a traced array) and, with `out=`, `where=` work on all of them.

## Methods of ufuncs

{ufunc_methods}

`reduce`, `accumulate`, `reduceat` and `outer` work on every ufunc with two arguments.

## Functions

{functions}

`numpy.linalg`:

{linalg}

`numpy.fft`:

{fft}

`numpy.lib.stride_tricks`:

{strides}

`numpy.lib.scimath`, which becomes complex where a number leaves the real domain; whether it
does is a decision:

{scimath}

`numpy.polynomial` is written in Python and [followed](following.md): its classes (`Polynomial`,
`Chebyshev`, `Legendre` and their kin) and functions take traced coefficients and arguments.
`np.poly1d` does too.

Methods of random generators with traced parameters, the draws of which are moved and stretched:
`normal`, `uniform`, `exponential`, `laplace`, `logistic`, `gumbel`, `lognormal`, `rayleigh`,
`weibull`, the scale of `gamma`, the mean of `multivariate_normal`; `permutation` and `choice`
of traced arrays.

Creation functions make arrays that traced values can be stored in, in code that is
[followed](following.md). They take `like=x` too, which does this in any code:

{creation}

## Methods and attributes of arrays

{methods}

## Indexing

Reading, `x[i] = v` and `x[i] += v` with integers, slices, `...`, `None`, integer arrays and boolean
masks. Repeated indices add up in `np.add.at`; in `x[i] = v` the last one stays. Under `vmap` a mask
that differs between examples raises; write `np.where(mask, x, 0)`.

## Sparse matrices of SciPy

A sparse matrix that the function refers to is a constant: `A @ x`, `x @ A` and `A.dot(x)` work
in every format but LIL, and `A * x` for the older `csr_matrix`. In code that is
[followed](following.md), `spsolve`, `splu(A).solve`, `factorized(A)`, `cg`, `gmres` and the
other iterative solvers take a traced right-hand side, and so do `LinearOperator.matvec`,
`matmat`, `dot` and `rmatvec`. Their derivative is the transposed solve or product. Not
differentiated are the entries of the matrix: write `np.add.at(y, rows, a * x[columns])`, or
`np.linalg.solve`.

## Memory

A traced array lies in memory as NumPy's would. So a reshape is a view or a copy as in NumPy,
`order="K"` and `order="A"` mean what they mean there, and an update in place is seen by the same
arrays: by those that a slice, a transpose, `np.einsum("ij->ji", x)`, `x.conj()` of real `x` or
`astype(copy=False)` shares memory with, and not by the copies that `np.concatenate([x])` or a
view of a NumPy scalar are. Diagonals, windows and broadcast arrays are read-only views; writing
into them raises `MutationError`. NumPy lets the results of `np.broadcast_arrays` and
`np.meshgrid(copy=False)` be written into, with a warning that this will end; here it raises.

Some functions depend on the layout of their arguments: they ask for `order="K"` or `"A"`, or update
an array whose reshape is a view or a copy, depending on its strides. For these, `jit` keeps a plan
for each layout. All other plans serve arrays of every layout. Results of a compiled function are in
C order; `np.ravel(y, "K")` of one may differ from that of NumPy's own result, which can be in
another order. Under `vmap`, updating an array and its reshape raises `MutationError` where the
reshape of one example is a copy.

## Equal, or refused

A call of a function on this page gives NumPy's values, shapes and dtypes, or raises where NumPy
does, with an exception that the same handler catches, or raises an error of `wengert.errors` that
names the function. `tests/ops/test_against_numpy.py` compares some 250,000 calls, each option of
each function on awkward arrays: empty, of one element, without axes, reversed, in Fortran order,
read-only, float32, float16, integers, Booleans, complex, with NaN, infinities, subnormal and huge
numbers. Refused are, among others:

- `quantile` and `percentile` by another method than `linear`, with weights, or for a traced `q`;
- medians and quantiles of no elements, `cov` of nothing;
- `mean`, `var` and `std` with an integer `dtype=`;
- `unique` along an axis, or with `sorted=False`;
- `where=` of a ufunc without `out=`, whose result NumPy leaves undefined in part; with `out=` only
  what is used is computed, so `np.log(x, where=x > 0, out=y)` has finite derivatives;
- methods of ufuncs over several axes or with `where=`, other than those listed above;
- `piecewise` with a function that depends on which other elements it is given (their mean, their
  number): it is given all of `x`, and its values are compared with those for its own alone;
- `histogram` with bins chosen by a rule, `interp` with `xp` that falls, `correlate` with the longer
  array second, `geomspace` across signs, `pad` with modes that compute;
- `nanmax`, `nanargmax` and their kin for complex numbers.

What may differ in the last digits or beyond: sums whose terms overflow on the way, products of
complex infinities, the order of equal elements in an unstable `argsort`, memory that NumPy leaves
unwritten, and warnings of empty slices, which are NumPy's alone.

## Conventions

Derivatives where mathematics leaves a choice. NumPy has no say here; most are JAX's.

| at | derivative |
|---|---|
| ties of `maximum`, `minimum`, `fmax`, `fmin`, `max`, `min`, `clip` | shared equally |
| equal entries in `union1d`, `unique`, `intersect1d` and their kin | to the first of them |
| ties of `sort`, `partition`, `median`, `quantile` | the order of a stable sort |
| ties of `maximum.accumulate`, `minimum.accumulate` | to the last |
| NaN in `fmax`, `fmin`, `nanmax`, `nansum` ... | to what is not NaN |
| `abs`, `hypot`, `copysign`, `sign` at 0 | 0, real or complex |
| `sqrt`, `cbrt`, `log`, `x**a` with a < 1 at 0 | `inf`, as is the limit |
| `std` of equal numbers | `nan`: the root of 0 times 0; of one number 0; `var` gives 0 |
| `a**b` at a = 0 | in a: the limit, 0 at b = 0; in b: 0 for b >= 0, else `nan` |
| `a**b` at a < 0 | in a: `b * a**(b - 1)`; in b: `nan` |
| `logaddexp`, `logaddexp.reduce` at equal infinities | shared equally |
| `prod`, `cumprod` with zeros | exact |
| `remainder`, `fmod` | in b: minus NumPy's own quotient |
| `arctan2` at (0, 0) | `nan` |
| `cholesky`, `eigh`, `eigvalsh` | those of the triangle that NumPy reads; 0 in the other one |
| repeated eigenvalues, singular values | those of symmetric functions; see below |
| `floor`, `round`, `argmax`, comparisons, integers, booleans | 0 |
| `where(c, a, b)` | 0 in the branch not taken, also where that branch is infinite or `nan` |
| 0 times an infinite slope | 0 where the 0 is there by structure, else `nan`; see below |

Symmetric functions of repeated eigenvalues (of `eigh`, `eigvalsh`) or of repeated singular
values, such as sums of `f(w)`, products and norms, have their first and second derivatives. One
of the values alone has, forward, its derivative along the direction, in reverse that of one
basis, and no second derivative: `nan`. So are derivatives of their vectors, third derivatives,
and most second derivatives of what `jacfwd` or `linearize` made (`jacfwd` of `jacfwd`); write
`hessian`, `hvp`, `jvp` of `jvp`, or `grad` within.

A tangent or cotangent is zero by structure in a branch that `where` does not take, in entries that
are not read or not written, in what a maximum, a minimum, a clip or a sort leaves out, and where a
tangent or cotangent is given as 0. Such a zero stays 0 when an infinite slope multiplies it, in
forward and in reverse mode, eagerly and compiled: `np.where(x > 0, np.sqrt(x), 0)` has the
derivative 0 at 0, and so has `np.cbrt(np.where(m, x, 0))` where m is false. A slope that happens to
be 0 is another matter: `np.cbrt(x**3)` has the derivative 1 at 0, and the chain rule, which makes
0 * inf of it, gives `nan`. Behind a `where` or a read by a mask, NaN in the data are left out as
well; elsewhere they multiply a zero to `nan`. In sums of products (`A @ x`) an infinite or NaN
entry meets the zeros of other entries, and gives `nan`.

A derivative with respect to the tangent or cotangent itself is not cut: `t * slope` has the
derivative `slope` at t = 0.

Squares of `abs`, `hypot`, `norm` and `sqrt` are differentiated as what they are: at 0,
`abs(x)**2`, `(norm(x) / h)**2`, `r @ r` with `r = np.abs(x)` and the like have the second
derivatives of sums of squares, and `sqrt(x)**2` has the derivative 1. A result is known as such a
size while it is read, reshaped, negated, or multiplied or divided by a number. Elsewhere the
conventions above hold for the parts: `np.cos(norm(x))` has the second derivative 0 at 0, and not
-1.

A real function of complex `z = a + i b` has the gradient `df/da - i df/db`; a holomorphic function
has its complex derivative with `holomorphic=True`. Derivatives have the dtype of what they belong
to: float32 stays float32.

Derivatives do not warn where they are infinite or NaN; the function itself does, as in NumPy.
"""


def listed(names: Iterable[str]) -> str:
    """Return names as one wrapped paragraph of code words."""
    return textwrap.fill(
        ", ".join(f"`{n}`" for n in sorted(set(names))), 100, break_on_hyphens=False
    )


def flat(op: Op) -> bool:
    """Whether an elementwise operation is piecewise constant."""
    return op.derivative is ZERO


def public(module: str) -> list[str]:
    """Names of the supported functions of a module of NumPy."""
    return [
        f.__name__
        for f in FUNCTIONS
        if f.__module__ == module and f not in CREATION and not isinstance(f, np.ufunc)
    ]


def attributes() -> list[str]:
    """Public names that a traced array has."""
    return [n for n, _ in inspect.getmembers(Tracer) if not n.startswith("_")]


def page() -> str:
    """Return the text of docs/numpy.md."""
    numpys = {u: op for u, op in UFUNCS.items() if getattr(np, u.__name__, None) is u}
    composites = [f.__name__ for f in FUNCTIONS if isinstance(f, np.ufunc)]
    return PAGE.format(
        smooth=listed([*(u.__name__ for u, op in numpys.items() if not flat(op)), *composites]),
        flat=listed(u.__name__ for u, op in numpys.items() if flat(op)),
        special=listed(op.name for u, op in UFUNCS.items() if u not in numpys),
        ufunc_methods=listed(f"{u.__name__}.{m}" for u, m in UFUNC_METHODS if u is not None),
        functions=listed(public("numpy")),
        linalg=listed(public("numpy.linalg")),
        fft=listed(public("numpy.fft")),
        strides=listed(public("numpy.lib.stride_tricks")),
        scimath=listed(public("numpy.lib.scimath")),
        creation=listed(f.__name__ for f in CREATION),
        methods=listed(attributes()),
    )


if __name__ == "__main__":
    Path(__file__).with_name("numpy.md").write_text(page(), encoding="utf-8")
