"""The mutation tool: what it changes, and that a planted change takes effect and is noticed."""

from __future__ import annotations

import ast
import gc
import importlib.util

import pytest
from tools.mutate import session
from tools.mutate.equivalent import EQUIVALENT, is_equivalent
from tools.mutate.mutants import mutants, names
from tools.mutate.plant import plant
from tools.mutate.session import KILLED, SAME, SOURCES, SURVIVED, in_fork
from tools.mutate.targets import TARGETS

SOURCE = '''"""A module."""

LIMIT = 1 + 2


def area(width: int, height: int = 1) -> float:
    """Return a product."""
    if width < 0:
        raise ValueError(f"{width + 1} is negative")
    return width * height


rule = lambda t, x: t * -x
table = dict(flops=lambda n: n * 2, rule=rule)
'''


def test_what_is_changed():
    said = [m.what for m in mutants(SOURCE)]
    assert said == [
        "width < 0 -> width <= 0",
        "0 -> 1",
        "width * height -> width / height",
        "width * height -> width",
        "t * -x -> t / -x",
        "t * -x -> t",
        "-x -> x",
    ]


@pytest.mark.parametrize("step", [6, pytest.param(1, marks=pytest.mark.slow)])
def test_every_change_is_a_program(step):
    path = SOURCES / "ops" / "hermitian.py"
    source = path.read_text(encoding="utf-8")
    before = ast.dump(ast.parse(source))
    made = list(mutants(source))
    assert len(made) > 20
    for mutant in made[::step]:
        compile(mutant.tree, str(path), "exec")
        assert ast.dump(mutant.tree) != before


def test_the_names_of_a_line():
    table = "log2 = row(np.log2, lambda t, y, x: t / x)\n\n\ndef half(x):\n    return x / 2\n\n\n"
    table += "register(Op('mean', half))\nother = row(np.sin, None)\n"
    assert names(table, 1) == {"log2"}
    assert names(table, 5) == {"half", "mean"}


@pytest.fixture
def module(tmp_path):
    path = tmp_path / "planted.py"
    path.write_text(SOURCE, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("planted", path)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return path, made


def test_a_planted_change_is_in_functions_that_exist(module):
    path, made = module
    kept = made.table["rule"]
    (mutant,) = (m for m in mutants(SOURCE) if m.what == "-x -> x")
    assert plant(str(path), SOURCE, mutant.tree)
    assert kept(2.0, 3.0) == 6.0
    assert made.area(2, 3) == 6


def test_what_is_frozen_is_changed_too(module):
    path, made = module
    (mutant,) = (m for m in mutants(SOURCE) if m.what == "-x -> x")

    def planted():
        gc.freeze()
        return KILLED if plant(str(path), SOURCE, mutant.tree) and made.rule(2.0, 3.0) == 6.0 else 0

    assert in_fork(planted, 20) == KILLED


def test_verdicts(module, monkeypatch):
    path, made = module

    class Report:
        def __init__(self, failed):
            self.failed = failed

    def run(item, log, nextitem):
        return [Report(not item())]

    monkeypatch.setattr(session, "runtestprotocol", run)
    by_what = {m.what: m for m in mutants(SOURCE)}
    tests = [lambda: made.area(2, 1) == 2, lambda: made.area(0, 2) == 0]

    def verdict(what, file):
        return in_fork(lambda: session._meets(file, by_what[what], tests), 20)

    assert verdict("width * height -> width", path) == SURVIVED
    assert verdict("width < 0 -> width <= 0", path) == KILLED
    assert verdict("0 -> 1", path) == KILLED
    other = path.with_name("other.py")
    other.write_text(SOURCE, encoding="utf-8")
    assert verdict("0 -> 1", other) == SAME, "no function of that file lives"


def test_what_does_not_end_is_stopped():
    def forever():
        while True:
            pass

    assert in_fork(forever, 0.2) == -1


@pytest.mark.slow
def test_targets_and_equivalents_exist():
    tests = SOURCES.parents[1] / "tests"
    for target in TARGETS.values():
        assert all((SOURCES / path).is_file() for path in target.sources)
        assert all((tests / path).exists() for path in target.tests)
    for (file, line, what), reason in EQUIVALENT.items():
        lines = (SOURCES / file).read_text(encoding="utf-8").splitlines()
        places = [i for i, text in enumerate(lines, 1) if text.strip() == line]
        changes = {m.what for m in mutants("\n".join(lines)) if m.line in places}
        assert what in changes, f"{file}: {what} is no mutant of {line!r} any more"
        assert reason
        assert is_equivalent(file, f"    {line}", what)
