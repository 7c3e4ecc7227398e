"""Calls of NumPy's calculus, products, linear algebra, transforms and ufuncs, on awkward arrays."""

# ruff: noqa: E501  (a line is a row of a table)
from __future__ import annotations

import numpy as np
from awkward import ALL, FEW, FLAT, MATRICES, REAL, SCALARS, SQUARES, VECTORS, Family, family

import wengert.ops.elementwise as ew
import wengert.trace.numpy.methods  # noqa: F401  (fills the tables)
from wengert.trace.dispatch import FUNCTIONS

PAIRS = {k: FEW[k] for k in ("matrix", "float32", "int8", "bool", "complex", "no rows", "vector",
                             "0-d", "integers", "nothing", "nan", "backwards")}  # fmt: skip
LINE = {**VECTORS, **{k: SCALARS[k] for k in ("0-d", "0-d integer", "scalar")}}
SOME = {k: VECTORS[k] for k in ("vector", "one", "nothing", "integers", "booleans", "single", "half",
                                "complex line", "with nan", "with inf")}  # fmt: skip
NUMBERS = {k: SCALARS[k] for k in ("0-d", "0-d integer", "0-d nan", "0-d complex", "scalar",
                                   "single scalar")}  # fmt: skip

# Sums that overflow on the way depend on their order.
CALM = {k: v for k, v in FEW.items() if k not in ("huge", "inf")}

CALCULUS: list[Family] = [
    *family("np.diff", "np.diff(x, @)", ALL, options=[
        "", "2", "0", "-1", "9", "axis=0", "axis=5", "prepend=0", "append=[[1.0], [2.0]]",
        "prepend=1, append=2.5", "prepend=[1, 2]", "axis=0, prepend=0", "append=nan", "prepend=1j",
        "n=1, axis=-2", "1.5"]),
    *family("np.ediff1d", "np.ediff1d(x, @)", ALL, options=[
        "", "9", "to_begin=1.5", "[1, 2], [3]", "to_end=2j", "to_begin=-1, to_end=[[1, 2]]"]),
    *family("np.gradient", "np.gradient(x, @)", ALL, options=[
        "", "2.0", "axis=0", "axis=-1", "axis=(0, 1)", "axis=5", "edge_order=2", "edge_order=3",
        "0.5, 2.0", "[0.0, 1.0, 3.0]", "[0.0, 1.0, 1.5, 4.0]", "[0.0, 2.0], [0.0, 1.0, 3.0]", "0",
        "axis=()", "[0.0, 1.0], 2.0, axis=(0, 1)", "1, 2, 3", "[0, 1, 3, 4], edge_order=2", "axis=None",
        "[0.0, 0.0, 1.0, 2.0]", "[[1.0]]", "np.float32(0.5)", "[2.0, 1.0, 0.0, -1.0]",
        "[0.0, 1.0, 2.0, 3.0]", "[0, 1, 2, 3]", "inf"], loose=True),
    # Coordinates that are traced are not compared for equal steps.
    *family("np.gradient", ["np.gradient([1.0, 2.0, 4.0, 8.0], x)",
                            "np.gradient([1.0, 2.0, 4.0, 8.0], x, edge_order=2)"],
            {k: v for k, v in FLAT.items() if k not in ("equal", "signed zeros")}, loose=True),
    *family("np.trapezoid", "np.trapezoid(x, @)", ALL, options=[
        "", "dx=0.5", "axis=0", "axis=5", "[0.0, 1.0, 3.0]", "[0.0, 1.0, 1.5, 4.0]", "dx=[1.0, 2.0, 3.0]",
        "x", "[[0.0, 1.0, 3.0]]", "[[0.0], [1.0], [3.0]]", "[0.0, 2.0], axis=0", "[]", "[1.0]", "[0, 1, 3]",
        "dx=nan", "[[[0.0, 1.0, 2.0]]]", "dx=2", "[True, False, True]"], loose=True),
    *family("np.trapezoid", ["np.trapezoid([1.0, 2.0, 4.0, 8.0], x)", "np.trapezoid([[1, 2, 3]], x)",
                             "np.trapezoid([1.0, 2.0], dx=x)"], FEW, loose=True),
    *family("np.interp", "np.interp(x, @)", ALL, options=[
        "[0.0, 1.0, 2.0], [1.0, 3.0, -1.0]", "[0.0, 1.0], [nan, 2.0]", "[0.0, 0.75, 2.0], [1.0, 2.0, inf]",
        "[0.0, 1.0], [2.0, 3.0], left=9", "[0.0, 1.0], [2.0, 3.0], right=-9", "[0.5], [2.0]", "[], []",
        "[0.0, 1.0], [2.0]", "[0.0, 1.0, 2.0], [1.0, 3.0, 5.0], period=1.5", "[0.0, 0.0, 1.0], [1, 2, 3]",
        "[0, 1, 2], [1j, 2, 3]", "[0.0, 1.0], [2.0, 3.0], period=0", "[1.0, 0.0], [2.0, 3.0]",
        "[[0.0, 1.0]], [[1.0, 2.0]]", "[0.0, 1.0, 2.0], [inf, 1.0, 2.0]", "[0.0, 1.0], [1.0, 2.0], nan, nan",
        "[-inf, 0.0, inf], [1.0, 2.0, 3.0]", "[0.0, nan, 2.0], [1.0, 2.0, 3.0]", "[0, 1, 2], [3, 4, 5]",
        "[2.0, 0.0, 1.0], [1.0, 3.0, 5.0], period=-3", "[0.0, 1e-320], [0.0, 1e300]",
        "[-1e308, 1e308], [0.0, 1.0]", "[0.5], [nan]", "[0.5, 0.75, 0.75, 1.0], [1, 2, 3, 4]",
        "0.0, 1.0", "[0.0, 1.0], [1j, nan]"], loose=False),
    *family("np.interp", ["np.interp([-9.0, 0.1, 0.5, nan, 2.0], x, [1.0, 2.0, 3.0, 4.0])",
                          "np.interp(0.3, x, x)", "np.interp(0.3, [1, 2, 3, 4], x)",
                          "np.interp([0.25, 0.75], np.arange(x.size), x)",
                          "np.interp(1.5, np.arange(x.size), x)", "np.interp([], [1, 2, 3, 4], x)",
                          "np.interp([1.0, 2.0, 9.0], [1, 2, 3, 4], x, period=5)"], FLAT),
    *family("np.unwrap", "np.unwrap(x, @)", ALL, options=[
        "", "discont=1.0", "axis=0", "period=2", "period=1.5", "axis=5", "period=4, axis=-1", "discont=9",
        "discont=0.1, period=3"], loose=True),
    *family("np.unwrap", ["np.unwrap(x * 5)", "np.unwrap(x * 7, period=3)", "np.unwrap(x * 4, period=2)"], FEW,
            loose=True),
    *family("np.polyval", ["np.polyval(x, 2.0)", "np.polyval(x, [1, 2])", "np.polyval([1.0, -2.0, 3], x)",
                           "np.polyval([], x)", "np.polyval([1], x)", "np.polyval(x, [])",
                           "np.polyval([1j, 2], x)", "np.polyval(2.0, x)", "np.polyval([[1, 2], [3, 4]], x)",
                           "np.polyval(x, np.float32(2))", "np.polyval([True, False], x)",
                           "np.polyval(x, [[1.0], [2.0]])"], ALL, loose=True),
    *family("np.polyadd np.polysub np.polymul", ["%(x, [1.0, 2.0])", "%([0.0, 1.0], x)", "%(x, 2)",
            "%(x, x)", "%(x, [])", "%([0, 0], x)", "%(x, [1j, 2])", "%([1, 2], x)", "%(x, [[1.0]])",
            "%([0.0, 0.0, 1.0, 2.0, 3.0, 4.0], x)", "%(x, -np.asarray([0.5, 1]))"],
            {**{k: v for k, v in FLAT.items() if k not in ("large", "with inf")},
             **{k: SCALARS[k] for k in ("0-d", "scalar")}}, loose=True),
    *family("np.polyder", "np.polyder(x, @)", FLAT, options=["", "2", "0", "-1", "9", "m=1", "1.5"]),
    *family("np.polyint", "np.polyint(x, @)", FLAT, options=[
        "", "2", "0", "-1", "k=3", "2, [1, 2]", "2, 5", "1, [1, 2]", "k=[2.0]", "m=2, k=[1j, 0]", "3, [1]"]),
    *family("np.vander", "np.vander(x, @)", FLAT, options=[
        "", "2", "0", "increasing=True", "-1", "3, True", "N=5"], loose=True),
    *family("np.sinc np.i0", "%(x)", ALL, loose=True),
    *family("np.linspace", ["np.linspace(x, 2.0, @)", "np.linspace(-1, x, @)", "np.linspace(x, x, @)"], {
        **{k: FEW[k] for k in ("vector", "matrix", "float32", "float16", "int8", "bool", "complex", "nan",
                               "inf", "nothing", "huge", "subnormal")}, **SCALARS}, options=[
        "", "3", "1", "0", "-1", "4, endpoint=False", "3, retstep=True", "1, False, True", "3, dtype=int",
        "3, dtype=np.float32", "3, axis=-1", "3, axis=5", "0, retstep=True", "2.5", "3, axis=1",
        "1, retstep=True"]),
    *family("np.logspace np.geomspace", ["%(x, 2.0, @)", "%(1, x, @)"], {
        **{k: FEW[k] for k in ("vector", "float32", "int8", "complex", "nan", "nothing")}, **SCALARS}, options=[
        "", "3", "1", "0", "-1", "4, endpoint=False", "3, dtype=int", "3, dtype=np.float32", "3, axis=-1",
        "3, axis=5"], loose=True),
    *family("np.logspace", ["np.logspace(0, 1, 4, base=x)", "np.logspace(x, 1, 3, base=2)",
                            "np.logspace([0, 1], 1, 3, base=x)", "np.logspace(x, x, 2, base=x)",
                            "np.logspace(0, 1, 4, base=x, axis=-1)"],
            {**SCALARS, **SOME}, loose=True),
    *family("np.geomspace", ["np.geomspace(-x, -2.0, 3)", "np.geomspace(x, 1j, 3)", "np.geomspace(x, -1, 3)",
                             "np.geomspace(x, 0, 3)"], {**SCALARS, **SOME}, loose=True),
    # Not numbers whose sums overflow, which depends on their order, nor complex infinities.
    *family("np.convolve np.correlate", "%(x, y, @)", {k: v for k, v in SOME.items() if k != "complex line"}, {k: v for k, v in SOME.items() if k != "complex line"},
            options=["", "'same'", "'valid'", "mode='full'"], loose=True),
    *family("np.convolve np.correlate", ["%(x, [1.0, 2.0, 3.0, 4.0, 5.0], @)", "%([1.0, inf], x, @)",
            "%(x, 2.0, @)", "%([1, 2], x, @)", "%(x, [nan], @)"],
            {k: v for k, v in FLAT.items() if k not in ("large", "complex line")}, options=[
        "", "'same'", "'valid'", "'full'", "'nonsense'", "mode=0", "mode=2"], loose=True),
]  # fmt: skip

PRODUCTS: list[Family] = [
    *family("np.dot np.matmul np.inner np.outer np.vdot np.vecdot np.matvec np.vecmat np.kron "
            "np.linalg.matmul np.linalg.outer np.linalg.vecdot", "%(x, y)", PAIRS, PAIRS, loose=True),
    *family("np.dot np.matmul np.inner np.outer np.vdot np.vecdot np.kron",
            ["%(x, x.T)", "%(x, 2)", "%([1.0, 2.0, 3.0], x)", "%(x, [[1, 2], [3, 4], [5, 6]])",
             "%(x, x)"], CALM, loose=True),
    *family("np.matmul", ["np.matmul(x, x.T, dtype=np.float32)", "np.matmul(x, x, axes=[0, 1])",
                          "x @ [1.0, 2.0, 3.0]", "[[1.0, 2.0]] @ x", "x @ x.T", "x @ 2"], CALM, loose=True),
    *family("np.vecdot np.linalg.vecdot", ["%(x, x, axis=0)", "%(x, x, axis=5)", "%(x, [1.0, 2.0, 3.0], axis=-1)",
            "%(x, 1.0)"], CALM, loose=True),
    *family("np.tensordot np.linalg.tensordot", "%(x, y, axes=@)", PAIRS, PAIRS, options=[
        "2", "1", "0", "(0, 0)", "([0, 1], [0, 1])", "(-1, -1)", "3", "([0], [0, 1])", "([], [])", "-1",
        "([0, 0], [0, 0])", "(5, 0)"], loose=True),
    *family("np.einsum", "np.einsum(@)", {**CALM, **{k: SQUARES[k] for k in ("square", "no square")}}, options=[
        "'ij->ji', x", "'ij', x", "'ji', x", "'i,i->', x, x", "'i,i', x, x", "'...->...', x", "'ii', x",
        "'ii->i', x", "'ij,ij->ij', x, x", "'ij,kj->ik', x, x", "'ij,jk', x, x", "'i->', x", "'ij->i', x",
        "'...j->...', x", "'...,...->...', x, 2.0", "x, [0, 1], [1, 0]", "x, [0, 1]", "'ij,j->i', x, [1.0, 2.0, 3.0]",
        "'ij,j,i->', x, [1, 2, 3], [1, 2]", "'i,j->ij', x, x", "'->', x", "'i', x", "'ij->jk', x", "'ij->ii', x",
        "'i j -> j i', x", "'ij,ij,ij->j', x, x, x", "'i...->...i', x", "'ij->', x, dtype=np.float32",
        "'ij->', x, optimize=False", "'ij,jk->ik', x, x.T, optimize=True", "'i,i,i', x, x, x", "'', x",
        "',->', x, 3.0", "'i,i', x, [1.0]", "'ij,ij->ij', x, [[2.0], [3.0]]", "'ij->ij', x, order='F'",
        "'I->I', x", "'i.j', x", "'ij,', x, 2", "'...i,...i', x, x", "'ij,ij->ji', x, np.zeros(x.shape)",
        "'i,j->i', x, np.zeros(2)", "'i->ii', x", "'ij,jk,kl->il', x, np.ones((3, 2)), np.ones((2, 2))"], loose=True),
    *family("np.cross np.linalg.cross", ["%(x, [1.0, 2.0, 3.0])", "%(x, x)", "%([1, 2, 3], x)"],
            CALM, loose=True),
    *family("np.cross", "np.cross(x, @)", CALM, options=["x[..., ::-1]", "[1.0, 2.0]", "x.T", "x, axis=0", "x, axis=5",
            "x, axisa=0", "x, axisc=0", "x.T, axisb=0", "2.0", "x, axisa=-1, axisb=-1, axisc=0"]),
    *family("np.cross", "np.cross(np.zeros((0, 3)), x)", CALM),
]  # fmt: skip

LINALG: list[Family] = [
    *family("np.linalg.inv np.linalg.det np.linalg.slogdet np.linalg.cholesky np.linalg.eigvalsh "
            "np.linalg.svdvals np.linalg.pinv np.linalg.cond np.linalg.matrix_rank np.linalg.norm "
            "np.linalg.matrix_norm np.linalg.vector_norm", "%(x)", {**SQUARES, **CALM}, loose=True),
    *family("np.linalg.eigh", ["np.linalg.eigh(x)[0]", "np.linalg.eigh(x, 'U')[0]", "np.linalg.eigh(x, 'Q')[0]"],
            {**SQUARES, **CALM}, loose=True),
    *family("np.linalg.eigvalsh", ["np.linalg.eigvalsh(x, 'U')", "np.linalg.eigvalsh(x, 'u')"], SQUARES, loose=True),
    *family("np.linalg.cholesky", "np.linalg.cholesky(x @ x.T + np.eye(len(x)), upper=True)", SQUARES, loose=True),
    *family("np.linalg.eig", "np.sort_complex(np.linalg.eig(x)[0])", SQUARES, loose=True),
    *family("np.linalg.eig np.linalg.eigvals", "np.sum(np.asarray(%(x)[0], like=x))",
            {k: v for k, v in {**SQUARES, **CALM}.items() if k != "stacked"}, loose=True),
    *family("np.linalg.svd", ["np.linalg.svd(x, compute_uv=False)", "np.linalg.svd(x, full_matrices=False)[1]",
                              "np.linalg.svd(x)[1]", "np.linalg.svd(x, hermitian=True)[1]"], {**SQUARES, **CALM}, loose=True),
    *family("np.linalg.qr", ["np.abs(np.linalg.qr(x)[1])", "np.abs(np.linalg.qr(x, 'r'))", "np.linalg.qr(x, 'nonsense')",
                             "np.abs(np.linalg.qr(x, 'complete')[1])"], {**SQUARES, **CALM}, loose=True),
    *family("np.linalg.solve", "np.linalg.solve(x, @)", SQUARES, options=[
        "[1.0, 2.0]", "[1.0, 2.0, 3.0]", "[[1.0], [2.0]]", "x", "2.0", "[]", "[[1, 2], [3, 4]]", "[1j, 2]"], loose=True),
    *family("np.linalg.solve", ["np.linalg.solve([[2.0, 1.0], [0.5, 3.0]], x)", "np.linalg.solve(np.eye(4), x)",
                                "np.linalg.solve(np.eye(2), x)", "np.linalg.solve(np.zeros((0, 0)), x)"], CALM, loose=True),
    *family("np.linalg.lstsq", "np.linalg.lstsq(x, @)[0]", {k: v for k, v in {**SQUARES, **CALM}.items() if k not in ("square tiny", "subnormal", "singular")}, options=[
        "[1.0, 2.0]", "[1.0, 2.0, 3.0]", "[[1.0, 0.5], [2.0, 3.0]]", "x", "[1.0, 2.0], rcond=0.1", "2.0",
        "[1.0, 2.0], rcond=-1"], loose=True),
    *family("np.linalg.lstsq", "np.linalg.lstsq(x, [1.0, 2.0])[1:3]", {k: v for k, v in {**SQUARES, **CALM}.items() if k not in ("square tiny", "subnormal")}, loose=True),
    *family("np.linalg.pinv", ["np.linalg.pinv(x, 0.1)", "np.linalg.pinv(x, rtol=0.2)", "np.linalg.pinv(x, hermitian=True)",
                               "np.linalg.pinv(x, rcond=0.1, rtol=0.2)", "np.linalg.pinv(x, rtol=None)"], SQUARES, loose=True),
    *family("np.linalg.matrix_rank", "np.linalg.matrix_rank(x, @)", {**SQUARES, **CALM}, options=[
        "tol=0.5", "rtol=0.1", "hermitian=True", "tol=[0.1, 0.2]", "tol=0.1, rtol=0.1"]),
    *family("np.linalg.matrix_power", "np.linalg.matrix_power(x, @)", SQUARES, options=[
        "0", "1", "2", "3", "-1", "-2", "7", "1.5", "True"], loose=True),
    *family("np.linalg.norm", "np.linalg.norm(x, @)", {**CALM, **SQUARES}, options=[
        *(f"{o}" for o in ("1", "2", "-1", "-2", "0", "3", "-3", "0.5", "inf", "-inf", "'fro'", "'nuc'", "'nonsense'")),
        *(f"{o}, axis=0" for o in ("None", "1", "2", "-2", "0", "3", "inf", "-inf", "'fro'", "nan")),
        *(f"{o}, axis=(0, 1)" for o in ("None", "1", "2", "-2", "inf", "'fro'", "'nuc'", "3", "0")),
        "axis=-1", "axis=5", "axis=(0, 0)", "axis=(1, 0), keepdims=True", "keepdims=True", "1, keepdims=True",
        "2, axis=1, keepdims=True", "axis=(0, 1, 2)", "axis=()", "'nuc', axis=(-1, 0), keepdims=True", "1, axis=(1, 0)"],
        loose=True),
    *family("np.linalg.vector_norm", "np.linalg.vector_norm(x, @)", CALM, options=[
        "ord=1", "ord=0", "ord=inf", "ord=-inf", "ord=3", "ord=-1", "axis=0", "axis=(0, 1)", "axis=5", "keepdims=True",
        "axis=0, ord=1, keepdims=True", "ord='fro'", "axis=(0,)", "axis=(-1, 0), ord=inf"], loose=True),
    *family("np.linalg.matrix_norm", "np.linalg.matrix_norm(x, @)", SQUARES, options=[
        "ord=1", "ord=2", "ord=-2", "ord=inf", "ord='nuc'", "ord='fro', keepdims=True", "ord=0", "ord=-1, keepdims=True"],
        loose=True),
    *family("np.linalg.cond", "np.linalg.cond(x, @)", SQUARES, options=["2", "-2", "1", "-1", "inf", "'fro'", "'nuc'", "7"],
            loose=True),
    *family("np.linalg.multi_dot", ["np.linalg.multi_dot([x, x.T])", "np.linalg.multi_dot([x, x.T, x])",
                                    "np.linalg.multi_dot([x])", "np.linalg.multi_dot([x, [1.0, 2.0, 3.0]])",
                                    "np.linalg.multi_dot([[1.0, 2.0], x, x.T, [3, 4]])"], CALM, loose=True),
    *family("np.linalg.tensorsolve", ["np.linalg.tensorsolve(np.eye(6).reshape(2, 3, 2, 3), x)",
                                      "np.linalg.tensorsolve(np.eye(4), x)", "np.linalg.tensorsolve(x, x)",
                                      "np.linalg.tensorsolve(x, [1.0, 2.0])"], {**SQUARES, **CALM}, loose=True),
    *family("np.linalg.tensorinv", ["np.linalg.tensorinv(x, 1)", "np.linalg.tensorinv(x)", "np.linalg.tensorinv(x, 0)"],
            SQUARES, loose=True),
]  # fmt: skip

_N = ["", "4", "2", "0", "-1", "axis=0", "axis=5", "n=3, axis=0", "norm='ortho'", "norm='forward'", "norm='nonsense'",
      "7", "1", "2.5", "4, axis=-1, norm='backward'"]  # fmt: skip
_S = ["", "(2, 2)", "axes=(0, 1)", "axes=(1, 0)", "axes=(0,)", "(3, 4), axes=(0, 1)", "norm='ortho'", "norm='nonsense'",
      "axes=(0, 5)", "(2,), axes=(0, 1)", "axes=(0, 0)", "(-1, 4), axes=(0, 1)", "(0, 2), axes=(0, 1)", "axes=()"]  # fmt: skip
# NumPy's inverse real transforms of nothing return memory that was not written.
_FILLED = {k: v for k, v in ALL.items() if v.size}
TRANSFORMS: list[Family] = [
    *family("np.fft.fft np.fft.ifft np.fft.rfft np.fft.ihfft", "%(x, @)", ALL, options=_N, loose=True),
    *family("np.fft.irfft np.fft.hfft", "%(x, @)", _FILLED, options=_N, loose=True),
    *family("np.fft.fft2 np.fft.ifft2 np.fft.rfft2 np.fft.fftn np.fft.ifftn np.fft.rfftn", "%(x, @)", CALM, options=_S,
            loose=True),
    *family("np.fft.irfft2 np.fft.irfftn", "%(x, @)", {k: v for k, v in CALM.items() if v.size}, options=_S, loose=True),
    *family("np.fft.fftshift np.fft.ifftshift", "%(x, @)", ALL, options=["", "0", "axes=(0, 1)", "axes=-1", "5", "axes=()"]),
]  # fmt: skip

# --- elementwise functions ------------------------------------------------------------------------
_NUMPYS = [u for u in (*ew.UFUNCS, *FUNCTIONS) if isinstance(u, np.ufunc)]
ELEMENTWISE = sorted(
    {u for u in _NUMPYS if getattr(np, u.__name__, None) is u}, key=lambda u: u.__name__
)
_PRODUCTS = {"matmul", "matvec", "vecdot", "vecmat"}
UNARY = [f"np.{u.__name__}" for u in ELEMENTWISE if u.nin == 1]
BINARY = [f"np.{u.__name__}" for u in ELEMENTWISE if u.nin == 2 and u.__name__ not in _PRODUCTS]
SPECIAL = {u: op.name for u, op in ew.UFUNCS.items() if getattr(np, u.__name__, None) is not u}
SP_ONE = [f"sp.{n}" for u, n in SPECIAL.items() if u.nin == 1]
SP_TWO = [f"sp.{n}" for u, n in SPECIAL.items() if u.nin == 2]
OTHER = ["2", "0.5", "-1.5", "0", "nan", "inf", "[1, 2, 3]", "True", "np.float32(2)", "np.int8(3)", "2j", "[1.0, -2.0]",
         "[[0.5], [2]]", "np.zeros(0)", "-0.0", "2**70"]  # fmt: skip
OPTIONS = ["dtype=np.float32", "dtype=float", "dtype=int", "casting='no'", "order='F'", "dtype=complex",
           "dtype=bool", "subok=False", "dtype=np.float16",
           "casting='unsafe', dtype=np.float32", "nonsense=1", "where=True", "out=None"]  # fmt: skip

OUT = ["out=np.zeros(x.shape, like=x)", "where=mask(x), out=np.ones(x.shape, like=x)",
       "out=np.zeros(x.shape, int, like=x)", "out=np.zeros(9, like=x)"]  # fmt: skip
ARRAYS = {k: v for k, v in FEW.items() if isinstance(v, np.ndarray)}
# NumPy's sign of complex infinities has no formula.
FINITE = {k: v for k, v in FEW.items() if k not in ("inf", "nan", "subnormal")}

UFUNCS: list[Family] = [
    *family(" ".join(UNARY), ["%(x)"], ALL),
    *family(" ".join(u for u in UNARY if u != "np.sign"), "%(x, @)", FEW, options=OPTIONS),
    *family("np.sign", "%(x, @)", FINITE, options=OPTIONS),
    *family(" ".join(UNARY), "%(x, @)", ARRAYS, options=OUT),
    *family(" ".join(BINARY), "%(x, 2, @)", ARRAYS, options=OUT),
    *family(" ".join(BINARY), ["%(x, @)", "%(@, x)"], FEW, options=[o for o in OTHER if o != "2j"]),
    *family(" ".join(BINARY), ["%(x, 2j)", "%(2j, x)"], ARRAYS),
    *family(" ".join(BINARY), ["%(x, y)"], PAIRS, PAIRS),
    *family(" ".join(BINARY), "%(x, 2, @)", FEW, options=OPTIONS),
    *family(" ".join(SP_ONE), "%(x)", ALL),
    *family(" ".join(SP_ONE), "%(x, @)", FEW, options=OPTIONS[:2]),
    *family(" ".join(SP_TWO), ["%(x, @)", "%(@, x)"], {k: v for k, v in FEW.items() if k in REAL}, options=OTHER[:9]),
    *family("+ - * / ** // % @ & | ^ << >> < <= > >= == !=", ["x % (@)", "(@) % x"], ARRAYS, options=OTHER),
    *family("divmod", ["divmod(x, @)", "divmod(@, x)"], FEW, options=OTHER),
    *family("unary", ["-x", "+x", "abs(x)", "~x", "x is not None", "pow(x, 2)"], ALL),
]  # fmt: skip
FAMILIES: list[Family] = [*CALCULUS, *PRODUCTS, *LINALG, *TRANSFORMS, *UFUNCS]
_ = (MATRICES, NUMBERS, LINE)
