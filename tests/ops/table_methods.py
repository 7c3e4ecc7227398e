"""Calls of the methods of arrays, on awkward arrays."""

# ruff: noqa: E501  (a line is a row of a table)
from __future__ import annotations

import numpy as np
from awkward import ALL, FEW, Family, family

AXIS = ["", "axis=0", "axis=-1", "axis=(0, 1)", "axis=5", "0", "axis=0, keepdims=True", "0, None"]
ARRAYS = {k: v for k, v in FEW.items() if isinstance(v, np.ndarray)}
FAMILIES: list[Family] = [
    *family("sum prod mean var std max min any all", "x.%(@)", ALL, options=[*AXIS, "where=mask(x)", "keepdims=True",
            "initial=1"], loose=True),
    *family("argmax argmin", "x.%(@)", ALL, options=["", "0", "axis=-1", "axis=5", "keepdims=True"]),
    *family("cumsum cumprod", "x.%(@)", ALL, options=["", "0", "axis=-1", "axis=5", "dtype=np.float32"]),
    *family("argsort", "x.argsort(kind='stable', @)", ALL, options=["", "axis=0", "axis=-1", "axis=None", "axis=5"]),
    *family("argpartition", "np.take_along_axis(x, x.argpartition(@), -1)[..., 0]", ARRAYS, options=["0", "9", "0, axis=5"]),
    *family("sort", "after(x, lambda y: y.sort(@))", ALL, options=["", "0", "axis=-1", "axis=5", "axis=None",
            "kind='stable'"]),
    *family("partition", "np.sort(after(x, lambda y: y.partition(@)), axis=None)", FEW, options=["0", "9", "0, 5", "-1"]),
    *family("astype", "x.astype(@)", ALL, options=["float", "np.float32", "int", "bool", "complex", "float, copy=False",
            "np.int8, casting='safe'", "float, 'F'", "np.float16", "float, order='Q'", "np.float32, casting='no'"]),
    *family("choose", "x.choose(@)", FEW, options=["[1.0, 2.0]", "[1, 2], mode='wrap'", "[3, 4, 5], mode='clip'"]),
    *family("clip", "x.clip(@)", ALL, options=["0, 1", "0.5", "min=0", "max=0.5", "", "None, 1", "0, None, dtype=float"]),
    *family("compress", "x.compress(@)", FEW, options=["[True, False]", "[1, 0], axis=0", "[True] * 9"]),
    *family("conj conjugate copy flatten ravel transpose squeeze nonzero round tolist view item", "x.%()", ALL),
    *family("copy flatten ravel", "x.%(@)", FEW, options=["'F'", "'C'", "'A'", "'K'", "'Q'"]),
    *family("diagonal trace", "x.%(@)", FEW, options=["", "1", "offset=-1, axis1=1, axis2=0", "0, 0, 0"]),
    *family("dot", "x.dot(@)", ARRAYS, options=["2", "[1.0, 2.0, 3.0]", "x", "x.T", "[]"]),
    *family("fill", "after(x, lambda y: y.fill(@))", FEW, options=["2", "2.5", "nan", "1j", "[1]", "[1, 2]", "True"]),
    *family("item", "x.item(@)", FEW, options=["0", "-1", "9", "0, 0", "(0, 0)", "0.5"]),
    *family("put", "after(x, lambda y: y.put(@))", FEW, options=["0, 5", "[0, 1], [1.0]", "9, 1", "9, 1, 'wrap'", "[], 1"]),
    *family("repeat", "x.repeat(@)", FEW, options=["2", "0", "[1, 2], axis=0", "2, 1", "-1", "2, axis=5"]),
    *family("reshape", "x.reshape(@)", FEW, options=["-1", "3, 2", "(3, 2)", "(-1, 3), order='F'", "()", "", "2, -1, copy=True",
            "-1, -1", "6, 1", "(1, -1)", "-1, copy=False", "[6]"]),
    *family("round", "x.round(@)", ALL, options=["1", "decimals=-1", "2"]),
    *family("searchsorted", "x.searchsorted(@)", FEW, options=["0.5", "[0.1, 2.0], side='right'", "0.5, sorter=[0, 1, 2, 3]"]),
    *family("squeeze", "x.squeeze(@)", FEW, options=["0", "axis=-1", "axis=(0, 1)"]),
    *family("swapaxes", "x.swapaxes(@)", FEW, options=["0, 1", "0, -1", "0, 5"]),
    *family("take", "x.take(@)", FEW, options=["0", "[0, 1], axis=0", "9", "9, mode='wrap'", "[[0]], 1"]),
    *family("transpose", "x.transpose(@)", FEW, options=["1, 0", "(1, 0)", "None", "0", "0, 0", "[1, 0]", "1, -2"]),
    *family("view", "x.view(@)", FEW, options=["float", "x.dtype", "np.int64", "np.ndarray"]),
    *family("attributes", ["x.T", "x.real", "x.imag", "x.shape", "x.dtype", "x.ndim", "x.size", "x.nbytes",
            "x.itemsize", "x.strides", "x.flags.c_contiguous", "x.flat[0]", "x.flat[1:]", "list(x.flat)", "len(x)", "list(x)", "len(x.flat)", "x.flat[[0, 1]]",
            "x.flat[9]", "x.device", "x.flat[x.ravel() > 0]", "x.flat[...]"], ALL),
    *family("attributes", ["after(x, lambda y: setattr(y, 'real', 2))", "after(x, lambda y: setattr(y, 'imag', 2))",
            "after(x, lambda y: setattr(y, 'flat', 2))", "after(x, lambda y: y.flat.__setitem__(0, 3))",
            "after(x, lambda y: setattr(y, 'flat', [1, 2]))", "after(x, lambda y: y.flat.__setitem__(slice(2), [3, 4]))"], ALL),
    *family("mT", "x.mT", ARRAYS),
    *family("conversion", ["int(x)", "float(x)", "bool(x)", "complex(x)", "[1, 2, 3, 4][x]", "range(x)", "x in [1]"],
            ALL),
    *family("conversion", ["1.0 in x", "0.25 in x"], ARRAYS),
]  # fmt: skip
