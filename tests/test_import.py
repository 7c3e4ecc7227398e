"""`import wengert` on other systems and in odd environments, and the folder of the native cache."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from wengert.llvm.cache import Cache, default_folder

# What a system may lack, taken away before the import. NumPy's and SciPy's own imports come first:
# they are written for the system that the test runs on.
LACKING = """
import os
import ctypes, numpy as np, optree, random, scipy.linalg, scipy.optimize, scipy.sparse
import scipy.special as sp, tempfile
for name in {names!r}:
    if hasattr(os, name):
        delattr(os, name)
import wengert as wg
x = np.array([0.5, 1.5])
f = lambda x: np.sum(x * sp.erf(x) + sp.expit(x))
want = sp.erf(x) + x * 2 / np.sqrt(np.pi) * np.exp(-x * x) + sp.expit(x) * (1 - sp.expit(x))
for g in (wg.grad(f), wg.jit(wg.grad(f)), wg.jit(wg.grad(f), backend="numpy")):
    np.testing.assert_allclose(g(x), want, rtol=1e-12)
assert wg.jacobian(lambda x: x * x, format="csr")(x).nnz == 2
"""

SURROUNDINGS = {
    "as it is": ((), {}, ()),
    "no sysconf (Windows)": (("sysconf",), {}, ()),
    "no fork (Windows)": (("register_at_fork", "fork"), {}, ()),
    "no affinity (macOS)": (("sched_getaffinity",), {}, ()),
    "SciPy's array API": ((), {"SCIPY_ARRAY_API": "1"}, ()),
    "no HOME": ((), {"HOME": None}, ()),
    "a HOME that is not there": ((), {"HOME": "/nowhere/at/all"}, ()),
    "a relative HOME": ((), {"HOME": "here"}, ()),
    "an empty HOME": ((), {"HOME": ""}, ()),
    "a relative cache": ((), {"XDG_CACHE_HOME": "there"}, ()),
    "the home of nobody": ((), {"WENGERT_CACHE_DIR": "~nobody-of-this-name/x"}, ()),
    "a cache below a file": ((), {"WENGERT_CACHE_DIR": __file__ + "/x"}, ()),
    "without assertions": ((), {}, ("-O",)),
    "without docstrings": ((), {}, ("-OO",)),
    "warnings are errors": ((), {}, ("-W", "error")),
}


@pytest.mark.share(5)
@pytest.mark.parametrize("name", SURROUNDINGS)
def test_import(name: str, tmp_path: Path):
    """It works, and leaves nothing in the folder where the user stands."""
    lacking, variables, options = SURROUNDINGS[name]
    env = dict(os.environ)
    env.pop("WENGERT_CACHE_DIR", None)
    env["XDG_CACHE_HOME"] = str(tmp_path / "cache")
    env["PYTHONPATH"] = os.pathsep.join(sys.path)
    if "HOME" in variables:
        del env["XDG_CACHE_HOME"]
    for variable, value in variables.items():
        env.pop(variable, None)
        if value is not None:
            env[variable] = value
    if variables.get("HOME", "") is None:
        env["XDG_CACHE_HOME"] = str(tmp_path / "cache")  # not the tester's own home
    stand = tmp_path / "stand"
    stand.mkdir()
    done = subprocess.run(
        [sys.executable, *options, "-c", LACKING.format(names=lacking)],
        cwd=stand, env=env, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not list(stand.iterdir())


# What a statement must not load, which would make it slow (bench/importing.py has the times).
LEFT_OUT = {
    "import wengert": ["numpy", "scipy", "optree", "llvmlite", "unittest", "wengert.public"],
    "import wengert as wg; wg.errors.InputError": ["numpy", "scipy", "wengert.public"],
    "from wengert import jit, hessian": [
        *("scipy.optimize", "scipy.spatial", "scipy.fft", "scipy.sparse.csgraph", "llvmlite"),
        *("scipy.stats", "rich", "wengert.train", "wengert.report"),
        *("wengert.analysis", "wengert.drawing", "wengert.devices"),
    ],
}


@pytest.mark.parametrize("statement", LEFT_OUT)
def test_what_an_import_leaves_out(statement: str):
    code = f"{statement}\nimport sys\nprint([n for n in {LEFT_OUT[statement]} if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


ORDERS = [
    "import wengert.jit.jitted",
    "import wengert.memory.milp, wengert.cost.count",
    "from wengert import trees, errors, testing",
    "from wengert import *",
    "import wengert.train",
    "import wengert as wg; dir(wg)",
]


@pytest.mark.parametrize("first", ORDERS)
def test_a_name_is_the_function_and_not_the_folder(first: str):
    """Whatever was imported before."""
    code = f"""{first}
import types, wengert as wg
import wengert.cost.operation, wengert.jit.plan, wengert.memory.remat
names = set(wg.__all__) - {{"errors", "tree"}}
wrong = [n for n in names if isinstance(getattr(wg, n), types.ModuleType)]
assert not wrong, wrong
assert wg.testing.check_derivatives and wg.train.Config and wg.sparse
assert set(wg.__all__) <= set(dir(wg))
assert not hasattr(wg, "nothing_of_this_name")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# HOME, XDG_CACHE_HOME, WENGERT_CACHE_DIR, and where the cache is; "/h" stands for a folder
FOLDERS = [
    ("/h", None, None, "/h/.cache/wengert/native"),
    ("/h", "/x", None, "/x/wengert/native"),
    ("/h", "", None, "/h/.cache/wengert/native"),
    ("/h", "x/y", None, "/h/.cache/wengert/native"),
    ("h", None, None, None),
    ("h", "/x", None, "/x/wengert/native"),
    ("h", "x", None, None),
    ("", None, None, None),
    (".", None, None, None),
    ("/h", None, "/w", "/w"),
    ("/h", None, "~/w", "/h/w"),
    ("/h", None, "", None),
    ("/h", None, " ", None),
    ("/h", None, "~nobody-of-this-name/w", None),
    ("", "", "/w", "/w"),
]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the variables of Linux")
@pytest.mark.parametrize(("home", "xdg", "named", "want"), FOLDERS)
def test_folders(home, xdg, named, want, monkeypatch: pytest.MonkeyPatch):
    for name, value in (("HOME", home), ("XDG_CACHE_HOME", xdg), ("WENGERT_CACHE_DIR", named)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert default_folder() == (None if want is None else Path(want))


def test_a_folder_named_from_where_the_user_stands(tmp_path, monkeypatch: pytest.MonkeyPatch):
    """It stays where it was when the variable was read, wherever the user goes afterwards."""
    monkeypatch.setenv("WENGERT_CACHE_DIR", "here")
    monkeypatch.chdir(tmp_path)
    assert default_folder() == tmp_path / "here"


def test_entries_are_not_taken_for_others(tmp_path: Path):
    """A file under another name, and one larger than the whole cache may be, are no entries."""
    cache = Cache(tmp_path, limit=1000)
    cache.put("one", b"code")
    os.rename(tmp_path / "one", tmp_path / "two")
    assert cache.get("two") is None
    with open(tmp_path / "huge", "wb") as file:
        file.truncate(1 << 40)  # no bytes of it are on the disk
    assert cache.get("huge") is None
