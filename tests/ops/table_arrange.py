"""Calls of NumPy's functions that move, choose, index, insert and ask, on awkward arrays."""

# ruff: noqa: E501  (a line is a row of a table)
from __future__ import annotations

import numpy as np
from awkward import ALL, CUBES, FEW, FLAT, MATRICES, SCALARS, SQUARES, VECTORS, Family, family

PAIRS = {k: FEW[k] for k in ("matrix", "float32", "bool", "complex", "no rows", "vector", "0-d",
                             "integers", "nothing", "reversed")}  # fmt: skip
AXIS = ["axis=0", "axis=-1", "axis=1", "axis=5", "axis=-3", "axis=None"]
NDIM = {**PAIRS, **{k: CUBES[k] for k in ("cube", "empty cube")}}
INTEGERS = {
    k: FEW[k] for k in ("int8", "integers", "bool", "0-d integer", "nothing", "vector", "matrix")
}
EVERY = {**FEW, **CUBES, **{k: MATRICES[k] for k in ("broadcast", "int64", "uint8")}}
# A plain number of NumPy's cannot be given as like=.
EVERY_ARRAY = {k: v for k, v in EVERY.items() if isinstance(v, np.ndarray)}
ARRAYS = {k: v for k, v in FEW.items() if isinstance(v, np.ndarray)}

SHAPE: list[Family] = [
    *family("np.reshape", "np.reshape(x, @)", EVERY, options=[
        "-1", "(3, 2)", "(-1, 3)", "(-1, -1)", "(0, -1)", "()", "(1, 1)", "6", "(4,)", "(3, -1), 'F'",
        "-1, order='A'", "-1, order='K'", "-1, order='Q'", "(2, 3), copy=True", "-1, copy=False",
        "(-2,)", "1.5", "[3, 2]", "x.shape[::-1], order='F'", "-1, order='C'"]),
    *family("np.ravel", "np.ravel(x, @)", EVERY, options=["", "'F'", "'A'", "'K'", "order='Q'"]),
    *family("np.transpose", "np.transpose(x, @)", EVERY, options=[
        "", "(1, 0)", "(0, 1)", "(-1, 0)", "(0, 0)", "(0,)", "(2, 0, 1)", "None", "(0, 5)", "()"]),
    *family("np.permute_dims", "np.permute_dims(x, @)", PAIRS, options=["", "(1, 0)", "axes=(0,)"]),
    *family("np.matrix_transpose np.linalg.matrix_transpose", "%(x)", EVERY),
    *family("np.swapaxes", "np.swapaxes(x, @)", EVERY, options=[
        "0, 1", "-1, 0", "0, 0", "0, 5", "2, 0"]),
    *family("np.moveaxis", "np.moveaxis(x, @)", EVERY, options=[
        "0, 1", "0, -1", "[0, 1], [1, 0]", "[0, 0], [0, 1]", "0, [0, 1]", "5, 0", "(), ()"]),
    *family("np.rollaxis", "np.rollaxis(x, @)", EVERY, options=[
        "1", "0, 2", "1, -1", "0, 5", "5", "-1", "0, 1", "0, -5"]),
    *family("np.expand_dims", "np.expand_dims(x, @)", EVERY, options=[
        "0", "-1", "1", "(0, 2)", "(0, 0)", "5", "-4", "()", "[0, 1]", "(0, -1)"]),
    *family("np.squeeze", "np.squeeze(x, @)", EVERY, options=[
        "", "0", "axis=-1", "axis=(0, 1)", "axis=()", "axis=5", "axis=(0, 0)"]),
    *family("np.squeeze", "np.squeeze(np.expand_dims(x, 0), @)", EVERY, options=[
        "", "0", "axis=-1", "axis=(0,)", "axis=(0, 0)"]),
    *family("np.atleast_1d np.atleast_2d np.atleast_3d", ["%(x)", "%(x, 1.0)", "%(x, [1, 2])"],
            EVERY),
    *family("np.broadcast_to", "np.broadcast_to(x, @)", EVERY, options=[
        "(2, 2, 3)", "(3,)", "()", "(0, 3)", "5", "(4, 4)", "(-1, 3)", "x.shape", "(2, 3), subok=True"]),
    *family("np.broadcast_arrays", ["np.broadcast_arrays(x)", "np.broadcast_arrays(x, 1.0)",
            "np.broadcast_arrays(x, [[1], [2]])"], EVERY),
    *family("np.broadcast_arrays", "np.broadcast_arrays(x, y)", PAIRS, PAIRS),
    *family("np.concatenate", "np.concatenate([x, y], @)", NDIM, NDIM, options=["", *AXIS]),
    *family("np.concatenate", "np.concatenate(@)", EVERY, options=[
        "[x]", "[]", "[x, x], axis=1", "(x, [1.0])", "x", "[x, x], dtype=np.float32",
        "[x, x], dtype=int", "[x, x], dtype=int, casting='unsafe'", "[x, x], casting='nonsense'",
        "[x, x * 1j], dtype=float"]),
    *family("np.concat", "np.concat([x, x], @)", PAIRS, options=["", "axis=1"]),
    *family("np.stack", "np.stack([x, y], @)", PAIRS, PAIRS, options=["", "axis=-1", "axis=5"]),
    *family("np.stack", "np.stack(@)", EVERY, options=[
        "[x]", "[]", "[x, x], axis=1", "[x, x], axis=-4", "x", "[x, x], dtype=np.float32",
        "[x, x], dtype=int", "[x, x], dtype=int, casting='unsafe'", "[x, 2.0]"]),
    *family("np.vstack np.hstack np.dstack np.column_stack",
            ["%([x, y])", "%((y, x, y))"], PAIRS, PAIRS),
    *family("np.vstack np.hstack np.dstack np.column_stack", ["%([x])", "%(x)", "%([x, 1.0])"],
            EVERY),
    *family("np.vstack np.hstack", ["%([x, x], dtype=np.float32)", "%([x, x], dtype=int)"], EVERY),
    *family("np.block", ["np.block([x, y])", "np.block([[x, y], [x, y]])", "np.block([[x], [y]])"],
            PAIRS, PAIRS),
    *family("np.block", ["np.block(x)", "np.block([[x, 1.0]])", "np.block([])", "np.block([[x], 1])",
                         "np.block([[x, []]])", "np.block((x, x))"], EVERY),
    *family("np.append", "np.append(x, y, @)", NDIM, NDIM, options=["", "axis=0", "axis=-1"]),
    *family("np.append", "np.append(x, @)", EVERY, options=["1.0", "[1, 2]", "[[1, 2, 3]], axis=0",
            "[], axis=0", "2j", "[[1.0]], axis=1"]),
    *family("np.split np.array_split", "%(x, @)", EVERY, options=[
        "2", "3", "1", "0", "-1", "[1]", "[1, 1, 5]", "[]", "2, axis=1", "3, axis=-1", "2, axis=5",
        "[-1]", "[2, 1]", "2.5", "7", "(1,), axis=-1", "np.array([1])"]),
    *family("np.vsplit np.hsplit np.dsplit", "%(x, @)", EVERY, options=["1", "2", "[1]", "3"]),
    *family("np.unstack", "np.unstack(x, @)", EVERY, options=["", "axis=-1", "axis=5"]),
    *family("np.tile", "np.tile(x, @)", EVERY, options=[
        "2", "(2, 1)", "(1, 2, 1)", "0", "()", "(2, 0)", "-1", "[1, 1]", "1", "1.5"]),
    *family("np.repeat", "np.repeat(x, @)", EVERY, options=[
        "2", "0", "-1", "[1, 2]", "2, axis=0", "[1, 0], axis=0", "[1, 2, 0], axis=1", "2, axis=5",
        "[2], axis=-1", "[]", "1.5", "[1, 2, 0, 1]", "True", "np.arange(6)", "[[1, 2]], axis=0"]),
    *family("np.roll", "np.roll(x, @)", EVERY, options=[
        "1", "-7", "0", "1, axis=0", "1, axis=-1", "(1, 2), axis=(0, 1)", "(1, 1)", "1, axis=5",
        "2, axis=(0, 1)", "1.5", "(1, 2), axis=0", "[1], axis=[0]"]),
    *family("np.flip", "np.flip(x, @)", EVERY, options=["", "0", "-1", "axis=(0, 1)", "5", "()"]),
    *family("np.flipud np.fliplr", "%(x)", EVERY),
    *family("np.rot90", "np.rot90(x, @)", EVERY, options=[
        "", "2", "-1", "4", "1, axes=(1, 0)", "1, axes=(0, 0)", "1, axes=(0, 5)", "3, axes=(-1, 0)",
        "1, axes=(0,)"]),
    *family("np.pad", "np.pad(x, @)", EVERY, options=[
        "1", "0", "(1, 2)", "((1, 0), (2, 1))", "-1", "1, mode='edge'", "2, mode='reflect'",
        "5, mode='reflect'", "2, mode='symmetric'", "2, mode='wrap'", "1, mode='linear_ramp'",
        "1, mode='mean'", "1, mode='nonsense'", "1, constant_values=2.5",
        "1, constant_values=(1, 2)", "1, constant_values=((1, 2), (3, 4))",
        "{0: 1}", "{-1: (2, 0)}", "1.5", "2, mode='reflect', reflect_type='odd'", "1, nonsense=1",
        "[[1, 1]]", "1, mode='edge', constant_values=1", "1, mode='maximum'", "(1, 2, 3)"]),
    *family("np.delete", "np.delete(x, @)", EVERY, options=[
        "0", "-1", "9", "[0, 1]", "[]", "slice(0, 2)", "slice(None, None, -1)", "0, axis=0",
        "1, axis=-1", "[0, 0], axis=0", "0, axis=5", "[True, False], axis=0", "np.array([0])",
        "[-1, 0], axis=1", "1.0", "[9]", "slice(5, 9), axis=0", "np.array(1)", "np.int64(-9)",
        "[True, False, True, False]", "True"]),
    *family("np.insert", "np.insert(x, @)", EVERY, options=[
        "0, 5.0", "-1, 5", "[0, 1], 5.0", "[0, 0], [1, 2]", "9, 1", "[], []", "1, [1, 2]",
        "0, 5.0, axis=0", "1, [1.0, 2.0], axis=1", "0, [[1, 2, 3]], axis=0", "slice(0, 2), 9",
        "0, 1.5, axis=5", "[2, 0], [7, 8]", "0, 2j", "[1], [[1], [2]], axis=1", "np.array(0), 3",
        "[True, False], 1", "0, [1, 2, 3], axis=0", "[1, 0], [[1], [2]], axis=0", "1.0, 2.0",
        "[-1, -1], [1, 2]", "0, nan"]),
    *family("np.resize", "np.resize(x, @)", EVERY, options=[
        "2", "(3, 4)", "0", "()", "(0, 2)", "-1", "(2, -1)", "7", "1.5", "[2, 2]"]),
    *family("np.lib.stride_tricks.sliding_window_view", "sliding(x, @)", EVERY, options=[
        "2", "(1, 2)", "2, axis=0", "2, axis=-1", "1, axis=1", "9, axis=0", "(1, 1), axis=(0, 0)",
        "0, axis=0", "(2, 2), axis=(0, 1)", "2, axis=5", "-1, axis=0", "()", "2, writeable=True"]),
    *family("np.meshgrid", "np.meshgrid(x, y, @)", PAIRS, PAIRS, options=[
        "", "indexing='ij'", "sparse=True", "copy=False", "indexing='nonsense'"]),
    *family("np.meshgrid", ["np.meshgrid(x)", "np.meshgrid(x, [1.0, 2.0], x, indexing='ij')",
                            "np.meshgrid(x, 2.0)"], EVERY),
    *family("np.ix_", ["np.ix_(x)", "np.ix_(x, [0, 1])", "np.ix_([True, False], x)"], EVERY),
]  # fmt: skip

CHOOSING: list[Family] = [
    *family("np.where", "np.where(x, @)", EVERY, options=[
        "", "1.0", "1.0, 0.0", "x, 0", "1, 2", "x, [[1.0], [2.0]]", "True, False", "1j, x", "x, nan",
        "np.float32(1), np.float16(2)", "[1, 2, 3], x"]),
    *family("np.where", "np.where(mask(x), x, @)", EVERY, options=[
        "0", "0.0", "x * 2", "nan", "[1, 2, 3]", "True", "2j", "np.int8(3)", "np.float32(2)"]),
    *family("np.where", "np.where(x > 0, x, y)", PAIRS, PAIRS),
    *family("np.nonzero np.flatnonzero np.argwhere", "%(x)", ALL),
    *family("np.select", "np.select(@)", EVERY, options=[
        "[x > 0, x < 0], [x, 2 * x]", "[x > 0], [x], 9.0", "[x > 0], [x], x", "[], []",
        "[x > 0], [1]", "[x > 0, x > 0], [x]", "[mask(x)], [x], 1.5", "[x], [x]", "[True], [x]",
        "[x > 0, x > -1], [1, 2.5], default=3", "[mask(x), ~mask(x)], [x, 2j]"]),
    *family("np.choose", "np.choose(@)", EVERY, options=[
        "0, [x]", "[0, 1], [x, 2 * x]", "mask(x).astype(int), [x, -x]", "5, [x]", "-1, [x, x]",
        "5, [x, -x], mode='wrap'", "-1, [x, -x], mode='clip'", "[0.5], [x]", "[0, 1, 0], [x, 1.0]",
        "mask(x), [x, 2.0]", "0, []", "0, x", "-5, [x, -x], mode='wrap'", "0, [x], mode='nonsense'"]),
    *family("np.choose", ["np.choose(x, [1.0, 2.0, 3.0, 4.0])", "np.choose(x, [[1, 2], [3, 4]])",
                          "np.choose(x, [1.0, 2.0], mode='wrap')",
                          "np.choose(x, [1.0, 2.0], mode='clip')"], INTEGERS),
    *family("np.clip", "np.clip(x, @)", ALL, options=[
        "0, 1", "-1.0, 1.0", "0", "None, 1", "0, None", "None, None", "1, 0", "nan, 1", "0.5, 1.5",
        "min=0, max=1", "min=0", "max=1.0", "a_min=0, a_max=1", "0, 1, min=2", "[0, 0.5, 1], 2", "0, inf",
        "np.float32(0), np.float32(1)", "-1, 300", "0, 1, dtype=np.float32", "", "0, 2j", "True, 1",
        "[[0]], [[1], [2]]"]),
    *family("np.piecewise", "np.piecewise(x, @)", EVERY, options=[
        "[x > 0, x <= 0], [1.0, -1.0]", "[x > 0], [lambda v: v * 2, lambda v: v + 1]",
        "[x > 0], [5]", "x > 0, [1, 2]", "[x > 0, x > 1], [1, 2, 3]", "[x > 0], [1, 2, 3]",
        "[x > 0, x > -1], [lambda v: v, 2.5]",
        "[mask(x), ~mask(x)], [lambda v: -v, lambda v: v]", "[mask(x)], [lambda v, k: v * k, 0], 3.0",
        "[mask(x)], [lambda v: v.size, 0]", "[True], [2.0]"]),
    *family("np.nan_to_num", "np.nan_to_num(x, @)", ALL, options=[
        "", "nan=1.5", "posinf=9.0", "neginf=-9, nan=3", "nan=[1.0, 2.0, 3.0]", "posinf=0"]),
    *family("np.nan_to_num", "after(x, lambda y: np.nan_to_num(y, copy=False))", ALL),
    *family("np.take", "np.take(x, @)", EVERY, options=[
        "0", "[0, -1]", "9", "[]", "[[0, 1], [1, 0]]", "1, axis=0", "[0, 1], axis=-1", "0, axis=5",
        "9, mode='wrap'", "-3, mode='clip'", "[5, -5], axis=0, mode='wrap'", "[5, -5], mode='clip'",
        "0.5", "True", "0, mode='nonsense'", "np.uint8(1)", "[9], axis=0", "slice(1)",
        "[0, -9], axis=1, mode='clip'", "np.array(0), axis=0"]),
    *family("np.take", ["np.take([1.0, 2.0, 3.0], x)", "np.take([1.0, 2.0, 3.0], x, mode='wrap')",
                        "np.take([1.0, 2.0, 3.0], x, mode='clip')"], INTEGERS),
    *family("np.take_along_axis", "np.take_along_axis(x, @)", EVERY, options=[
        "np.argsort(x, -1), -1", "np.argsort(x, axis=0), axis=0", "np.array([[0]]), 0",
        "np.array([0, 1]), None", "np.array([[9]]), 0", "np.array([0]), 0", "np.array([[0.5]]), 0",
        "np.array([[0], [-1]]), 1", "np.array([[0]]), 5", "np.argmax(x, -1, keepdims=True), -1"]),
    *family("np.compress", "np.compress(@)", EVERY, options=[
        "[True, False], x", "[1, 0, 2], x", "[True], x, axis=0", "[True, False, True], x, axis=1",
        "[], x", "[False, False, False, True, False, False, False, False], x",
        "[False] * 8 + [True], x", "[True], x, axis=5", "[[True]], x", "mask(x).ravel(), x",
        "[True, False], x, axis=-1"]),
    *family("np.extract", ["np.extract(mask(x), x)", "np.extract(x > 0, x)", "np.extract([1, 0], x)",
                           "np.extract(True, x)", "np.extract([0] * 9, x)", "np.extract([], x)"],
            EVERY),
    *family("np.put_along_axis", "after(x, lambda y: np.put_along_axis(y, @))", EVERY, options=[
        "np.array([[0]]), 9.0, 0", "np.array([[0], [1]]), [[1], [2]], 1", "np.array([0]), 1, None",
        "np.array([[9]]), 1, 0", "np.array([0]), 1, 0", "np.argsort(y, -1), 5.0, -1",
        "np.array([[0, 0]]), [[1.0, 2.0]], 1"]),
    *family("np.copyto", "after(x, lambda y: np.copyto(y, @))", EVERY, options=[
        "1.0", "[1, 2, 3]", "2j", "y * 2", "5, where=mask(y)", "1, where=False", "[1, 2, 3, 4, 5]",
        "1.5, casting='unsafe'", "nan", "1.5, casting='no'", "1, where=[True, False, True]",
        "3, casting='safe'", "np.float32(1.5)", "True"]),
    *family("np.putmask", "after(x, lambda y: np.putmask(y, @))", EVERY, options=[
        "mask(y), 5.0", "mask(y), [1.0, 2.0]", "y > 0, y * 2", "True, 1", "[True, False], 1.0",
        "mask(y), []", "mask(y), 2j", "mask(y), nan", "mask(y), ramp(y)", "mask(y) * 1, 2",
        "mask(y).ravel(), 7", "mask(y), [[1, 2, 3], [4, 5, 6], [7, 8, 9]]"]),
    *family("np.place", "after(x, lambda y: np.place(y, @))", EVERY, options=[
        "mask(y), [5.0]", "mask(y), [1, 2]", "mask(y), []", "y > 0, [7]", "mask(y), 3.0",
        "[True, False], [1]", "mask(y) & False, []", "mask(y), [2j]", "mask(y), [nan]"]),
    *family("np.put", "after(x, lambda y: np.put(y, @))", EVERY, options=[
        "0, 5.0", "[0, -1], [1, 2]", "[0, 1, 0], [1.0, 2.0]", "9, 1", "[], []", "0, []",
        "[9], 1, mode='wrap'", "[-9, 9], [1, 2], mode='clip'", "0, 2j", "[0], nan", "0, [1, 2, 3]",
        "0, 1, mode='nonsense'", "[[0, 1]], 3"]),
    *family("np.fill_diagonal", "after(x, lambda y: np.fill_diagonal(y, @))",
            {**EVERY, **SQUARES}, options=[
        "5.0", "[1.0, 2.0]", "[1, 2, 3]", "[]", "2j", "nan", "7, wrap=True", "[[1, 2], [3, 4]]",
        "y * 2"]),
    *family("np.fill_diagonal", ["after(np.outer(x, [1, 2]), lambda y: np.fill_diagonal(y, 3, True))",
                                 "after(np.outer(x, [1, 2]), lambda y: np.fill_diagonal(y, [4, 5]))"],
            FEW),
    *family("np.apply_along_axis", "np.apply_along_axis(@)", EVERY, options=[
        "np.sum, 0, x", "np.sort, -1, x", "lambda v: v * 2, 0, x", "lambda v: 1.0, 0, x",
        "np.sum, 5, x", "lambda v, k: v[:1] * k, 0, x, 2.0", "lambda v: v[:, None] * v, -1, x"]),
    *family("np.apply_over_axes", "np.apply_over_axes(@)", EVERY, options=[
        "np.sum, x, 0", "np.sum, x, (0, 1)", "np.max, x, [-1]", "np.sum, x, 5", "np.sum, x, ()"]),
    *family("np.diagonal np.trace", "%(x, @)", {**EVERY, **SQUARES}, options=[
        "", "1", "-1", "5", "-9", "axis1=1, axis2=0", "axis1=0, axis2=0", "axis1=-1, axis2=-2",
        "axis1=0, axis2=5", "offset=1, axis1=0, axis2=-1"]),
    *family("np.trace", "np.trace(x, @)", {**EVERY, **SQUARES}, options=[
        "dtype=np.float32", "dtype=np.int8", "dtype=complex"]),
    *family("np.linalg.diagonal np.linalg.trace", "%(x, @)", {**EVERY, **SQUARES}, options=[
        "", "offset=1", "offset=-2"]),
    *family("np.diag np.diagflat", "%(x, @)", EVERY, options=["", "1", "-2", "k=0", "0.5"]),
    *family("np.tril np.triu", "%(x, @)", EVERY, options=["", "1", "-1", "5", "k=-9"]),
    *family("np.diag_indices_from np.tril_indices_from np.triu_indices_from", "%(x)",
            {**EVERY, **SQUARES}),
    *family("np.tril_indices_from np.triu_indices_from", "%(x, 1)", SQUARES),
    *family("np.unravel_index", "np.unravel_index(x, @)", INTEGERS, options=[
        "(2, 3)", "6", "(300,)", "(2, 3), order='F'", "(0,)", "()", "(30, 10)", "[30, 10]"]),
    *family("np.unravel_index", "np.unravel_index(@, x.shape)", EVERY, options=["0", "[0, 1]"]),
    *family("np.ravel_multi_index", "np.ravel_multi_index(@)", INTEGERS, options=[
        "(x, x), (4, 4)", "(x,), (300,)", "(x, 1), (300, 2)", "(x, x), (4, 4), mode='wrap'",
        "(x, x), (4, 4), mode='clip'", "(x, x), (4, 4), order='F'", "(x,), (4, 4)", "x, (4, 4)"]),
]  # fmt: skip

READ: list[Family] = [
    *family("index", "x[@]", EVERY, options=[
        "0", "-1", "9", "...", "None", "()", "1:", "::-1", "0, 0", "..., 0", "0, 0, 0, 0", "[0, 1]",
        "[]", "[[0, 0]]", "True", "False", "np.array(True)", "np.array(0)", "np.int8(0)", "0.5", "'a'",
        "[True, False]", "mask(x)", "x > 0", "mask(x)[0]", "None, 0", "[0], [0]", "0, [0]", "[0], :, ",
        ":, [0, -1]", "np.array([], int)", "np.array([0.0])", "..., None", "None, ..., None", "..., ...",
        "[0, 9]", "1:0", "5:9", "::0", "slice(None, None, 2)", "0:1, 0:1", "True, 0", "[0], True",
        "np.uint8(0)", "[[0], [1]], [0, 1]", "[False] * len(x)", "None, [0], None", "True, False",
        "np.ones(x.shape, bool)", "(0,)", "[0, 1], None, [0, 1]", "0, ..., 0", "np.bool_(True)",
        "np.zeros((0, 2), int)", "x[..., 0] > 0", "..., mask(x)", "mask(x), None"]),
    *family("assign", "after(x, lambda y: y.__setitem__(@))", EVERY, options=[
        "0, 5.0", "..., 2", "(), 3", "[0, 0], [1.0, 2.0]", "mask(y), 7", "y > 0, 0", "slice(1), [1, 2]",
        "9, 1", "0, 2j", "None, 1", "True, 4", "False, 4", "([0], [0]), 8", "..., y * 2", "0, nan",
        "[True, False], 1.5", "mask(y), [1, 2]", "mask(y), []", "slice(5, 9), 1", "..., [[1, 2, 3]]",
        "0, [1, 2, 3]", "0, np.array([[1, 2, 3]])", "slice(None, None, -1), y", "0, [1, 2]",
        "mask(y), y[mask(y)] * 2", "..., True", "[], 5.0", "0, None", "np.array(True), 2"]),
    *family("update", "after(x, lambda y: y.__iadd__(@))", EVERY, options=[
        "1", "1.5", "[1, 2, 3]", "y", "2j", "[1, 2, 3, 4, 5]", "np.float32(1)", "True"]),
    *family("update", ["after(x, lambda y: y.__imul__(2.5))", "after(x, lambda y: y.__itruediv__(2))",
                       "after(x, lambda y: y.__ipow__(2))", "after(x, lambda y: y.__ifloordiv__(2))",
                       "after(x, lambda y: y.__imod__(2))", "after(x, lambda y: y.__isub__(True))",
                       "after(x, lambda y: y.__iand__(1))"], EVERY),
]  # fmt: skip

ASKING: list[Family] = [
    *family("np.isclose np.allclose", "%(x, @)", ALL, options=[
        "x", "1.0", "[0.5, 1.0, nan]", "x + 1e-9", "inf", "x, equal_nan=True", "1, atol=2",
        "1, rtol=0.5", "1, 0.5, 0.25, True", "x[::-1]"]),
    *family("np.isclose np.allclose", "%(1.5, x, @)", ALL, options=["", "rtol=0.5"]),
    *family("np.array_equal", "np.array_equal(x, @)", ALL, options=[
        "x", "1.0", "x + 0", "x, equal_nan=True", "[1, 2]", "np.copy(x)", "x[None]"]),
    *family("np.array_equiv", "np.array_equiv(x, @)", ALL, options=["x", "1.0", "x[None]", "[1, 2]"]),
    *family("np.iscomplex np.isreal np.isposinf np.isneginf np.iscomplexobj np.isrealobj np.shape "
            "np.ndim np.size np.real np.imag np.real_if_close np.angle np.copy np.zeros_like "
            "np.ones_like np.common_type np.result_type",
            "%(x)", ALL),
    *family("np.real_if_close", "np.real_if_close(x + 0j, @)", ALL, options=["", "tol=1", "tol=0"]),
    *family("np.real_if_close", "np.real_if_close(x + 1e-14j, @)", ALL, options=["", "tol=1", "0.5"]),
    *family("np.angle", ["np.angle(x, deg=True)", "np.angle(x + 1j)", "np.angle(-x)"], ALL),
    *family("np.size", "np.size(x, @)", EVERY, options=["0", "-1", "5", "axis=None", "(0, 1)"]),
    *family("np.result_type np.can_cast", ["%(x, np.float32)", "%(x, int)", "%(x, 'c8')"], EVERY),
    *family("np.result_type", ["np.result_type(x, 1.0)", "np.result_type(x, 2j)"], EVERY),
    *family("np.common_type", ["np.common_type(x, np.ones(2, 'f4'))", "np.common_type(x, x)"], EVERY),
    *family("np.shares_memory np.may_share_memory",
            ["%(x, x)", "%(x, np.copy(x))", "%(x, x[::-1])"], EVERY_ARRAY),
    *family("np.round np.around", "%(x, @)", ALL, options=["", "1", "-1", "3", "decimals=2", "-2", "20",
            "400", "1.5", "-400"]),
    *family("np.fix", "np.fix(x)", ALL),
    *family("np.isposinf np.isneginf", "%(x, out=np.zeros(x.shape, bool, like=x))", ARRAYS),
    *family("np.copy", "np.copy(x, @)", EVERY, options=["'F'", "order='C'", "'A'", "'Q'"]),
    *family("np.astype", "np.astype(x, @)", ALL, options=[
        "float", "np.float32", "int", "np.int8", "bool", "complex", "float, copy=False", "np.float16"]),
    *family("np.zeros_like np.ones_like", "%(x, @)", EVERY, options=[
        "dtype=np.float32", "dtype=int", "shape=(2, 2)", "order='F'", "shape=3", "shape=()",
        "dtype=bool, shape=(0,)", "order='Q'"]),
    *family("np.empty_like", "np.empty_like(x, @).shape", EVERY, options=["", "dtype=int", "shape=2"]),
    *family("np.full_like", "np.full_like(x, @)", EVERY, options=[
        "2.5", "nan", "True", "[1, 2, 3]", "1j", "2, dtype=float", "2.5, dtype=int", "1, shape=(2, 2)",
        "300", "1, order='F'", "[1, 2, 3, 4, 5]", "'a'", "x"]),
    *family("np.array", "np.array(@, like=x)", EVERY_ARRAY, options=[
        "x", "x, ndmin=3", "[1, 2]", "[x, x]", "x, dtype=np.float32", "x, dtype=int", "x, order='F'",
        "x, copy=None", "x, copy=False", "2.5", "[x, 1.0]", "x, ndmin=0", "x, subok=True", "[]",
        "x, float, ndmin=2", "[1, 2], ndmin=3", "x, copy=False, dtype=np.float32", "[[x], [x]]"]),
    *family("np.require", "np.require(@, like=x)", EVERY_ARRAY, options=["x", "x, float", "[1, 2]", "x, None, 'C'", "x, requirements=['F']"]),
    *family("np.asarray np.asanyarray np.ascontiguousarray np.asfortranarray", "%(@, like=x)", EVERY_ARRAY, options=[
        "x", "[1, 2]", "x, dtype=np.float32", "2.5", "[x, x]", "x, dtype=int"]),
    *family("np.asarray np.asanyarray", "%(@, like=x)", EVERY_ARRAY, options=[
        "x, copy=True", "x, copy=False", "x, order='F'", "x, float, order='C'"]),
    *family("np.zeros np.ones", "%(@, like=x)", ARRAYS, options=[
        "3", "(2, 0)", "()", "x.shape", "2, int", "(2, 2), order='F'", "-1", "1.5"]),
    *family("np.empty", "np.empty(@, like=x).shape", ARRAYS, options=["3", "(2, 0)", "()", "-1"]),
    *family("np.full", "np.full(@, like=x)", ARRAYS, options=[
        "3, 2.5", "(2, 2), 1", "(), True", "2, nan, np.float32", "2, [1, 2]", "(2, 2), x", "2, 3j", "-1, 2",
        "3, 2.5, dtype=int", "np.int64(2), 1.0", "(2,), x, dtype=np.float32", "[2], 1"]),
    *family("np.arange", "np.arange(@, like=x)", ARRAYS, options=["3", "1, 2, 0.25", "0", "-1", "3.0", "1, 4, 2",
            "5, 1, -1", "3, dtype=np.float32", "stop=3", "0, 1, 0"]),
    *family("np.eye np.tri", "%(@, like=x)", ARRAYS, options=["3", "2, 3", "3, k=1", "2, 4, -1", "0",
            "2, dtype=int", "-1"]),
    *family("np.identity", "np.identity(@, like=x)", ARRAYS, options=["3", "0", "2, int", "-1"]),
]  # fmt: skip

FAMILIES: list[Family] = [*SHAPE, *CHOOSING, *READ, *ASKING]
_ = (FLAT, SCALARS, VECTORS)
