"""One process that has collected the tests, and a fork of it for each mutant."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from _pytest.runner import runtestprotocol
from tools.mutate.equivalent import is_equivalent
from tools.mutate.mutants import Mutant, mutants, names
from tools.mutate.plant import plant

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "src" / "wengert"
MOST = 400
"""Tests that run the line of a mutant which it meets, and as many named after its operation."""
SECONDS = 90
"""Time for one mutant; one that takes longer counts as noticed."""
KILLED, SURVIVED, SAME = 10, 11, 12
"""What a fork says with its exit status; SAME: there was no function to change."""


class Lines:
    """Notes the lines of some files that run."""

    def __init__(self, files: set[str]) -> None:
        self.files = files
        self.seen: set[tuple[str, int]] = set()

    def __call__(self, frame: FrameType, event: str, arg: Any) -> Any:
        if frame.f_code.co_filename not in self.files:
            return None
        self.seen.add((frame.f_code.co_filename, frame.f_lineno))
        return self


class Session:
    """A pytest plugin that runs mutants in the place of the tests.

    Parameters
    ----------
    sources : list of Path
    folder : Path
        Where the map of lines and the verdicts are kept; a second run goes on where one ended.
    count, seed
        The sample: a mutant's place in it depends on the seed and the mutant alone.
    end : float
        By `time.monotonic`; no mutant is begun later.
    tests : int, optional
        Take a sample of so many tests, where all of them take too long.
    """

    def __init__(
        self,
        name: str,
        sources: list[Path],
        folder: Path,
        count: int,
        seed: int,
        end: float,
        tests: int | None = None,
    ) -> None:
        self.name, self.sources, self.folder = name, sources, folder
        self.count, self.seed, self.end, self.tests = count, seed, end, tests
        self.verdicts: dict[str, str] = {}
        self.items: list[pytest.Item] = []

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Map lines to tests, then run the sample."""
        chosen = self.items = session.items
        if self.tests is not None and self.tests < len(chosen):
            chosen = random.Random(self.seed).sample(chosen, self.tests)
        items = {item.nodeid: item for item in chosen}
        covered = self._map(list(items.values()))
        store = self.folder / f"{self.name}.json"
        known = json.loads(store.read_text()) if store.exists() else {}
        for path, mutant in self._sample(covered):
            if time.monotonic() > self.end:
                break
            key = f"{path.relative_to(SOURCES)} {_digest(path)} {mutant.key}"
            if key not in known:
                tests = [items[i] for i in covered[f"{path}:{mutant.line}"] if i in items]
                known[key] = self._verdict(path, mutant, tests)
                store.write_text(json.dumps(known, indent=1))
            self.verdicts[key] = verdict = self._with_reason(path, mutant, known[key])
            if verdict != "same":
                print(f"{verdict:9s} {path.relative_to(SOURCES)}:{mutant.key}", flush=True)
        return True

    def _named(self, path: Path, mutant: Mutant) -> list[Any]:
        wanted = names(path.read_text(encoding="utf-8"), mutant.line)
        return [i for i in self.items if wanted.intersection(re.findall(r"\w+", i.nodeid))]

    def _with_reason(self, path: Path, mutant: Mutant, verdict: str) -> str:
        """Return the verdict, or that this mutant is known to mean the same."""
        line = path.read_text(encoding="utf-8").splitlines()[mutant.line - 1]
        file = str(path.relative_to(SOURCES))
        known = verdict == "SURVIVED" and is_equivalent(file, line, mutant.what)
        return "known" if known else verdict

    def _sample(self, covered: dict[str, list[str]]) -> list[tuple[Path, Mutant]]:
        found = [
            (random.Random(f"{self.seed} {path.name} {m.key}").random(), i, path, m)
            for path in self.sources
            for i, m in enumerate(mutants(path.read_text(encoding="utf-8")))
            if f"{path}:{m.line}" in covered
        ]
        return [(path, m) for _, _, path, m in sorted(found, key=lambda f: f[:2])[: self.count]]

    def _map(self, items: list[Any]) -> dict[str, list[str]]:
        """Return the tests that run each line, from a file if nothing has changed."""
        state = hashlib.sha256()
        for path in sorted(self.sources):
            state.update(path.read_bytes())
        state.update(" ".join(item.nodeid for item in items).encode())
        store = self.folder / f"{self.name}-lines-{state.hexdigest()[:12]}.json"
        if not store.exists():
            print(f"{self.name}: noting the lines of {len(items)} tests", flush=True)
            in_fork(lambda: self._note(items, store), 3600)
        found: dict[str, list[str]] = json.loads(store.read_text())
        return found

    def _note(self, items: list[Any], store: Path) -> int:
        found: dict[str, list[str]] = {}
        files = {str(path) for path in self.sources}
        for item in items:
            lines = Lines(files)
            sys.settrace(lines)
            try:
                runtestprotocol(item, log=False, nextitem=None)
            finally:
                sys.settrace(None)
            for file, line in lines.seen:
                found.setdefault(f"{file}:{line}", []).append(item.nodeid)
        store.write_text(json.dumps(found))
        return 0

    def _verdict(self, path: Path, mutant: Mutant, tests: list[Any]) -> str:
        """Let a mutant meet the tests that run its line, then those named after its operation."""
        rng = random.Random(mutant.key)
        code = SURVIVED
        for some in (tests, self._named(path, mutant)):
            some = rng.sample(some, min(len(some), MOST))
            if code == SURVIVED and some:
                code = in_fork(lambda some=some: _meets(path, mutant, some), SECONDS)  # type: ignore
        return {KILLED: "killed", SURVIVED: "SURVIVED", SAME: "same"}.get(code, "killed")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:8]


def _meets(path: Path, mutant: Mutant, tests: list[Any]) -> int:
    """Plant the mutant and run tests until one fails."""
    try:
        if not plant(str(path), path.read_text(encoding="utf-8"), mutant.tree):
            return SAME
    except ValueError:
        return SAME
    for item in tests:
        for report in runtestprotocol(item, log=False, nextitem=None):
            if report.failed:
                return KILLED
    return SURVIVED


def in_fork(run: Callable[[], int], seconds: float) -> int:
    """Return the exit status of a fork that runs something; -1 where it takes too long."""
    sys.stdout.flush()
    child = os.fork()
    if not child:
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        try:
            code = run()
        except BaseException:
            code = KILLED
        os._exit(code)
    end = time.monotonic() + seconds
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return -1
        time.sleep(0.005)
