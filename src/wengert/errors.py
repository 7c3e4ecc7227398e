"""Every exception that wengert raises on purpose.

Each one also subclasses the builtin that a NumPy user would catch::

    WengertError
    ├── InputError              TypeError    an argument has the wrong type (integers to ``grad``)
    ├── ShapeError              ValueError   shapes that do not fit (tangents, cotangents, outputs)
    ├── TraceError              TypeError    code that cannot be followed
    │   ├── ConversionError     TypeError    a traced value forced into plain NumPy or ``math``
    │   ├── UnsupportedError    TypeError, NotImplementedError   a function wengert does not know
    │   ├── LeakedTracerError   RuntimeError a traced value used after its trace ended
    │   └── BatchedControlError ValueError   a Python branch on a value that differs along ``vmap``
    ├── MutationError           ValueError   an array changed in place where that is not visible
    ├── DerivativeError         NotImplementedError   an operation without the derivative asked for
    ├── DerivativeMismatchError AssertionError  a derivative that fails a check
    ├── GraphError              ValueError   a graph that is not well formed, or does not parse
    ├── NonFiniteError          FloatingPointError   a result is NaN, in `debug_nans`
    ├── PlanMismatchError       ValueError   a plan called with other arguments than it was made for
    ├── MissingExtraError       ImportError  an optional library that is not installed
    ├── SparsityError           ValueError   a sparsity pattern that does not hold
    ├── OrderError              ValueError   an order of accumulation that does not fit
    ├── DenseTooLargeError      MemoryError  a dense matrix that would not fit in memory
    ├── MemoryBudgetError       MemoryError  a budget that cannot be kept
    ├── DataError               ValueError   a file or table that cannot be used
    ├── SettingsError           ValueError   a setting of a training run that does not fit
    ├── CheckpointError         ValueError   a checkpoint that cannot be read
    ├── RunFolderError          OSError      a run folder that cannot be made, written or resumed
    ├── DivergedError           ArithmeticError   a loss that is infinite or not a number
    └── VerificationError       AssertionError  a program that wengert made wrongly (WENGERT_VERIFY)
"""

from __future__ import annotations

import threading

from wengert.frames import USERS as USERS
from wengert.frames import Called as Called
from wengert.frames import called as called
from wengert.frames import heed_warnings as heed_warnings
from wengert.frames import hidden as hidden
from wengert.frames import is_heeding as is_heeding
from wengert.frames import is_users, user_line
from wengert.frames import public_name as public_name
from wengert.frames import retold as retold
from wengert.frames import shorten as shorten
from wengert.frames import user_frame as user_frame
from wengert.frames import users_code as users_code

__all__ = [
    "BatchedControlError",
    "CheckpointError",
    "ConversionError",
    "DataError",
    "DenseTooLargeError",
    "DerivativeError",
    "DerivativeMismatchError",
    "DivergedError",
    "GraphError",
    "InputError",
    "LeakedTracerError",
    "MemoryBudgetError",
    "MissingExtraError",
    "MutationError",
    "NonFiniteError",
    "OrderError",
    "PlanMismatchError",
    "RunFolderError",
    "SettingsError",
    "ShapeError",
    "SparsityError",
    "TraceError",
    "UnsupportedError",
    "VerificationError",
    "WengertError",
    "is_users",
    "user_line",
]


class _Noticed(threading.local):
    def __init__(self) -> None:
        self.lists: list[list[TraceError]] = []


_NOTICED = _Noticed()


class noticing:
    """Collects the `TraceError` made inside the block, those that were caught too.

    Attributes
    ----------
    errors : list
    """

    def __init__(self) -> None:
        self.errors: list[TraceError] = []

    def __enter__(self) -> noticing:
        """Begin."""
        _NOTICED.lists.append(self.errors)
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        """End."""
        _NOTICED.lists.pop()

    def passed_on(self) -> bool:
        """Let the block around this one have the errors, if there is one."""
        if _NOTICED.lists:
            _NOTICED.lists[-1].extend(self.errors)
        return bool(_NOTICED.lists)


class WengertError(Exception):
    """Base of all exceptions raised by wengert."""


class InputError(WengertError, TypeError):
    """An argument has a type or dtype that the function cannot take."""


class ShapeError(WengertError, ValueError):
    """Shapes that do not fit each other."""


class TraceError(WengertError, TypeError):
    """Code that cannot be followed by tracing."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)
        if _NOTICED.lists and self._is_noticed:
            _NOTICED.lists[-1].append(self)

    _is_noticed = True


class ConversionError(TraceError):
    """A traced value was forced into a plain number or array."""


class UnsupportedError(TraceError, NotImplementedError):
    """A function or option that wengert does not know."""


class LeakedTracerError(TraceError, RuntimeError):
    """A traced value was used after the trace that made it had ended."""


class BatchedControlError(TraceError, ValueError):
    """Python control flow on a value that differs along a mapped axis."""

    _is_noticed = False  # which `vmap` sees to


class MutationError(WengertError, ValueError):
    """An array was changed in place where the change cannot be followed."""


class DerivativeError(WengertError, NotImplementedError):
    """An operation lacks the derivative that was asked for."""


class DerivativeMismatchError(WengertError, AssertionError):
    """A derivative disagrees with an independent computation of it."""


class GraphError(WengertError, ValueError):
    """A graph that is not well formed, or a text that is not a graph."""


class NonFiniteError(WengertError, FloatingPointError):
    """A result is NaN or infinite where `debug_nans` forbids it."""


class PlanMismatchError(WengertError, ValueError):
    """A plan was called with arguments that it was not made for."""


class MissingExtraError(WengertError, ImportError):
    """An optional library is needed that is not installed.

    Parameters
    ----------
    library : str
    extra : str
        The extra of wengert that installs it.
    what : str
        What needs it: ``pattern.plot()``.
    """

    def __init__(self, library: str, extra: str, what: str) -> None:
        super().__init__(
            f"{what} needs {library}, which is not installed. Install it with wengert's extra "
            f"{extra!r}: pip install 'wengert[{extra}]'" + user_line()
        )
        self.library, self.extra, self.what = library, extra, what

    def __reduce__(self) -> tuple[type, tuple[str, str, str]]:
        """Copy and pickle by what the message is made of."""
        return type(self), (self.library, self.extra, self.what)


class SparsityError(WengertError, ValueError):
    """A sparsity pattern that lacks entries of the matrix."""


class OrderError(WengertError, ValueError):
    """An order of accumulation that is none, or belongs to another graph."""


class DenseTooLargeError(WengertError, MemoryError):
    """A dense matrix that would not fit in memory."""


class MemoryBudgetError(WengertError, MemoryError):
    """A memory budget that cannot be kept.

    Attributes
    ----------
    least : int or None
        Bytes with which there is a plan, where that is known.
    """

    def __init__(self, message: str, least: int | None = None) -> None:
        super().__init__(message)
        self.least = least


class DataError(WengertError, ValueError):
    """A file or table that cannot be used as it is."""


class SettingsError(WengertError, ValueError):
    """A setting of a run is out of range, or differs from the run that is resumed."""


class CheckpointError(WengertError, ValueError):
    """A checkpoint cannot be read, or belongs to another run."""


class RunFolderError(WengertError, OSError):
    """A run folder cannot be created, written or resumed."""


class DivergedError(WengertError, ArithmeticError):
    """The loss became infinite or not a number."""


class VerificationError(WengertError, AssertionError):
    """A program or a graph that wengert made is not well formed, which is a fault of wengert."""


def cause_of(error: BaseException) -> BaseException:
    """Return the reason of an error that NumPy wrapped into one of its own, where it is wengert's.

    A traced value stored into an element of a plain array arrives as ``ValueError: setting an array
    element with a sequence``.
    """
    cause = error.__cause__
    return (
        cause if isinstance(cause, WengertError) and not isinstance(error, WengertError) else error
    )
