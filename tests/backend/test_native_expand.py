"""What is written with other operations is native code, and no call of NumPy."""

import native_oracle as oracle
import numpy as np
import pytest

import wengert as wg

NUMBER, BOOLEANS = np.float64(2.5), np.array([[True, False], [False, False]])
ARRAY = np.array([[1.5, -2.0, 0.5], [-1.0, -3.0, -2.5]])
FOLDS = {
    "sum of a number": (np.sum, NUMBER),
    "product of a number": (np.prod, NUMBER),
    "maximum of a number": (np.max, NUMBER),
    "minimum of a number": (np.min, NUMBER),
    "any of a Boolean": (np.any, np.True_),
    "all of a Boolean": (np.all, np.False_),
    "maximum of Booleans": (lambda x: np.max(x, axis=0), BOOLEANS),
    "minimum of Booleans": (lambda x: np.min(x, axis=1), BOOLEANS),
    "logsumexp": (lambda x: np.logaddexp.reduce(x, axis=1), ARRAY),
    "logsumexp of infinities": (lambda x: np.logaddexp.reduce(x * np.inf, axis=1), ARRAY),
    "position of a maximum": (lambda x: np.argmax(x, axis=0), ARRAY),
    "position of a minimum": (lambda x: np.argmin(x), ARRAY),
}


@pytest.mark.parametrize(("f", "x"), FOLDS.values(), ids=FOLDS)
def test_folds_are_native(f, x):
    graph, leaves = oracle.recorded(lambda a: f(np.logical_not(~a) if a.dtype == bool else a), x)
    program = oracle.compiled(graph)
    assert program.host == ()
    (got,) = program.run(leaves)
    np.testing.assert_allclose(got, f(x), rtol=1e-14)
    assert np.asarray(got).dtype == np.asarray(f(x)).dtype


@pytest.mark.parametrize("dtype", [np.complex128, np.complex64, np.float16])
@pytest.mark.parametrize("f", [np.sum, np.prod, lambda x: np.var(x), lambda x: x.mean()])
def test_dtypes_without_native_code_run_in_numpy(f, dtype):
    x = np.array([1.5, 2.0, -0.5]).astype(dtype)
    for part in (x, x[0]):
        compiled = wg.jit(f)
        for _ in range(2):
            np.testing.assert_allclose(compiled(part), f(part), rtol=1e-2)
        assert compiled.plan(part).backend == "numpy"
