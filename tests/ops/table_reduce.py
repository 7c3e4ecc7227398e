"""Calls of NumPy's reductions, statistics, cumulative functions and sorting, on awkward arrays."""

# ruff: noqa: E501  (a line is a row of a table)
from __future__ import annotations

from awkward import ALL, FEW, FLAT, LINES, MATRICES, REAL, SCALARS, VECTORS, Family, family

AXIS = ["", "axis=0", "axis=-1", "axis=1", "axis=(0, 1)", "axis=(-1, 0)", "axis=()", "axis=(0, 0)",
        "axis=5", "axis=-3", "axis=(0, 7)", "axis=None", "axis=0.5", "axis=np.int64(0)"]  # fmt: skip
KEEP = ["keepdims=True", "axis=0, keepdims=True", "axis=(0,), keepdims=True",
        "axis=(), keepdims=True"]  # fmt: skip
WHERE = ["where=mask(x)", "axis=0, where=mask(x)", "where=True", "where=False",
         "axis=-1, where=mask(x), keepdims=True", "where=np.array([True, False, True])",
         "where=[[True], [False]]", "where=mask(x) * 1"]  # fmt: skip
INITIAL = ["initial=2.0", "initial=-3", "axis=0, initial=0.5", "initial=True",
           "where=mask(x), initial=-5", "axis=0, where=False, initial=4", "initial=None"]  # fmt: skip
DTYPE = ["dtype=float", "dtype=np.float32", "dtype=np.int8", "dtype=np.int64", "dtype=bool",
         "dtype=complex", "axis=0, dtype=np.float16"]  # fmt: skip
ONE_AXIS = ["", "axis=0", "axis=-1", "axis=1", "axis=5", "axis=-3", "axis=None", "axis=(0,)",
            "axis=0.5"]  # fmt: skip
OUT = ["axis=0, out=np.zeros(x.shape[1:], like=x)", "axis=0, out=np.zeros(7, like=x)",
       "axis=0, out=np.zeros(x.shape[1:], int, like=x)"]  # fmt: skip
DDOF = ["ddof=1", "ddof=2", "ddof=5", "ddof=0.5", "ddof=-1", "axis=0, ddof=1", "axis=1, ddof=3",
        "correction=1", "axis=0, correction=2.5", "ddof=1, correction=1", "ddof=7, where=mask(x)",
        "axis=0, where=mask(x), ddof=1", "mean=np.mean(x, keepdims=True)"]  # fmt: skip
SHARES = ["0.5", "0.3", "0", "1", "0.0", "[0.2, 0.7]", "[]", "1.5", "-0.1", "nan", "[[0.1], [1.0]]",
          "0.25, axis=0", "0.25, axis=-1", "0.25, axis=(0, 1)", "0.25, axis=5", "0.75, keepdims=True",
          "[0.2, 0.9], axis=0, keepdims=True", "np.float32(0.3)", "True", "np.array(0.5)"]  # fmt: skip
METHODS = [f"0.3, method={m!r}" for m in (
    "inverted_cdf", "averaged_inverted_cdf", "closest_observation", "interpolated_inverted_cdf",
    "hazen", "weibull", "linear", "median_unbiased", "normal_unbiased", "lower", "higher",
    "midpoint", "nearest", "nonsense",
)]  # fmt: skip

FAMILIES: list[Family] = [
    *family("np.sum np.prod", "%(x, @)", ALL, options=[*AXIS, *KEEP, *WHERE, *INITIAL, *DTYPE]),
    *family("np.max np.min np.amax np.amin", "%(x, @)", ALL,
            options=[*AXIS, *KEEP, *WHERE, *INITIAL]),
    *family("np.any np.all", "%(x, @)", ALL, options=[*AXIS, *KEEP, *WHERE]),
    *family("np.mean", "%(x, @)", ALL, options=[*AXIS, *KEEP, *WHERE, *DTYPE]),
    *family("np.var np.std", "%(x, @)", ALL,
            options=[*AXIS, *KEEP, *WHERE, *DTYPE, *DDOF], loose=True),
    *family("np.sum np.prod np.max np.min np.mean np.any np.cumsum np.var", "%(x, @)", MATRICES,
            options=OUT, loose=True),
    *family("np.ptp", "%(x, @)", ALL, options=[*AXIS, *KEEP]),
    *family("np.count_nonzero", "%(x, @)", ALL, options=[*AXIS, *KEEP]),
    *family("np.average", "%(x, @)", FEW, options=[
        *AXIS[:9], *KEEP[:2], "weights=ramp(x)", "axis=0, weights=ramp(x)",
        "axis=0, weights=np.arange(1.0, 3)", "axis=1, weights=np.arange(1.0, 4)",
        "weights=ramp(x) * 0", "weights=[1, 2, 3, 4]", "returned=True", "axis=0, returned=True",
        "axis=1, weights=ramp(x), returned=True, keepdims=True", "weights=mask(x)",
        "weights=np.arange(1, 3)", "axis=(0, 1), weights=ramp(x)", "weights=ramp(x) + 1j",
    ], loose=True),
    *family("np.argmax np.argmin np.nanargmax np.nanargmin", "%(x, @)", ALL, options=[
        *ONE_AXIS, "keepdims=True", "axis=0, keepdims=True"]),
    *family("np.nansum np.nanprod", "%(x, @)", ALL,
            options=[*AXIS[:12], *KEEP, *WHERE[:5], *INITIAL, *DTYPE[:3]]),
    *family("np.nanmax np.nanmin", "%(x, @)", ALL,
            options=[*AXIS[:12], *KEEP, *WHERE[:5], *INITIAL]),
    *family("np.nanmean", "%(x, @)", ALL, options=[*AXIS[:12], *KEEP, *WHERE[:5], *DTYPE]),
    *family("np.nanvar np.nanstd", "%(x, @)", ALL,
            options=[*AXIS[:12], *KEEP, *WHERE[:5], *DTYPE, *DDOF[:12]], loose=True),
    *family("np.median", "%(x, @)", ALL, options=[*AXIS, *KEEP]),
    # NumPy's nanmedian of few numbers adds a median up with itself, which overflows.
    *family("np.nanmedian", "%(x, @)", {k: v for k, v in ALL.items() if k not in ("huge", "large")},
            options=[*AXIS, *KEEP]),
    *family("np.quantile np.nanquantile", "%(x, @)", FEW, options=[*SHARES, *METHODS]),
    *family("np.quantile np.nanquantile", "%(x, 0.4, @)", VECTORS, options=[
        "weights=ramp(x)", "weights=ramp(x), method='inverted_cdf'"]),
    *family("np.quantile np.nanquantile", "%(x, 0.4, overwrite_input=True)",
            {"vector": VECTORS["vector"]}),
    *family("np.percentile np.nanpercentile", "%(x, @)", FEW, options=[
        "50", "30.0", "0", "100", "[20, 70]", "101", "-1", "nan", "25, axis=0", "25, axis=-1",
        "75, keepdims=True", "np.float32(30)", "30, method='lower'", "30, method='weibull'"]),
    *family("np.cumsum np.cumprod np.nancumsum np.nancumprod", "%(x, @)", ALL,
            options=[*ONE_AXIS, *DTYPE]),
    *family("np.cumulative_sum np.cumulative_prod", "%(x, @)", ALL, options=[
        *ONE_AXIS[:6], *DTYPE[:4], "include_initial=True", "axis=0, include_initial=True",
        "axis=-1, include_initial=True, dtype=np.float32"]),
    *family("np.sort", "%(x, @)", ALL, options=[
        *ONE_AXIS, "kind='heapsort'", "kind='nonsense'", "stable=True", "order='f'",
        "kind='stable', axis=0"]),
    *family("np.argsort", "%(x, kind='stable', @)", ALL, options=[*ONE_AXIS, "order='f'"]),
    *family("np.argsort", "np.take_along_axis(x, %(x, @), -1)", ALL, options=[
        "", "stable=True", "kind='heapsort'", "kind='nonsense'"]),
    *family("np.partition", "np.sort(%(x, @), axis=None)", FLAT, options=[
        "0", "-1", "1, axis=0", "0, axis=None", "[0, 0]", "9", "0, axis=5", "1.5", "[]"]),
    *family("np.partition", "%(x, @)[..., 0]", FLAT, options=["0", "9", "0, axis=3"]),
    *family("np.argpartition", "np.take_along_axis(x, %(x, @), -1)[..., 0]", FLAT, options=[
        "0", "-1", "9", "0, axis=5"]),
    *family("np.searchsorted", "np.searchsorted(np.sort(x), @)", FLAT, options=[
        "0.5", "[0.25, 1.0, nan]", "0.5, side='right'", "0.5, side='nonsense'", "[[1, 2], [0, 9]]",
        "[]", "-1.0, 'right'", "inf", "True", "1j", "np.float32(0.5)"]),
    *family("np.searchsorted", "np.searchsorted(x, @)", FLAT, options=[
        "0.5, sorter=np.argsort([0.5, -1.25, 2.0, 0.75])", "0.5, sorter=[0, 1]",
        "[0.1, 0.6], 'right', sorter=[3, 2, 1, 0]", "0.5, sorter=[0, 1, 2, 9]"]),
    *family("np.searchsorted", "np.searchsorted(@, x)", ALL, options=[
        "[-1.0, 0.0, 1.0]", "[-1, 0, 1]", "[]", "[0.0, nan]", "[2.0, 0.0, 1.0]",
        "[[1.0]]", "1.0"]),
    *family("np.digitize", "np.digitize(x, @)", ALL, options=[
        "[-1.0, 0.0, 0.75, 2.0]", "[2.0, 0.75, 0.0, -1.0]", "[-1.0, 0.0, 0.75, 2.0], right=True",
        "[2.0, 0.75, 0.0, -1.0], right=True", "[1.0, 1.0]", "[1.0, 1.0], True", "[0.75]", "[]",
        "[0.0, 2.0, 1.0]", "[3, 2, 0]", "[[1.0]]", "[0.0, nan]", "[nan, 0.0]", "[2.0, 2.0, 0.75]",
        "[-inf, 0.0, inf]"]),
    *family("np.digitize", "np.digitize(@, x)", FLAT, options=[
        "[0.5, 2.0, -1.0]", "0.5", "[0.5, 2.0, nan], right=True", "[]", "True"]),
    *family("np.lexsort", ["np.lexsort((x, x[::-1]))", "np.lexsort(x)", "np.lexsort((x,), axis=0)",
                           "np.lexsort((x, x), 5)", "np.lexsort([x, x * 0])"], FLAT),
    *family("np.unique", "np.unique(x, @)", ALL, options=[
        "", "True, True, True", "return_inverse=True", "return_counts=True", "axis=0",
        "equal_nan=False", "return_index=True", "sorted=False"]),
    *family("np.isin", "np.isin(x, @)", ALL, options=[
        "[0.75, 1.0, nan]", "[]", "0.75", "[[1, 2]], invert=True", "[1.0], assume_unique=True",
        "[1, 2], kind='table'", "[1, 2], kind='nonsense'", "x", "[True]"]),
    *family("np.bincount", "np.bincount(x, @)", FLAT, options=[
        "", "minlength=7", "minlength=-1", "weights=ramp(x)", "weights=[1.0, 2.0]", "minlength=0"]),
    *family("np.bincount", ["np.bincount([0, 2, 0, 1], x)", "np.bincount([0, -1, 0, 1], x)",
                            "np.bincount([0, 2, 0, 1], weights=x, minlength=6)",
                            "np.bincount([], x)", "np.bincount([0.5, 1, 1, 1], x)"], FLAT),
    *family("np.histogram", "np.histogram(x, @)", ALL, options=[
        "", "3", "bins=5, range=(-1, 1)", "[-1.0, 0.0, 1.0]", "[0.75]", "[]", "[1.0, 0.0]", "0",
        "-1", "bins=4, range=(1, 1)", "bins=4, range=(2, 1)", "bins=4, range=(0, inf)",
        "3, density=True", "[-2.0, 0.0, 4.0], density=True", "[0.5, 0.5, 1.0]", "2.5", "'auto'",
        "[[0.0, 1.0]]", "[-1, 0, 3]", "3, weights=ramp(x)", "bins=2, weights=ramp(x), density=True",
        "bins=[0.0, 0.5, 0.75], weights=[1.0, 2.0]", "bins=[0, 1, 2], density=True"], loose=True),
    *family("np.histogram", ["np.histogram(ramp(x), 3, weights=x)",
                             "np.histogram(ramp(x), [1, 2, 9.0], weights=x, density=True)",
                             "np.histogram([0.1, 0.2], 2, weights=x)"], FLAT, loose=True),
    *family("np.histogram", "np.histogram(np.linspace(-2, 3, 9), x)", FLAT, loose=True),
    *family("np.cov", "np.cov(x, @)", FEW, options=[
        "", "rowvar=False", "bias=True", "ddof=0", "ddof=2", "ddof=5", "ddof=0.5",
        "fweights=[1, 2, 3]", "aweights=[1.0, 0.5, 2.0]", "fweights=[1, 2, 3, 1]",
        "aweights=[1.0, 0.5, 2.0, 1.0]", "fweights=[1.5, 2, 3]", "fweights=[-1, 2, 3]",
        "dtype=np.float32", "y=x", "y=x, rowvar=False", "y=x[::-1]",
        "fweights=[1, 2, 3], aweights=[1.0, 0.5, 2.0], ddof=2"], loose=True),
    *family("np.corrcoef", "np.corrcoef(x, @)", FEW, options=[
        "", "rowvar=False", "y=x", "y=x[::-1]", "dtype=np.float32"], loose=True),
    *family("np.add.reduce np.multiply.reduce np.maximum.reduce np.minimum.reduce "
            "np.fmax.reduce np.fmin.reduce np.logaddexp.reduce np.logical_and.reduce "
            "np.logical_or.reduce", "%(x, @)", FEW,
            options=[*AXIS[:12], *KEEP, *WHERE[:5], *INITIAL, *DTYPE[:2]]),
    # Not arctan2 and power, whose reduce NumPy's vectorised loops get wrong on some processors.
    *family("np.hypot.reduce np.subtract.reduce np.logical_xor.reduce "
            "np.divide.reduce np.logaddexp2.reduce np.bitwise_or.reduce "
            "np.bitwise_and.reduce np.gcd.reduce np.copysign.reduce np.fmod.reduce np.less.reduce",
            "%(x, @)", FEW, options=[
                *AXIS[:12], *KEEP, *INITIAL, "where=mask(x)", "dtype=np.float32"]),
    *family("np.add.accumulate np.multiply.accumulate np.maximum.accumulate np.minimum.accumulate "
            "np.subtract.accumulate np.hypot.accumulate np.logical_xor.accumulate "
            "np.logaddexp.accumulate np.fmax.accumulate np.equal.accumulate", "%(x, @)", FEW,
            options=[*ONE_AXIS[:6], "dtype=np.float32", "axis=None"]),
    *family("np.add.reduceat np.maximum.reduceat np.multiply.reduceat np.hypot.reduceat",
            "%(x, @)", FEW, options=[
        "[0, 1]", "[1, 0]", "[0, 0]", "[0]", "[]", "[0, 9]", "[-1]", "[0, 1], axis=1",
        "[0, 1], axis=-1", "[0, 1], axis=5", "[0.5]", "[0, 1], dtype=np.float32"]),
    *family("np.add.at np.subtract.at np.multiply.at np.maximum.at", "after(x, lambda y: %(y, @))",
            FEW, options=[
        "0, 2.0", "[0, 0], 2.0", "[0, 1, 0], [1.0, 2.0, 3.0]", "(0, 0), 1", "[9], 1.0",
        "slice(None), 1.0", "[True, False], 1.0", "[], 1.0", "[0, 0], [1.0, 2.0, 3.0]",
        "(Ellipsis, 0), 2"]),
    *family("np.negative.at", "after(x, lambda y: %(y, [0, 0]))", FEW),
    *family("np.add.outer np.multiply.outer np.maximum.outer np.less.outer np.arctan2.outer",
            ["%(x, [1.0, 2.0])", "%(2, x)", "%(x, x)", "%(x, 1.5, dtype=np.float32)"], FEW),
]  # fmt: skip
_ = (LINES, SCALARS, REAL)
