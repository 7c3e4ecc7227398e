"""What an error shows of the code: the user's line, what was called there, a short traceback."""

from __future__ import annotations

import sys
import traceback

import numpy as np
import pytest
import scipy.interpolate
import scipy.linalg
import scipy.special as sp
import scipy.stats
from scipy.integrate import quad

import wengert as wg
from wengert.frames import HERE, called, is_library

X = np.array([0.5, 1.5, 2.0])
SPLINE = scipy.interpolate.CubicSpline(X, X)


def inner(x):
    return np.sum(sp.kve(1.0, x))


def loss(x):
    return inner(x * 2)


RUNS = {
    "grad": lambda f: wg.grad(f)(X),
    "value_and_grad": lambda f: wg.value_and_grad(f)(X),
    "jacobian": lambda f: wg.jacobian(f)(X),
    "hessian": lambda f: wg.hessian(f)(X),
    "jvp": lambda f: wg.jvp(f, (X,), (X,)),
    "vjp": lambda f: wg.vjp(f, X),
    "linearize": lambda f: wg.linearize(f, X),
    "hvp": lambda f: wg.hvp(f, (X,), (X,)),
    "vmap": lambda f: wg.vmap(f)(X[:, None]),
    "jit": lambda f: wg.jit(f)(X),
    "jit of grad": lambda f: wg.jit(wg.grad(f))(X),
    "vmap of jit of hessian": lambda f: wg.vmap(wg.jit(wg.hessian(f)))(X[None]),
}


def frames_of(run):
    with pytest.raises(TypeError) as info:
        run()
    return [frame.name for frame in traceback.extract_tb(info.value.__traceback__)], [
        frame.filename for frame in traceback.extract_tb(info.value.__traceback__)
    ]


@pytest.mark.parametrize("name", RUNS)
def test_a_traceback_has_the_users_frames_only(name):
    names, files = frames_of(lambda: RUNS[name](loss))
    assert names[-2:] == ["loss", "inner"]
    assert set(files) == {__file__}


def test_a_traceback_in_full(monkeypatch):
    monkeypatch.setenv("WENGERT_TRACEBACK", "full")
    names, files = frames_of(lambda: wg.grad(loss)(X))
    assert "call_ufunc" in names
    assert any(file.startswith(HERE) for file in files)


def test_what_caused_an_error_is_shortened_too():
    def f(x):
        try:
            return np.sum(np.linalg.cholesky(-np.outer(x, x)))
        except np.linalg.LinAlgError as error:
            raise ValueError("mine") from error

    with pytest.raises(ValueError, match="mine") as info:
        wg.grad(f)(X)
    shown = "".join(traceback.format_exception(info.value))
    assert HERE not in shown
    assert "Matrix is not positive definite" in shown


# What is called, as it is named in a message
CALLS = {
    "scipy.special.softmax": lambda x: np.sum(sp.softmax(x) * X),
    "scipy.linalg.solve": lambda x: np.sum(scipy.linalg.solve(np.eye(3), x)),
    "scipy.linalg.cho_factor": lambda x: np.sum(scipy.linalg.cho_factor(np.outer(x, x))[0]),
    "scipy.integrate.quad": lambda x: quad(lambda t: t * x[0], 0, 1)[0],
    "scipy.stats.norm.logpdf": lambda x: np.sum(scipy.stats.norm.logpdf(x)),
    "scipy.interpolate.CubicSpline": lambda x: scipy.interpolate.CubicSpline(X, x)(1.0),
    "scipy.interpolate.CubicSpline turned": lambda x: np.sum(SPLINE(x)),
    "numpy.ma.masked_array": lambda x: np.ma.masked_array(x, [1, 0, 0]).sum(),
    "numpy.random.RandomState.poisson": lambda x: np.random.RandomState(0).poisson(x),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("run", ["grad", "jvp", "jit"])
def test_the_function_that_was_called_is_named(name, run):
    """With the user's line, never one of the library."""
    if run == "jit" and name == "scipy.integrate.quad":
        pytest.skip("a number that Python is given is a decision of a compiled function")
    with pytest.raises(wg.errors.TraceError) as info:
        RUNS[run](CALLS[name])
    first, place = str(info.value).split("\n")[:2]
    if not name.startswith("numpy.random"):
        assert first.startswith(name.removesuffix(" turned") + " turned a traced value"), first
    assert place.startswith(f"  at {__file__}:"), place


PROBE = """
class Probe:
    def __array__(self, *args, **options):
        seen.append(called())
        return np.zeros(2)

    def __float__(self):
        seen.append(called())
        return 0.0
"""


def test_what_a_line_does():
    seen = []
    scope = {"called": called, "np": np, "seen": seen}
    exec(compile(PROBE, f"{HERE}probe.py", "exec"), scope)
    y, probe = np.zeros(3), scope["Probe"]()
    float(probe)
    y[0] = probe
    np.asarray(
        probe,
    )
    scipy.linalg.norm(probe)
    assert [(do.kind, do.name) for do in seen] == [
        ("call", "float"), ("store", ""), ("call", "numpy.asarray"), ("call", "scipy.linalg.norm")
    ]  # fmt: skip
    assert [do.text for do in seen] == [
        "float(probe)", "y[0]", "np.asarray( probe, )", "scipy.linalg.norm(probe)"
    ]  # fmt: skip


def test_which_files_are_of_libraries():
    assert is_library(traceback.__file__)
    assert is_library(scipy.linalg.__file__)
    assert not is_library(__file__)
    assert not is_library("<stdin>")


def test_code_without_source():
    """The place is named, and nothing is invented."""
    scope = {"np": np}
    exec(compile("def f(x):\n    return np.asarray(x).sum()\n", "<made>", "exec"), scope)
    with pytest.raises(wg.errors.ConversionError) as info:
        wg.grad(wg.unfollowed(scope["f"]))(X)
    assert str(info.value).endswith("\n  at <made>:2")
    assert sys.exc_info() == (None, None, None)
