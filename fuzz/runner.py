"""Runs programs in worker processes until the time is up, and reports.

A worker is a fork of this process and makes a few dozen programs; a crash or a program that does
not end costs the worker, is noted, and another worker goes on behind it. A program that takes too
long is listed, and is no failure: how long it takes is the machine's affair as well.
"""

from __future__ import annotations

import ast
import collections
import multiprocessing
import os
import random
import re
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, NamedTuple

from fuzz import generate
from fuzz.checks import CHECKS, examine
from fuzz.outcome import Failure, Outcome
from fuzz.program import Program
from fuzz.shrink import shrunk

BATCH = 40
"""Programs of one worker."""
PATIENCE = 60.0
"""Seconds of a processor after which a program counts as one that does not end."""
STANDING = 10.0
"""How many times longer a worker may stand still, on a busy machine or waiting for something."""
MEMORY = 6 * 2**30
"""Bytes of address space that a worker has."""
SHRINKING = 45.0
"""Seconds for shrinking one failure."""
LEAST = 15.0
"""Seconds for it where the run is about to end."""
ALIKE = 2
"""Failures of one signature that are shrunk and written out; further ones are counted."""

FORK = multiprocessing.get_context("fork")


class Report(NamedTuple):
    """What a worker says of one program."""

    index: int
    comparisons: int
    unstable: int
    refusals: dict[str, int]
    failures: list[Failure]


def checks_of(seed: str) -> list[str]:
    """Choose the checks of a program: all of the cheap ones, a share of those that compile."""
    rng = random.Random(f"checks {seed}")
    return [name for name, check in CHECKS.items() if rng.randrange(100) < check.share]


def made(seed: str) -> tuple[str, Outcome]:
    """Make a program and its checks."""
    source = generate.program(seed)
    program = Program.parsed(source, seed)
    return source, examine(program, checks_of(seed))


def _limited() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _work(channel: Connection, seed: int, indices: range) -> None:
    _limited()
    for index in indices:
        channel.send(index)
        try:
            _, o = made(f"{seed}/{index}")
            report = Report(index, o.comparisons, o.unstable, dict(o.refusals), o.failures)
        except Exception as error:
            said = f"fuzzer {type(error).__name__}: {traceback.format_exc(limit=-3)}"
            report = Report(index, 0, 0, {}, [Failure("fuzzer", 0, said)])
        channel.send(report)
    channel.close()


class Clock:
    """How long a process has worked since now, whatever else the machine does meanwhile."""

    def __init__(self, pid: int | None) -> None:
        self.pid = pid
        self.began, self.worked = time.monotonic(), self._work()

    def is_past(self, seconds: float) -> bool:
        """Whether it has used as much of a processor, or has stood still for very long."""
        if self._work() - self.worked > seconds:
            return True
        return time.monotonic() - self.began > STANDING * seconds

    def _work(self) -> float:
        """Return the seconds that the process has run; of the wall where nobody counts them."""
        try:
            text = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8")
        except OSError:
            return time.monotonic()
        user, system = text.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


class Worker:
    """A process that makes the programs of some indices, one after the other."""

    def __init__(self, seed: int, indices: range) -> None:
        self.indices = indices
        self.channel, far = FORK.Pipe()
        self.process = FORK.Process(target=_work, args=(far, seed, indices), daemon=True)
        self.process.start()
        far.close()
        self.current = indices[0]
        self.clock = Clock(self.process.pid)

    def stop(self) -> None:
        self.process.kill()
        self.process.join()
        self.channel.close()

    def messages(self) -> list[Report] | None:
        """Return what has arrived; None when the worker has ended."""
        arrived = []
        try:
            while self.channel.poll():
                said = self.channel.recv()
                self.clock = Clock(self.process.pid)
                if isinstance(said, int):
                    self.current = said
                else:
                    arrived.append(said)
        except (EOFError, ConnectionError):
            return arrived or None
        return arrived


class Campaign:
    """A run of the fuzzer.

    Parameters
    ----------
    seed : int
        Program i is made from the seed and i alone.
    seconds : float
        After which the run ends; what fails meanwhile is shrunk within that time.
    jobs : int
        Worker processes.
    folder : Path
        Where the tests are written.
    say : callable
        Prints a line.
    """

    def __init__(
        self, seed: int, seconds: float, jobs: int, folder: Path, say: Callable[[str], None] = print
    ) -> None:
        self.seed, self.seconds, self.jobs, self.folder, self.say = seed, seconds, jobs, folder, say
        self.programs = self.comparisons = self.unstable = 0
        self.refusals: collections.Counter[str] = collections.Counter()
        self.signatures: collections.Counter[str] = collections.Counter()
        self.lost: list[str] = []
        self.end = 0.0
        self.last = sys.maxsize

    def run(self, first: int = 0, count: int | None = None) -> int:
        """Make programs until the time is up or `count` are made; return the number of failures."""
        self.end = time.monotonic() + self.seconds
        self.last = first + count if count is not None else sys.maxsize
        workers = [w for k in range(self.jobs) if (w := self._from(first + k)) is not None]
        try:
            while workers and time.monotonic() < self.end:
                wait([w.channel for w in workers], timeout=1.0)
                workers = [w for old in workers if (w := self._served(old)) is not None]
        finally:
            for w in workers:
                w.stop()
        self._summary()
        return self.signatures.total()

    def _from(self, index: int) -> Worker | None:
        """Return a new worker that begins with a program, if that one is to be made."""
        indices = range(index, min(index + BATCH * self.jobs, self.last), self.jobs)
        return Worker(self.seed, indices) if indices else None

    def _served(self, worker: Worker) -> Worker | None:
        """Take a worker's reports; return it, or the one that goes on after it."""
        reports = worker.messages()
        for report in reports or ():
            self._take(report)
        if reports is None:
            worker.process.join()
            code = worker.process.exitcode
            worker.stop()
            if not code:
                return self._from(worker.indices[-1] + self.jobs)
            self._crashed(worker.current, code)
            return self._from(worker.current + self.jobs)
        if not reports and worker.clock.is_past(PATIENCE):
            worker.stop()
            self._given_up(worker.current, f"did not end within {PATIENCE:.0f} seconds")
            return self._from(worker.current + self.jobs)
        return worker

    def _take(self, report: Report) -> None:
        self.programs += 1
        self.comparisons += report.comparisons
        self.unstable += report.unstable
        self.refusals.update(report.refusals)
        checks = set()
        for failure in report.failures:
            if failure.check not in checks:
                checks.add(failure.check)
                self._failed(report.index, failure)

    def _crashed(self, index: int, code: int | None) -> None:
        """Note a program that took its worker with it: find the check that does it."""
        seed = f"{self.seed}/{index}"
        what = f"crashed with exit code {code}"
        source = generate.program(seed)
        for name in checks_of(seed):
            if alone(source, name, PATIENCE / 3) == "crashed":
                self.programs += 1
                self._failed(index, Failure(name, 0, what))
                return
        if code == -signal.SIGKILL:  # from outside: of a machine without memory, for example
            self._given_up(index, f"{what}, but not alone")
            return
        self.programs += 1
        self._failed(index, Failure("", 0, f"{what}, but not alone"))

    def _given_up(self, index: int, what: str) -> None:
        self.programs += 1
        self.lost.append(f"program {index} {what}")
        self.say(self.lost[-1])

    def _failed(self, index: int, failure: Failure) -> None:
        signature = f"{failure.check}: {re.sub(r'-?[0-9][0-9.e+-]*', 'N', failure.what)[:60]}"
        self.signatures[signature] += 1
        self.say(f"program {index}: {failure.check}, call {failure.call}: {failure.what[:300]}")
        if self.signatures[signature] > ALIKE or failure.check not in CHECKS:
            return
        source = generate.program(f"{self.seed}/{index}")
        left = min(SHRINKING, max(LEAST, self.end - time.monotonic()))
        small = shrunk(source, lambda text: same_failure(text, failure), left)
        path = self.folder / f"test_seed{self.seed}_{index}_{failure.check.replace(' ', '_')}.py"
        self.folder.mkdir(parents=True, exist_ok=True)
        text = Program.parsed(small).test(failure.check, failure.what)
        path.write_text(text, encoding="utf-8")
        lines = len(ast.unparse(ast.parse(small).body[0]).splitlines())
        self.say(f"    shrunk to {lines} lines: {path}\n{small}")

    def _summary(self) -> None:
        refused = self.refusals.total()
        share = refused / max(1, self.comparisons)
        self.say(
            f"seed {self.seed}: {self.programs} programs, {self.comparisons} comparisons, "
            f"{self.signatures.total()} failures of {len(self.signatures)} kinds, "
            f"{refused} refusals ({share:.1%}), {self.unstable} without a stable answer"
        )
        for kind, n in self.refusals.most_common(15):
            self.say(f"  refused {n:6d}  {kind}")
        for what in self.lost:
            self.say(f"  given up: {what}")
        for kind, n in self.signatures.most_common():
            self.say(f"  FAILED {n:6d}  {kind}")


def _judge(channel: Connection, source: str, check: str) -> None:
    _limited()
    try:
        program = Program.parsed(source)
        found = [] if program.changes_arguments() else examine(program, [check]).failures
    except Exception:
        found = []
    channel.send(found[0].kind if found else None)


def alone(source: str, check: str, seconds: float) -> Any:
    """Make one check in its own process: the kind of failure, "crashed", "late" or None."""
    channel, far = FORK.Pipe()
    process = FORK.Process(target=_judge, args=(far, source, check), daemon=True)
    process.start()
    far.close()
    said: Any = "late"
    clock = Clock(process.pid)
    while not (arrived := channel.poll(0.2)) and not clock.is_past(seconds):
        pass
    if arrived:
        try:
            said = channel.recv()
        except EOFError:
            said = "crashed"
    process.kill()
    process.join()
    channel.close()
    return said


def same_failure(source: str, failure: Failure) -> bool:
    """Whether a program, made alone, fails as the given one did."""
    found = alone(source, failure.check, PATIENCE / 6)
    if failure.what.startswith("crashed"):
        return bool(found == "crashed")
    return bool(found == failure.kind)
