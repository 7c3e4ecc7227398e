"""Series and DataFrames of pandas, and arrays of xarray: beside traced values as beside arrays."""

from __future__ import annotations

import numpy as np
import pytest

import wengert as wg

pd = pytest.importorskip("pandas", reason="pandas is not installed")

X = np.array([1.2, -1.7, 3.0, 0.5, 0.25])
S = pd.Series([1.0, 2.0, 3.0, np.nan, 5.0], index=list("abcde"), name="s")
OTHER = pd.Series([1.0, 2.0, 3.0, 4.0], index=list("cdef"))
TABLE = pd.DataFrame(
    {"u": [1.0, 2.0, 3.0, 4.0, 5.0], "v": [4.0, 5.0, 6.0, 7.0, 8.0], "group": list("ppqqq")},
    index=list("abcde"),
)
NUMBERS = TABLE[["u", "v"]]


def changed(y):
    y = y.copy()
    y["a"] = 0.0
    y.iloc[1:3] *= 7.0
    return y


# What is done to a Series y of five numbers that are traced; one is missing where `S` has none.
OF_A_SERIES = {
    "sum": lambda y: y.sum(),
    "mean": lambda y: y.mean(),
    "std": lambda y: y.std(),
    "std, ddof=0": lambda y: y.std(ddof=0),
    "var": lambda y: y.var(),
    "sem": lambda y: y.sem(),
    "median": lambda y: y.median(),
    "min": lambda y: y.min(),
    "max": lambda y: y.max(),
    "prod": lambda y: y.prod(),
    "skipna": lambda y: y.sum(skipna=False),
    "min_count": lambda y: y.sum(min_count=5),
    "quantile": lambda y: y.quantile(0.3),
    "np.sum": np.sum,
    "np.mean": np.mean,
    "np.std": np.std,
    "np.exp": np.exp,
    "np.maximum": lambda y: np.maximum(y, 0.5),
    "np.dot": lambda y: np.dot(y.fillna(0), y.fillna(0)),
    "np.where": lambda y: np.where(y > 1, y, 0),
    "np.array": lambda y: np.array(y) ** 2,
    "norm": lambda y: np.linalg.norm(y.fillna(0)),
    "y @ y": lambda y: y.fillna(0) @ y.fillna(0),
    "y + other": lambda y: y + OTHER,
    "other * y": lambda y: OTHER * y,
    "add": lambda y: y.add(OTHER, fill_value=0),
    "2 - y / 3": lambda y: 2 - y / 3,
    "y ** 2": lambda y: y**2,
    "-abs(y)": lambda y: -abs(y),
    "y % 2": lambda y: y % 2,
    "y[y > 1]": lambda y: y[y > 1],
    "loc": lambda y: y.loc["a":"c"] * y["b"],
    "iloc": lambda y: y.iloc[1:] * y.iloc[0],
    "names": lambda y: y[["a", "c"]],
    "head": lambda y: y.head(2),
    "reindex": lambda y: y.reindex(list("abz")),
    "dropna": lambda y: y.dropna(),
    "fillna": lambda y: y.fillna(7.0),
    "ffill": lambda y: y.ffill(),
    "clip": lambda y: y.clip(0, 2),
    "where": lambda y: y.where(y > 0, 0.5),
    "shift, diff": lambda y: y.shift(1).fillna(0) + y.diff().fillna(1),
    "cumsum": lambda y: y.fillna(0).cumsum(),
    "cummax": lambda y: y.fillna(0).cummax(),
    "sort": lambda y: y.dropna().sort_values().iloc[0],
    "idxmax": lambda y: y[y.idxmax()],
    "map": lambda y: y.map(lambda v: v * v),
    "transform": lambda y: y.transform(lambda v: v - v.mean()),
    "groupby": lambda y: y.groupby(TABLE.group).sum(),
    "groupby mean": lambda y: TABLE.assign(y=y).groupby("group").y.mean(),
    "concat": lambda y: pd.concat([y, 2 * y]),
    "frame": lambda y: pd.DataFrame({"y": y, "z": y * y}).sum(),
    "rows": lambda y: NUMBERS.mul(y.fillna(1), axis=0).sum(axis=1),
    "in a loop": lambda y: sum(v for v in y.dropna()),
    "items": lambda y: sum(v * (k == "a") for k, v in y.dropna().items()),
    "changed": changed,
    "values": lambda y: y.values * 2,
    "to_numpy": lambda y: y.to_numpy()[:3],
    "pipe": lambda y: y.pipe(np.sin),
    "dtype": lambda y: y if y.dtype == float else 2 * y,
}

# What is done to an array x of two traced numbers, and a DataFrame.
OF_A_FRAME = {
    "linear": lambda w: ((TABLE.u * w[0] + TABLE["v"] * w[1] - 1) ** 2).mean(),
    "from the left": lambda w: (w[0] - TABLE.u).abs().sum(),
    "df @ w": lambda w: (NUMBERS @ w).std(),
    "df.dot(w)": lambda w: NUMBERS.dot(w).std(),
    "df * w": lambda w: (NUMBERS * w).mean(),
    "w * df": lambda w: (w * NUMBERS).mean(axis=1),
    "df.mul": lambda w: NUMBERS.mul(w[0]).sum().sum(),
    "np.dot": lambda w: np.dot(NUMBERS, w),
    "w @ df.T": lambda w: w @ NUMBERS.T,
    "rows": lambda w: sum(r["u"] * w[0] + r["v"] for _, r in NUMBERS.iterrows()),
    "named rows": lambda w: sum(r.u * w[0] for r in NUMBERS.itertuples()),
    "apply": lambda w: TABLE.apply(lambda r: r["u"] * w[0] + r["v"] * w[1], axis=1).sum(),
    "interp": lambda w: np.interp(w[0], TABLE.u, TABLE.v),
    "mask": lambda w: (w[0] * w[1] ** np.arange(5.0))[TABLE.u > 2],
    "np.hypot": lambda w: np.hypot(TABLE.u, w[0]),
    "stored": lambda w: TABLE.assign(z=w[0]).z.astype(float).sum(),
}


def number(f):
    """Make one number of a result, with weights that tell its entries apart."""

    def of_array(x):
        y = f(x)
        y = y.to_numpy() if hasattr(y, "to_numpy") else y
        y = np.where(np.isnan(y), 0.1, y)
        return np.sum(y * (1 + np.arange(np.size(y))).reshape(np.shape(y)))

    return of_array


def check(f, x, run=lambda f: f):
    f = number(f)
    value, gradient = run(wg.value_and_grad(f))(x.copy())
    assert value == pytest.approx(f(x.copy()), rel=1e-12)
    steps = 1e-6 * np.eye(x.size)
    wanted = [(f(x + h) - f(x - h)) / 2e-6 for h in steps]
    np.testing.assert_allclose(gradient, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("form", OF_A_SERIES)
def test_a_series_of_traced_numbers(form):
    check(lambda x: OF_A_SERIES[form](S * x), X)


@pytest.mark.slow
@pytest.mark.parametrize("form", sorted(set(OF_A_SERIES) - {"transform"}))  # which catches errors
def test_compiled(form):
    check(lambda x: OF_A_SERIES[form](S * x), X, wg.jit)
    check(lambda x: OF_A_SERIES[form](pd.Series(x, index=S.index)), X, wg.jit)


@pytest.mark.parametrize("form", OF_A_FRAME)
def test_beside_a_frame(form):
    check(OF_A_FRAME[form], np.array([0.7, 1.3]))
    check(OF_A_FRAME[form], np.array([0.7, 1.3]), wg.jit)


def test_labels_names_and_orders_of_operands():
    for f in (lambda x: S * x, lambda x: x * S, lambda x: S - x, lambda x: x - S, np.multiply):
        seen = []
        g = f if f is not np.multiply else lambda x: np.multiply(x, S)

        def probe(x, g=g, seen=seen):
            y = g(x)
            seen.append((list(y.index), y.name, str(y.dtype)))
            return y.sum()

        probe(X)
        wg.grad(probe)(X)
        assert seen[0] == seen[1] == (list("abcde"), "s", "float64")


def test_a_series_that_changes_is_noticed():
    s = pd.Series([1.0, 2.0, 3.0])
    g = wg.jit(wg.grad(lambda x: (s * x).sum()))
    assert g(np.ones(3)).tolist() == [1, 2, 3]
    s.iloc[0] = 9.0
    assert g(np.ones(3)).tolist() == [9, 2, 3]


def test_second_derivatives():
    assert wg.hessian(lambda x: (S.fillna(1) * x**3).sum())(X) == pytest.approx(
        np.diag(6 * X * S.fillna(1))
    )


REFUSED = {
    "skew": lambda y: y.skew(),
    "rank": lambda y: y.rank().sum(),
    "unique": lambda y: y.unique().sum(),
    "rolling": lambda y: y.rolling(2).mean().sum(),
    "ewm": lambda y: y.ewm(alpha=0.5).mean().sum(),
    "corr": lambda y: y.corr(TABLE.u),
    "interpolate": lambda y: y.interpolate().sum(),
}


@pytest.mark.parametrize("form", REFUSED)
def test_refused_by_name(form):
    with pytest.raises(wg.errors.ConversionError, match=rf"pandas\.Series\.{form}(?s:.*)to_numpy"):
        wg.grad(lambda x: REFUSED[form](S * x))(X)


@pytest.mark.parametrize(
    "a",
    [pd.Index(X), pd.Series(list("abcde")), pd.Series([1, 2, 3, 4, None], dtype="Int64")],
    ids=["an index", "text", "nullable integers"],
)
def test_operands_that_hold_no_numbers_of_numpy(a):
    for f in (lambda x: x * a, lambda x: a * x):
        with pytest.raises(TypeError, match=r"pandas\."):
            wg.grad(lambda x, f=f: np.sum(f(x)))(X)


def test_shapes_that_pandas_refuses():
    for f in (lambda x: S * x[:3], lambda x: NUMBERS * x, lambda x: NUMBERS @ x):
        with pytest.raises(ValueError, match=r"."):
            f(X)
        with pytest.raises(ValueError, match=r"."):
            wg.grad(lambda x, f=f: f(x).sum().sum())(X)


def test_printed():
    seen = []
    wg.grad(lambda x: (seen.append(str(S * x)), x.sum())[1])(X)
    assert "-3.4" in seen[0]
    assert "Traced" not in seen[0]


@pytest.mark.peers
def test_arrays_of_xarray():
    xr = pytest.importorskip("xarray", reason="xarray is not installed")
    a = xr.DataArray(np.arange(1.0, 6.0), dims="t", coords={"t": list("abcde")})
    for f in (
        lambda x: (a * x).sum(),
        lambda x: (x * a).mean(),
        lambda x: np.exp(a * x).sum("t"),
        lambda x: ((a - x) ** 2).sel(t="c"),
        lambda x: np.dot(a, x) + x[a > 2].sum(),
    ):
        for run in (lambda f: f, wg.jit):
            value, gradient = run(wg.value_and_grad(f))(X)
            assert value == pytest.approx(float(f(X)))
            wanted = [(float(f(X + h)) - float(f(X - h))) / 2e-6 for h in 1e-6 * np.eye(5)]
            np.testing.assert_allclose(gradient, wanted, rtol=1e-5, atol=1e-6)
