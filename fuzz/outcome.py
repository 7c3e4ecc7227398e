"""What the checks of a program found: comparisons, refusals and failures."""

from __future__ import annotations

import collections
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from fuzz.compare import COARSEST, ROUNDING, difference, unstable
from fuzz.plain import OTHER_BRANCH
from fuzz.program import Program, Raised, run
from wengert.errors import SparsityError, WengertError


class Failure(NamedTuple):
    """A disagreement: which check, of which call, and in words what differs."""

    check: str
    call: int
    what: str

    @property
    def kind(self) -> tuple[str, ...]:
        """What a smaller program must share to count as the same failure."""
        words = self.what.split()
        return (self.check, words[0], words[1] if words[0] == "raised" else "")


class Outcome:
    """What the checks of one program found."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.comparisons = 0
        self.unstable = 0
        self.refusals: collections.Counter[str] = collections.Counter()
        self.failures: list[Failure] = []
        self.check = ""

    @property
    def failed(self) -> bool:
        """Whether the check that is being made has failed already."""
        return any(failure.check == self.check for failure in self.failures)

    def fail(self, call: int, what: str) -> None:
        truth = self.program.truths[call]
        if isinstance(truth, Raised) and OTHER_BRANCH in str(truth.error):
            self.unstable += 1  # compiled functions run branches that plain ones do not
            return
        self.failures.append(Failure(self.check, call, what))

    def get(self, call: int, f: Callable[..., Any], *args: Any, may_raise: bool = False) -> Any:
        """Call wengert; None where it refused or failed, which is noted."""
        got = run(f, *args)
        if not isinstance(got, Raised):
            return got
        self.comparisons += 1
        if is_refusal(got):
            self.refusals[_refusal(got.error)] += 1
        elif not may_raise:
            self.fail(call, f"raised {got}")
        return None

    def compare(
        self,
        call: int,
        got: Any,
        want: Any,
        reference: Callable[..., Any],
        *,
        looser: float = 1.0,
        dtypes: bool = True,
    ) -> None:
        """Compare a result or a `Raised` with the expected one; `reference` recomputes that."""
        self.comparisons += 1
        if isinstance(got, Raised) and is_refusal(got):
            if not isinstance(want, Raised):
                self.refusals[_refusal(got.error)] += 1
            return
        tolerance = min(looser * ROUNDING[self.program.coarse], COARSEST)
        said = difference(got, want, tolerance, dtypes)
        if not said:
            return
        if unstable(self.program, call, reference, tolerance):
            self.unstable += 1
        else:
            self.fail(call, said)


def is_refusal(got: Raised) -> bool:
    """Whether wengert says that it does not do this; that its own pattern is wrong is no answer."""
    return isinstance(got.error, WengertError) and not isinstance(got.error, SparsityError)


def _refusal(error: BaseException) -> str:
    first = str(error).split("\n")[0]
    return f"{type(error).__name__}: {re.sub(r'[0-9]+', 'N', first)[:90]}"
