"""The fuzzer itself: programs are repeatable, planted faults are found, shrunk and written out."""

from __future__ import annotations

import ast
import os
import signal
import time

import numpy as np
import pytest
from fuzz import checks, generate, runner
from fuzz.__main__ import main
from fuzz.checks import Check, assert_agrees, examine
from fuzz.compare import difference, is_sure, unstable
from fuzz.numeric import complex_step, slope
from fuzz.outcome import Outcome
from fuzz.plain import Plain
from fuzz.program import Program, Raised
from fuzz.shrink import shrunk
from fuzz.tables import FAMILIES, SHARES
from fuzz.values import LAYOUTS, laid, relaid, wave

import wengert as wg
from wengert.ops.base import TABLE

SHAPES = [(), (1,), (3,), (0,), (2, 3), (2, 0, 3), (2, 1, 3, 2)]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_layouts_hold_the_same_numbers(layout, shape):
    x = wave(shape, 3)
    y = laid(layout, x)
    assert y.shape == shape
    if "broadcast" not in layout:
        np.testing.assert_array_equal(y, x)
    z = relaid(2 * y, y)
    np.testing.assert_array_equal(z, 2 * y)
    if "broadcast" not in layout and z.size:
        assert z.strides == y.strides


def test_every_family_has_a_share():
    assert set(FAMILIES) == set(SHARES)
    assert min(map(len, FAMILIES.values())) > 5


@pytest.mark.parametrize("i", range(40))
def test_a_seed_is_a_program(i):
    source = generate.program(f"7/{i}")
    assert source == generate.program(f"7/{i}")
    program = Program.parsed(source)
    assert len(program.calls) == 4
    assert not isinstance(program.truths[0], Raised), "the first call runs in plain NumPy"
    assert not program.changes_arguments()


def test_programs_are_about_many_things():
    text = "".join(generate.program(f"8/{i}") for i in range(300))
    wanted = (
        "linalg",
        "fft",
        " @ ",
        "out=",
        "where=",
        "if ",
        "while",
        "try:",
        "def f",
        "1j",
        "'f4'",
        "class ",
        "yield",
        "math.",
        "scipy.sparse",
        "wg.scan(",
        "wg.while_loop(",
        "wg.cond(",
        "wg.vmap(",
        "wg.fori_loop(",
        ".append(",
        "break",
        "continue",
        "reversed(range(",
        " - 2] + ",
    )
    missing = [word for word in wanted if word not in text]
    assert not missing


@pytest.mark.parametrize("name", [n for n in dir(Plain) if not n.startswith("_")])
def test_plain_loops_are_those_of_wengert(name):
    """The functions that programs are compared with have the meaning of wengert's own."""
    x = wave((4, 2), 1)
    halved = lambda c, r: (c * 0.5 + np.sum(r), c - r)  # noqa: E731
    calls = {
        "scan": [(halved, 0.0, x), (halved, x[0], x), (halved, x[0], x, None, True)],
        "map": [(np.sum, x)],
        "fori_loop": [(1, 4, lambda i, c: c * i + 0.1, x), (2, 2, lambda i, c: c, x)],
        "while_loop": [(lambda c: np.sum(c**2) > 0.1, lambda c: c * 0.5, x)],
        "cond": [(x[0, 0] > k, np.sin, np.cos, x) for k in (-9, 9)],
        "switch": [(k, [np.sin, np.cos, np.tanh], x) for k in (-1, 1, 7)],
        "associative_scan": [(np.add, x), (lambda a, b: (a[0] * b[0], b[0] * a[1] + b[1]), (x, x))],
        "vmap": [(np.sum,), (np.sort, 1), (lambda u: u[::-1], (0,))],
        "checkpoint": [(np.sin,)],
    }
    for args in calls[name]:
        found, wanted = getattr(wg, name)(*args), getattr(Plain, name)(*args)
        if name in ("vmap", "checkpoint"):
            found, wanted = found(x), wanted(x)
        assert not difference(found, wanted, 1e-12)
        program = Program.parsed(LOOP)
        assert program.plain.__globals__["wg"] is Plain
        assert program.function.__globals__["wg"] is wg
        assert not difference(program.truths[0], wave((3,), 1).cumsum(), 1e-12)


LOOP = """
def program(x):
    return wg.scan(lambda c, r: (c + r, c + r), 0.0, x)[1]


calls = [lambda: (wave((3,), 1),)]
"""


def test_slopes():
    for f, expected in (
        (np.sin, 1.0),
        (lambda s: (1 + s) ** 3, 3.0),
        (lambda s: np.exp(-2 * s), -2.0),
    ):
        found = slope(f)
        assert found is not None
        assert abs(found.value - expected) < 1e-9
    for kink in (abs, lambda s: float(s > 0), lambda s: 1 / s if s else 0.0):
        assert slope(kink) is None
    assert complex_step(lambda s: np.exp(2 * s)) == pytest.approx(2.0, rel=1e-14)
    assert complex_step(lambda s: float(s)) is None


def test_differences_are_told():
    one = np.ones(2)
    assert difference(one, one.copy(), 1e-8) == ""
    for other in (one + 1e-6, one.astype("f4"), one[:1], [one], Raised(ValueError("no"))):
        assert difference(other, one, 1e-8)
    assert difference(one, Raised(ValueError("no")), 1e-8)
    assert difference(Raised(TypeError("other")), Raised(ValueError("no")), 1e-8) == ""


def test_a_comparison_of_equal_numbers_is_unstable():
    def program(x):
        return x * 2 if np.sum(x) == np.sum(x[::-1] + 0.0) else x

    made = Program(program, [lambda: (np.array([0.1, 0.2, 0.3]),)], "")
    assert unstable(made, 0, lambda x: x if x[0] + x[1] == 0.1 + 0.2 else -x, 1e-8)
    assert not unstable(made, 0, np.sin, 1e-8)


@pytest.fixture
def wrong_tanh():
    """Plant a wrong derivative: 1 - y instead of 1 - y * y."""
    derivative = TABLE["tanh"].derivative
    rules = derivative.rules
    object.__setattr__(derivative, "rules", (lambda t, y, x: t * (1 - y),))
    yield
    object.__setattr__(derivative, "rules", rules)


def first_failure(word, names, seeds):
    for i in seeds:
        source = generate.program(f"9/{i}")
        if word in source and "wg." not in source and "while" not in source:  # these shrink fast
            failures = examine(Program.parsed(source), names).failures
            if failures:
                return source, failures[0]
    raise AssertionError(f"no program with {word} failed")


@pytest.mark.usefixtures("wrong_tanh")
def test_a_wrong_rule_is_found_and_shrunk(tmp_path):
    source, failure = first_failure("np.tanh(", ["derivative"], range(300))
    assert failure.check == "derivative"

    def fails(text):
        try:
            found = examine(Program.parsed(text), ["derivative"]).failures
        except Exception:
            return False
        return bool(found) and found[0].kind == failure.kind

    small = shrunk(source, fails, 60.0)
    assert "np.tanh(" in small
    assert len(ast.unparse(ast.parse(small).body[0]).splitlines()) <= 3
    text = Program.parsed(small).test("derivative", failure.what)
    scope = {}
    path = tmp_path / "test_found.py"
    path.write_text(text, encoding="utf-8")
    exec(compile(text, str(path), "exec"), scope)
    with pytest.raises(AssertionError, match="differences"):
        scope["test_it_agrees"]()


def test_a_right_rule_passes():
    def program(x):
        return np.tanh(x)

    assert_agrees(program, [lambda: (wave((3,), 1),)] * 4, "derivative")
    assert_agrees(program, [lambda: (wave((3,), 1),)] * 4, "jit native")


def test_a_result_that_changes_later_is_found(monkeypatch):
    """Each compiled result is compared again when later calls have been made."""
    kept = np.zeros(2)

    def careless(f, backend):
        def call(x):
            kept[...] = f(x)
            return kept

        return call

    monkeypatch.setattr(checks.wg, "jit", careless)
    program = Program(np.sin, [lambda: (wave((2,), 1),), lambda: (wave((2,), 2),)], "")
    failures = examine(program, ["jit numpy"]).failures
    assert "changed after it was returned" in failures[0].what


def campaign(tmp_path, **options):
    said = []
    made = runner.Campaign(9, 30.0, 1, tmp_path, said.append)
    failures = made.run(**options)
    return made, failures, "\n".join(said)


def test_the_runner_survives_crashes(tmp_path, monkeypatch):
    def dies(o: Outcome) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(runner, "BATCH", 2)
    monkeypatch.setattr(runner, "SHRINKING", 0.5)
    monkeypatch.setitem(checks.CHECKS, "eager", Check(dies, 100))
    made, failures, said = campaign(tmp_path, count=3)
    assert made.programs == failures == 3
    assert "crashed" in said
    assert len(list(tmp_path.glob("test_seed9_*_eager.py"))) == runner.ALIKE


def test_the_runner_stops_what_does_not_end(tmp_path, monkeypatch):
    def sleeps(o: Outcome) -> None:
        time.sleep(30)

    monkeypatch.setattr(runner, "PATIENCE", 0.5)
    monkeypatch.setattr(runner, "STANDING", 1.0)
    monkeypatch.setattr(runner, "SHRINKING", 0.5)
    monkeypatch.setitem(checks.CHECKS, "eager", Check(sleeps, 100))
    made, failures, said = campaign(tmp_path, count=2)
    assert failures == 0, "a slow machine is no fault"
    assert made.programs == len(made.lost) == 2
    assert "given up: program 1 did not end within" in said


def test_the_command(capsys, tmp_path):
    for _ in range(2):
        main(["--seed", "3", "--show", "1"])
    shown = capsys.readouterr().out
    half = len(shown) // 2
    assert shown[:half] == shown[half:]
    assert "def program(" in shown
    main(["--seed", "3", "--seconds", "20", "--count", "2", "--jobs", "1", "--out", str(tmp_path)])
    assert "seed 3: 2 programs" in capsys.readouterr().out


def test_what_is_read_from_outside_changes(monkeypatch):
    """A compiled function that keeps a captured array as it was is found."""
    source = (
        "h0 = wave((3,), 2)\n\n\ndef program(x):\n    return x * h0\n\n\n"
        "calls = [\n    lambda: (wave((3,), 1),),\n]\n"
    )
    assert not examine(Program.parsed(source), ["held numpy"]).failures

    def careless(f, backend):
        kept = f(wave((3,), 1))
        return lambda x: kept

    monkeypatch.setattr(checks.wg, "jit", careless)
    program = Program.parsed(source)
    assert examine(program, ["held numpy"]).failures
    np.testing.assert_array_equal(program.held["h0"], wave((3,), 2))


def test_rules_of_comparison():
    refused = Raised(TypeError("The `like` argument must be an array-like that ..."))
    assert not difference(np.zeros(2), refused, 1e-8)
    assert difference(np.zeros(2), Raised(TypeError("another")), 1e-8)
    assert is_sure(np.array([1e90]))
    assert is_sure(np.zeros(0))
    assert not is_sure(np.array([1e101]))
    assert not is_sure(np.array([np.nan]))


def test_a_clock_counts_work_and_long_standing_still(monkeypatch):
    clock = runner.Clock(os.getpid())
    assert not clock.is_past(0.2)
    end = time.process_time() + 0.3
    while time.process_time() < end:
        pass
    assert clock.is_past(0.2)
    still = runner.Clock(os.getpid())
    still.began -= 100.0
    assert still.is_past(9.0)
    assert not still.is_past(11.0)


@pytest.mark.parametrize("size", [1.0, 1e-2, 1e-4])
def test_a_kink_has_no_slope_however_small_it_is(size):
    assert slope(lambda s: np.sin(s) + size * abs(s)) is None
    found = slope(lambda s: np.sin(30 * s) + size * s**2 + 3.0)
    assert found is not None
    assert abs(found.value - 30) < 1e-6
