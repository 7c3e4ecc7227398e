"""Programs that use NumPy in the many ways that people do."""

import itertools
import numbers

import numpy as np
from corpus.registry import at

WEIGHTS = np.array([0.5, 1.0, 2.0, 0.25])
TABLE = np.linspace(0, 1, 6) ** 2


@at([0.4, -0.9, 1.3, 0.2])
def masked_assignment(x):
    y = x.copy()
    y[y < 0] = 0
    y[(y > 0.3) & (y < 1)] *= 2
    return y @ WEIGHTS


@at([0.4, -0.9, 1.3, 0.2])
def leaky(x):
    out = np.zeros_like(x)
    mask = x > 0
    out[mask] = x[mask]
    out[~mask] = 0.01 * np.expm1(x[~mask])
    return out


@at([0.4, -0.9, 1.3, 0.2])
def piecewise_function(x):
    return np.piecewise(x, [x < 0, (x >= 0) & (x < 1)], [lambda t: -t, lambda t: t**2, 1.0])


@at([0.4, -0.9, 1.3, 0.2])
def select_branches(x):
    return np.select([x < 0, x < 1], [np.exp(x), x * 3], default=np.sqrt(np.abs(x)))


@at((0.3, [0.4, -0.9, 1.3, 0.2]))
def outer_table(a, x):
    return (np.exp(-a * np.subtract.outer(x, x) ** 2)).sum(axis=1)


@at([[0.4, -0.9], [1.3, 0.2], [0.7, 0.6]])
def einsum_gram(X):
    G = np.einsum("ij,kj->ik", X, X)
    return np.trace(G @ G) + np.einsum("ii", G)


@at([0.4, 0.9, 1.3, 0.2])
def symmetric_fill(x):
    A = np.empty((4, 4))
    for i, j in itertools.combinations_with_replacement(range(4), 2):
        A[i, j] = A[j, i] = x[i] * x[j] + (i + 1) * (i == j)
    w, V = np.linalg.eigh(A)
    return w


@at([0.4, 0.9, 1.3, 0.2, 0.6, -0.3])
def triangle_fill(x):
    L = np.zeros((3, 3))
    L[np.tril_indices(3)] = x
    L[np.diag_indices(3)] = np.exp(np.diag(L))
    return L @ L.T


@at([0.4, 0.9, 1.3])
def add_at_repeated(x):
    out = np.zeros(4)
    np.add.at(out, [0, 1, 1], x)
    np.add.at(out, np.array([3, 3, 0]), x**2)
    return out


@at([0.4, 0.9, 1.3])
def bincount_weights(x):
    return np.bincount([0, 2, 2], weights=x, minlength=4) ** 2


@at([0.4, 0.9, 1.3])
def out_arguments(x):
    y = np.empty(3)
    np.multiply(x, 2.0, out=y)
    np.sin(y, out=y)
    np.add(y, x, out=y)
    return y


@at([0.4, 0.9, 1.3])
def fill_functions(x):
    A = np.zeros((3, 3))
    np.fill_diagonal(A, x)
    B = np.ones(3)
    np.put(B, [0, 2], x[:2])
    C = np.zeros(3)
    np.copyto(C, x, where=np.array([True, False, True]))
    D = np.zeros(3)
    np.place(D, np.array([True, True, False]), x[1:])
    return A @ B + C * D


@at([0.4, 0.9, 1.3, -0.2, 0.6])
def windows(x):
    w = np.lib.stride_tricks.sliding_window_view(x, 3)
    return w.max(axis=-1) * w.mean(axis=-1)


@at([[0.4, 0.9], [1.3, -0.2]])
def enumerate_entries(A):
    total = 0.0
    for (i, j), v in np.ndenumerate(A):
        total += (i + 1) * (j + 2) * v**2
    for index in np.ndindex(A.shape):
        total *= 1 + 0.1 * A[index]
    return total


@at([[0.4, 0.9], [1.3, -0.2]])
def flat_iteration(A):
    s = 0
    for v in A.flat:
        s = s * 0.5 + v
    return s + A.ravel()[2] * A.flat[3]


@at([0.4, 0.9, 1.3])
def nested_comprehension(x):
    A = np.array([[x[i] ** j + (i - j) for j in range(3)] for i in range(len(x))])
    return np.linalg.det(A) + A.mean(0).sum()


@at((0.4, 0.9))
def from_function(a, b):
    A = np.fromfunction(lambda i, j: a * i + b * j + 1, (3, 3))
    return np.log(A).sum()


@at([0.4, 0.9, 1.3])
def first_and_rest(x):
    head, *tail = x
    return head * np.prod(tail) + np.array(tail).sum()


@at([0.4, 0.9, 1.3], [3.0, 1.0, 2.0])
def sorting(x):
    y = x.copy()
    y.sort()
    ranks = np.argsort(np.argsort(x))
    return y * np.arange(3) + ranks * x + x[np.argmax(x)] - np.partition(x, 1)[1]


@at([0.4, 0.9, 1.3])
def tolist_and_back(x):
    values = x.tolist()
    values.append(values[0] * values[1])
    values.insert(0, 2.0)
    return np.array(values).cumsum()


@at([0.4, 0.9, 1.3])
def conversions(x):
    x = np.asarray(x, dtype=np.float64)
    y = np.ascontiguousarray(x.reshape(1, -1).T)
    z = np.atleast_2d(x).astype(float)
    return (z @ y).item() * float(y[0, 0]) + y.squeeze()[1].item()


@at(0.4, 1.7)
def number_or_array(x):
    scalar = np.isscalar(x)
    x = np.atleast_1d(x)
    y = np.where(x < 1, x**2, 2 * x - 1)
    return y[0] if scalar else y


@at([0.4, 0.9, 1.3])
def number_or_array_given_an_array(x):
    scalar = np.isscalar(x)
    x = np.atleast_1d(x)
    y = np.where(x < 1, x**2, 2 * x - 1)
    return y[0] if scalar else y


@at((0.4, [0.4, 0.9]))
def checks_of_types(a, x):
    if not isinstance(a, numbers.Real):
        raise TypeError("a")
    if not isinstance(x, np.ndarray) or x.ndim != 1 or x.dtype != float:
        raise ValueError("x")
    if isinstance(x[0], (float, np.floating)):
        return a * x.sum()
    return 0.0


@at([0.4, 0.9, 1.3, 0.1])
def reshapes(x):
    A = x.reshape(2, 2)
    B = x.copy()
    B.shape = (2, 2)
    C = np.resize(x, (3, 2))
    return (C @ A @ B.T).flatten() + np.tile(x[:2], 3)


@at([0.4, 0.9, 1.3, 0.1])
def stacks(x):
    A = np.vstack([x, x**2])
    B = np.hstack((A, np.ones((2, 1))))
    C = np.column_stack([x, WEIGHTS])
    D = np.block([[A @ C, np.zeros((2, 1))], [np.ones((1, 3))]])
    return np.linalg.det(D) + B.sum()


@at([0.4, 0.9, 1.3, 0.1])
def splits(x):
    a, b = np.split(x, 2)
    parts = np.array_split(x, 3)
    return a @ b + sum(p.prod() for p in parts)


@at([0.4, 0.9, 1.3, 0.1])
def rolls_and_flips(x):
    return np.roll(x, 1) * x[::-1] + np.flip(x) ** 2 - np.gradient(x) + np.diff(x, prepend=0)


@at([0.4, 0.9, 1.3, 0.1])
def cumulative(x):
    c = np.cumsum(x)
    p = np.cumprod(1 + x)
    return np.maximum.accumulate(c - p) + np.add.reduce(x) * np.multiply.reduce(x)


@at([0.12, 0.53, 0.88])
def lookup(x):
    i = np.searchsorted(np.linspace(0, 1, 6), x) - 1
    t = (x - i / 5) * 5
    return TABLE[i] * (1 - t) + TABLE[i + 1] * t


@at([0.1, 0.5, 0.8])
def digitised(x):
    bins = np.array([0.0, 0.3, 0.6, 1.0])
    which = np.digitize(x, bins)
    return np.array([x[which == k].sum() for k in range(1, 4)])


@at([0.4, 0.9, 1.3, 0.1, 0.7])
def group_means(x):
    labels = np.array(["a", "b", "a", "c", "b"])
    means = {}
    for name in np.unique(labels):
        means[str(name)] = x[labels == name].mean()
    return np.array([means[k] for k in sorted(means)]) ** 2


@at([[2.0, 0.3], [0.4, 1.5]])
def linear_algebra(A):
    b = np.ones(2)
    x = np.linalg.solve(A, b)
    inv = np.linalg.inv(A)
    q, r = np.linalg.qr(A)
    return x @ inv @ b + np.linalg.norm(r) + np.linalg.cond(A) * 0.01 + np.linalg.slogdet(A)[1]


@at([0.4, 0.9, 1.3])
def least_squares(y):
    t = np.arange(3)
    A = np.column_stack([np.ones(3), t])
    coef, res, rank, sv = np.linalg.lstsq(A, y, rcond=None)
    return coef @ coef + res[0]


@at([0.4, 0.9, 1.3])
def polynomial_values(c):
    return np.polyval(c, 0.7) + np.polyval(np.polyder(c), 0.2) * np.trapezoid(c)


@at([0.4, 0.9, 1.3])
def column_of_ones(x):
    X = np.c_[np.ones(len(x)), x, x**2]
    w = np.linalg.pinv(X) @ np.array([1.0, 0.0, 2.0])
    return w


@at([0.4, 0.9, 1.3])
def mesh(x):
    a, b = np.meshgrid(x, x[:2])
    return np.hypot(a, b).sum() + np.sum(np.ix_(x, x)[0] * x)


@at([0.4, 0.9, 1.3, 0.2])
def missing_values(x):
    x = np.nan_to_num(x, nan=2.0)
    y = np.where(np.arange(4) == 1, np.nan, x)
    return np.nanmean(y) * np.nansum(y)


@at([0.4, 0.9, 1.3])
def newaxis_broadcasting(x):
    D = np.sqrt((x[:, np.newaxis] - x[None]) ** 2 + 1e-2)
    np.fill_diagonal(D, 0)
    i, j = np.triu_indices(3, 1)
    return D[i, j].max() + D.sum()


@at([0.4, 0.9, 1.3])
def plain_arrays_updated(x):
    D = np.exp(-np.arange(3.0))
    D[1] = x[0]
    E = WEIGHTS[:3] * 2
    E[2] += x[1]
    F = np.sqrt(WEIGHTS)
    F[1:] *= x
    G = WEIGHTS @ np.ones((4, 3))
    G -= x
    return D @ E + F.sum() + G @ G


@at([0.4, 0.9, 1.3])
def helper_makes_the_array(x):
    def initial():
        return np.linspace(0, 1, 3)

    def fill(a, k, value):
        a[k] = value
        return a

    state = {"a": initial(), "b": [np.log1p(initial())]}
    fill(state["a"], 0, x[0])
    state["b"][0][1] = x[1] * x[2]
    return state["a"] @ state["b"][0]


@at([0.4, 0.9, 1.3])
def rows_of_lists(x):
    grid = [[0] * 3 for _ in range(3)]
    for i in range(3):
        for j in range(3):
            grid[i][j] = x[i] * x[j] if i <= j else grid[j][i]
    return np.array(grid).sum(axis=0)


@at([0.4, 0.9, 1.3])
def complex_arithmetic(x):
    z = x[0] + 1j * x[1:]
    w = np.abs(z) * np.exp(1j * np.angle(z))
    return np.concatenate([w.real, z.imag, np.real(z * z.conj())])


@at([0.4, 0.9, 1.3])
def statistics_of_lists(x):
    rows = [x, 2 * x, x**2]
    return np.mean(rows) + np.std(rows, axis=0) + np.median(rows, axis=0) + np.max(rows)


@at([0.4, 0.9, 1.3])
def percentile_spread(x):
    q1, q3 = np.percentile(x, [25, 75])
    return q3 - q1 + np.quantile(x, 0.3) + np.average(x, weights=[1, 2, 3])


@at((0.4, [0.4, 0.9, 1.3]))
def default_array(a, x, w=np.array([1.0, 2.0, 3.0])):
    total = 0.0
    for wi, xi in zip(w, x, strict=True):
        total += wi * np.sinc(a * xi)
    return total


@at([0.4, 0.9, 1.3])
def object_list_of_arrays(x):
    layers = [np.outer(x, x[:2]), np.eye(2), np.array([[1.0], [2.0]])]
    return np.linalg.multi_dot(layers).sum() + np.kron(x, x[:2]).max()


@at([[0.4, 0.9, 0.1], [1.3, 0.2, 0.6]])
def normalise_rows(X):
    X = X / np.linalg.norm(X, axis=1, keepdims=True)
    X -= X.mean(axis=0)
    return X.T @ X


@at([0.4, 0.9, 1.3])
def any_and_all(x):
    if np.all(x > 0) and not np.any(x > 2) and all(v < 2 for v in x):
        return np.prod(x)
    return np.sum(x)


@at([0.4, 0.9, 1.3])
def random_but_seeded(x):
    rng = np.random.RandomState(0)
    noise = rng.normal(size=3)
    order = rng.permutation(3)
    return (x + 0.1 * noise)[order] * rng.uniform(0, 1, 3)


@at([0.4, 0.9, 1.3])
def apply_rowwise(x):
    A = np.outer(x, [1.0, 2.0])
    return np.apply_along_axis(np.linalg.norm, 1, A) + np.array(list(map(np.sum, A)))


@at([0.4, 0.9, 1.3])
def dictionary_of_results(x):
    results = dict(mean=np.mean(x), spread=np.ptp(x))
    results.update({f"power{k}": np.sum(x**k) for k in range(2, 4)})
    return sum(v for k, v in results.items() if k.startswith("p")) * results["mean"]


@at([0.4, 0.9, 1.3])
def dtype_questions(x):
    out = np.zeros(x.shape, dtype=x.dtype)
    if np.issubdtype(x.dtype, np.floating) and x.dtype == float:
        out += np.finfo(x.dtype).eps + x
    if x.flags["C_CONTIGUOUS"] and not np.iscomplexobj(x) and np.ndim(x) == 1:
        out *= 2
    return out


@at([0.4, 0.9, 1.3, 0.2])
def trapezoid_by_slices(y, dx=0.5):
    return dx * (y[1:] + y[:-1]).sum() / 2 + dx / 3 * (y[0] + 4 * y[1] + y[2])
