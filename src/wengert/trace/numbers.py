"""Python's own numbers in a recording: what its operators make of them.

For some values Python's operators raise, or make a number of another type: ``x / 0``,
``(-8.0) ** 0.5``, ``2 ** -1``; and integers have no bound. A recorded operation computes as NumPy
does, so it holds where its result is finite, or within 64 bits, which is asked as a guard.
Elsewhere Python computes, and the operands' values become guards. So do truth values: ``True +
True`` is 2 in Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.errors import user_line
from wengert.follow.functions import call
from wengert.ir.graph import Const, Node, Value
from wengert.ops import elementwise as ew
from wengert.ops.base import Op, PythonComplex, PythonFloat, Traced, dtype_of
from wengert.ops.control import as_number
from wengert.ops.convert import convert
from wengert.trace.alarm import is_covered
from wengert.trace.lazy import Folded

__all__ = [
    "NUMBERS",
    "are_numbers",
    "as_python",
    "beside_arrays",
    "by_operator",
    "check_operands",
    "compared",
    "fails",
    "holds",
    "is_number",
    "number_type",
    "plain_number",
    "roles",
    "weak_value",
]

NUMBERS = frozenset({int, float, bool, complex})
"""Python's own numbers, which take part in NumPy's promotion by their kind only."""

LARGEST = 9e18
"""Bound of the integers that a program computes with: less than 64 bits hold by more than floats
round."""

_DOUBLES = {np.dtype(np.float64), np.dtype(np.complex128)}
_SAFE = ("compares", "fits", "grows")
"""What operators do with integers that neither raise of floats nor change their type."""
_KINDS = {int: "int", float: "float", bool: "bool", complex: "complex"}


def is_number(x: Any) -> bool:
    """Whether a leaf that is differentiated stands for a Python number."""
    if isinstance(x, (PythonFloat, PythonComplex)):
        return True
    return isinstance(x, Traced) and x._var in x._trace.numbers  # type: ignore[attr-defined]


def number_type(x: Any) -> type | None:
    """Return the type of the Python number that something is or stands for; None for all else."""
    while True:
        kind = type(x)
        if kind is np.ndarray:
            return None
        if kind in NUMBERS:
            return kind
        if not isinstance(x, Traced):
            return None
        trace, var = x._trace, x._var  # type: ignore[attr-defined]
        if type(var) not in trace.kinds:
            return None
        if var in trace.numbers:
            return complex if dtype_of(x).kind == "c" else float
        if type(var) is Folded:  # of which no number of Python is
            return None
        x = var.data


def as_python(y: Any) -> Any:
    """Return what Python's numbers make of each other as one, where NumPy's scalar was computed."""
    if isinstance(y, Traced) and not hasattr(y._trace, "append"):
        y._trace.numbers.add(y._var)  # type: ignore[attr-defined]
        return y
    return as_number(y)


def plain_number(x: Any) -> Any:
    """Return such a leaf as NumPy's scalar, or traced as it is."""
    if isinstance(x, PythonFloat):
        return np.float64(x)
    return np.complex128(x) if isinstance(x, PythonComplex) else x


def compared(op: Op, y: Any) -> Any:
    """Return the outcome of an operator on Python numbers that has no derivative.

    It is a number of Python, that of a comparison a bool.
    """
    if not isinstance(y, Traced):
        return y.item() if isinstance(y, np.generic) else y
    if op.integers != "compares":
        return as_python(y)
    recorder = y._trace
    append = getattr(recorder, "append", None)
    if append is None or type(y._var) is not Value:  # type: ignore[attr-defined]
        return y
    value = append(ew.UFUNCS[np.not_equal], (y._var, False), bool(y._var.data))  # type: ignore[attr-defined]
    return type(y)(recorder, value)  # type: ignore[call-arg]


def roles(trace: Any, inputs: Sequence[Any]) -> tuple[bool, bool]:
    """Say whether operands are differentiated Python numbers, and whether any is no number."""
    kinds, numbers = trace.kinds, trace.numbers
    known = other = False
    for x in inputs:
        kind = type(x)
        if kind in kinds:
            if x in numbers:
                known = True
            else:
                other = True
        elif kind not in NUMBERS and not is_number(x):
            other = True
    return known, other


def weak_value(tape: Any, var: Value) -> Value:
    """Return a value of a tape as a Python number, which leaves the dtype of a result to arrays."""
    found: Value | None = tape.weak.get(var)
    if found is None:
        found = Value(as_number(var.data))
        tape.nodes.append(Node(as_number, (var,), {}, (found,)))
        if not tape.regions:  # what is made under wg.checkpoint goes with its region
            tape.weak[var] = found
    return found


def beside_arrays(trace: Any, op: Op, inputs: list[Any], weakened: Any) -> list[Any]:
    """Return the operands of an operation, Python numbers beside others made weak.

    Among each other they are computed as NumPy's scalars are. Beside an array of float32, a Python
    float takes part as a float32 (NumPy enhancement proposal 50).
    """
    if not op.by_kind:
        return inputs
    kinds, numbers = trace.kinds, trace.numbers
    for x in inputs if op is not ew.power else ():
        own = type(x) in kinds
        data = x.data if own else x
        kind = type(data)
        is_double = kind is np.float64 or (kind is np.ndarray and data.dtype in _DOUBLES)
        if is_double and not (own and x in numbers):
            return inputs  # which decides in any case
    return [weakened(trace, x) if type(x) in kinds and x in numbers else x for x in inputs]


def holds(condition: Any) -> bool:
    """Decide by a condition; along a batch where it is the same for all examples."""
    var = getattr(condition, "_var", None)
    if not getattr(var, "batched", False):
        return bool(condition)
    examples = var.data  # type: ignore[union-attr]
    if not holds(np.any(examples)):
        return False
    return True if holds(np.all(examples)) else bool(condition)  # which refuses to decide


def fails(condition: Any) -> bool:
    """Whether a function of Python raises, by a condition on its arguments.

    The body of a loop that is compiled cannot raise: there it is NumPy's function, which gives NaN
    or infinity, unless a handler of the body waits for the exception.
    """
    x = condition
    while isinstance(x, Traced):
        in_body = getattr(x._trace, "checks", True) is False
        if in_body and not is_covered(call.__code__):
            return False
        x = x._var.data  # type: ignore[attr-defined]
    return holds(condition)


def check_operands(op: Op, values: Sequence[Any]) -> None:
    """Raise what Python's operator raises, where a handler of the differentiated function waits.

    Elsewhere differentiated numbers of Python are computed with as NumPy's scalars: the derivative
    of ``1 / x`` at 0 is infinite. But a handler is another path of the function, and is taken.

    Raises
    ------
    ZeroDivisionError
    OverflowError
        For a power that is too large.
    """
    divides = op.name == "divide" or op.integers == "divides"
    if not (divides or op.integers == "power") or not is_covered(call.__code__):
        return
    if divides:
        if holds(values[1] == 0):
            raise ZeroDivisionError(f"division by zero{user_line()}")
        return
    base, exponent = values
    whole = type(exponent) is int or (type(exponent) is float and exponent.is_integer())
    if (not whole or exponent < 0) and holds((base == 0) & (np.real(exponent) < 0)):
        raise ZeroDivisionError(f"0.0 cannot be raised to a negative power{user_line()}")
    with np.errstate(over="ignore"):
        too_large = np.isinf(op(base, exponent))
    for x in values:
        too_large = too_large & ~np.isinf(x)
    if holds(too_large):
        raise OverflowError(34, f"Numerical result out of range{user_line()}")


def are_numbers(inputs: list[Any]) -> bool:
    """Whether all operands of a node are Python numbers."""
    return all(type(x.data if type(x) is Value else x) in NUMBERS for x in inputs)


def by_operator(recorder: Any, op: Op, inputs: list[Any]) -> Any:
    """Record one of Python's operators on Python numbers.

    Returns
    -------
    Value or Python number
        A number where that is known under the guards.
    """
    values = [x.data if isinstance(x, (Value, Const)) else x for x in inputs]
    kinds = set(map(type, values))
    if op.name == "positive" and bool not in kinds:
        return inputs[0]
    if bool in kinds and (op.integers != "compares" or op.python is None):
        return _by_value(recorder, op, inputs)
    if op.python is None:
        return recorder.append(op, inputs, op.ufunc(*values).item())  # type: ignore[misc]
    if complex in kinds:
        return recorder.append(op, inputs, _computed(recorder, op, values))
    if float in kinds or op.name == "divide":
        if op.integers in _SAFE:
            return recorder.append(op, inputs, op.python(*values))
        return _if_finite(recorder, op, inputs, values)
    return _of_integers(recorder, op, inputs, values)


def _computed(recorder: Any, op: Op, values: list[Any]) -> Any:
    """Compute what raises in NumPy's programs, too."""
    try:
        return op.python(*values)  # type: ignore[misc]
    except Exception as error:
        recorder.alarm.refused("raised", error)
        raise


def _if_finite(recorder: Any, op: Op, inputs: list[Any], values: list[Any]) -> Any:
    """Record an operation that holds where its result is finite."""
    try:
        y = op.python(*values)  # type: ignore[misc]
    except (ArithmeticError, ValueError):
        y = np.nan
    if not recorder.checks:
        return recorder.append(op, inputs, y)
    made = recorder.append(op, inputs, y if type(y) is float else float("nan"))
    if recorder.asks(np.isfinite, made):
        return made
    divided = op.integers != "power" and values[1] == 0
    return _by_value(recorder, op, inputs, (1,) if divided else (0, 1))


def _of_integers(recorder: Any, op: Op, inputs: list[Any], values: list[Any]) -> Any:
    if op.integers in ("fits", "compares") or not recorder.checks:
        return recorder.append(op, inputs, op.python(*values))  # type: ignore[misc]
    if op.integers == "divides":
        if not recorder.asks(np.not_equal, inputs[1], 0):
            return _by_value(recorder, op, inputs, (1,))
        return recorder.append(op, inputs, op.python(*values))  # type: ignore[misc]
    if op.integers == "power":
        if not recorder.asks(np.greater_equal, inputs[1], 0):
            return _if_finite(recorder, ew.float_power, inputs, values)
        estimated = ew.float_power
    elif op.integers == "grows":
        estimated = op
    else:  # shifts
        return _by_value(recorder, op, inputs)
    if any(abs(x).bit_length() > 1000 for x in values):  # which no float holds
        return _by_value(recorder, op, inputs)
    floats = [
        recorder.value(convert, x, dtype=np.dtype(float)) if type(x) is Value else float(x)
        for x in inputs
    ]
    size = recorder.value(ew.absolute, recorder.value(estimated, *floats))
    if not recorder.asks(np.less, size, LARGEST):
        return _by_value(recorder, op, inputs)
    return recorder.append(op, inputs, op.python(*values))  # type: ignore[misc]


def _by_value(recorder: Any, op: Op, inputs: list[Any], which: tuple[int, ...] = (0, 1)) -> Any:
    """Compute in Python, with operands whose values become guards."""
    plain = []
    for k, x in enumerate(inputs):
        if type(x) is Value:
            kind = _KINDS[type(x.data)]
            plain.append(recorder.concrete(x, kind) if k in which else x.data)
        else:
            plain.append(x)
    return op.ufunc(*plain).item() if op.python is None else op.python(*plain)  # type: ignore[misc]
