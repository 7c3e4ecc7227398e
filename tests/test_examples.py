"""The scripts of examples/ run, and find what they look for."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"


def fits_the_data(found):
    np.testing.assert_allclose(found["ours"], found["scipy"], rtol=1e-5)
    assert np.all(np.abs(found["ours"] - found["truth"]) < 4 * found["errors"])


def closed_form(found):
    assert found["worst"] < 1e-12
    assert found["info"].traces == found["info"].specialisations < found["calls"]


def equals_the_recursion(found):
    assert found["worst"] < 1e-12
    assert found["ratio"] < 5


def equals_scikit_learn(found):
    assert found["accuracy"] > 0.95
    assert found["difference"] < 1e-4


def recovers_the_rates(found):
    got, expected = found["slopes"]
    assert got == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(found["fit"], found["truth"], rtol=0.03)


def reaches_the_minimum(found):
    calls = {name: n for name, (n, _) in found["runs"].items()}
    assert calls["L-BFGS-B, gradient"] < calls["L-BFGS-B, differences"] / 10
    assert all(error < 1e-3 for name, (_, error) in found["runs"].items() if "gradient" in name)
    assert found["difference"] < 1e-9


def solves_the_equation(found):
    assert found["top"] == pytest.approx(0.1668, rel=2e-3)
    assert found["residual"] < 1e-9
    assert found["difference"] < 1e-9


def agrees_without_a_matrix(found):
    assert found["smoothing"] < 1e-4
    assert found["laplacian"] < 1e-12


def feeds_the_solvers(found):
    difference, (ours, theirs) = found["stiff"]
    assert difference < 1e-5
    assert ours < 0.7 * theirs
    violation, asymmetry = found["chain"]
    assert violation < 1e-10
    assert asymmetry < 1e-4


def draws_both_passes(found):
    equations = found["drawings"]["objective"].equations().splitlines()
    assert "  ∂J/∂b = ∂J/∂z" in equations
    counts = [sum(n.flops for n in d.nodes) for d in found["orders"].values()]
    assert counts[0] < counts[1] < counts[2]


CHECKS = {
    "gauss_newton": fits_the_data,
    "kepler": closed_form,
    "mlp_by_hand": equals_the_recursion,
    "newton_logistic": equals_scikit_learn,
    "ode_fit": recovers_the_rates,
    "pictures": draws_both_passes,
    "rosenbrock": reaches_the_minimum,
    "sparse_newton": solves_the_equation,
    "sparse_products": agrees_without_a_matrix,
    "sparse_scipy": feeds_the_solvers,
}


def test_every_example_is_checked():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(CHECKS)


@pytest.mark.parametrize("name", CHECKS)
def test_example(name, capsys):
    path = EXAMPLES / f"{name}.py"
    assert len(path.read_text(encoding="utf-8").splitlines()) < 80
    CHECKS[name](runpy.run_path(str(path))["main"]())
    assert len(capsys.readouterr().out.splitlines()) > 1
