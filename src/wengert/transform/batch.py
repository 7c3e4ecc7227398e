"""Batching: run a function written for one example on many at once.

A batched value's data has the batch as axis 0; the user sees the other axes.
"""

from __future__ import annotations

from types import CodeType
from typing import Any

import numpy as np

from wengert.errors import BatchedControlError, ConversionError, user_line
from wengert.ops.base import Op, RegionOp, dtype_of, shape_of
from wengert.ops.control import as_number
from wengert.ops.convert import convert
from wengert.ops.index import is_basic
from wengert.trace.alarm import is_covered
from wengert.trace.numbers import NUMBERS, check_operands, roles
from wengert.trace.record import Trace
from wengert.trace.tracer import OPERATOR, Tracer

__all__ = ["BatchTrace"]


class Batched:
    """Data with the batch as axis 0, or without one (`batched` False).

    `array` says that an example without axes is an array in NumPy and not a scalar, `fresh` that
    an example has memory of its own, without gaps.
    """

    __slots__ = ("array", "batched", "data", "fresh")

    def __init__(self, data: Any, batched: bool, array: bool = False, fresh: bool = False) -> None:
        self.data = data
        self.batched = batched
        self.array = array
        self.fresh = fresh


def _vars(trace: Any, args: tuple[Any, ...]) -> list[Any]:
    return [a._var if type(a) is Tracer and a._trace is trace else a for a in args]


class BatchTrace(Trace):
    """Applies each operation's batching rule.

    Attributes
    ----------
    raised : list of Exception
        What operations on the whole batch raised where the user's code may catch it. Some examples
        may not raise it.
    """

    kinds = (Batched,)

    def __init__(self, size: int, root: CodeType | None = None) -> None:
        super().__init__()
        self.size = size
        self.raised: list[Exception] = []
        self._root = root

    def shape(self, var: Any) -> tuple[int, ...]:
        """Return the shape of one example."""
        shape = super().shape(var)
        return shape[1:] if var.batched else shape

    def describe(self, var: Any) -> str:
        """Show the batched data."""
        return f"{var.data!r}, batched along axis 0" if self.alive else super().describe(var)

    def lift(self, x: Any) -> Tracer:
        """Make a constant into a value of this trace."""
        return Tracer(self, Batched(x, False, isinstance(x, np.ndarray)))

    def holds_array(self, var: Any) -> bool:
        """Whether an example without axes is an array in NumPy."""
        return bool(var.array)

    def process(self, op: Op, args: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        """Apply the operation to whole batches, one level down."""
        if not self.alive:
            raise self.leaked()
        xs: list[Any] = []
        batched: list[bool] = []
        for a in args:
            if type(a) is Tracer:
                if a._view is not None:
                    a._refresh()
                if a._trace is self:
                    a = a._var
                    xs.append(a.data)
                    batched.append(a.batched)
                    continue
            xs.append(a)
            batched.append(False)
        pythons = False
        if self.numbers:
            known, other = roles(self, _vars(self, args))
            pythons = attrs is OPERATOR and not other
            if pythons:
                check_operands(op, args)
            elif known and (op.by_kind or op.like is not None):
                self._weaken(xs, args)
        if True in batched:
            if type(op) is RegionOp:
                ys, flags = op.derivative.batched(xs, batched, attrs)  # type: ignore[union-attr]
                parts = [
                    Tracer(self, Batched(part, True, fresh=True)) if f else part
                    for part, f in zip(ys, flags, strict=True)
                ]
                return tuple(parts) if len(parts) > 1 else parts[0]
            try:
                y = op.batch(op, tuple(xs), tuple(batched), attrs)
            except Exception as error:
                self._notice(error)
                raise
            flag = True
        else:
            y = op(*xs, **attrs)
            flag = False
        if isinstance(y, tuple):
            return tuple(Tracer(self, Batched(part, flag, fresh=True)) for part in y)
        if op.ufunc is not None:
            made = Tracer(self, Batched(y, flag, False, True))
            if pythons:
                self.numbers.add(made._var)
            return made
        if op is as_number and flag:
            made = Tracer(self, Batched(y, True))
            self.numbers.add(made._var)
            return made
        fresh = op.alias is None or not is_basic(attrs.get("spec", ()))
        return Tracer(self, Batched(y, flag, _makes_array(op, args[0], attrs), fresh))

    def _weaken(self, xs: list[Any], args: tuple[Any, ...]) -> None:
        """Give Python numbers of a batch the dtype that they take on beside the other operands."""
        weak = [type(v) is Batched and v in self.numbers for v in _vars(self, args)]
        rest = [
            x if type(x) in NUMBERS else dtype_of(x) for x, w in zip(xs, weak, strict=True) if not w
        ]
        for i, w in enumerate(weak):
            if w:
                target = np.result_type(*rest, 0j if dtype_of(xs[i]).kind == "c" else 0.0)
                xs[i] = xs[i] if dtype_of(xs[i]) == target else convert(xs[i], dtype=target)

    def concrete(self, var: Any, kind: str) -> Any:
        """Return the plain value if it is the same for the whole batch."""
        if not var.batched:
            return var.data._plain(kind) if isinstance(var.data, Tracer) else var.data
        if kind in ("float", "complex", "item"):
            raise ConversionError(
                "a value that differs along a vmapped axis was turned into one Python number, by "
                "float(), .item(), a function of the math module, or by storing it into a plain "
                "array. Use the NumPy function (np.sin(x) instead of math.sin(x)), and make "
                "arrays with np.zeros(shape, like=x)." + user_line()
            )
        error = BatchedControlError(
            f"a Python decision ({kind}()) was taken on a value that differs along a vmapped "
            "axis, so there is no single outcome. Use np.where(condition, a, b) or wg.cond "
            "instead of if, and wg.while_loop, or wg.jit(wg.vmap(f)), instead of while."
            + user_line()
        )
        self._notice(error)
        raise error

    def _notice(self, error: Exception) -> None:
        if self._root is not None and is_covered(self._root):
            self.raised.append(error)


def _makes_array(op: Op, x: Any, attrs: dict[str, Any]) -> bool:
    """Whether a result without axes is an array in NumPy."""
    makes = op.makes(attrs)
    if makes == "same" or (op.alias == "reshape" and not shape_of(x)):
        return x._is_array() if isinstance(x, Tracer) else isinstance(x, np.ndarray)
    return makes == "array"


def front(x: Any, axis: int) -> Any:
    """Move a batch axis to the front."""
    return x if axis == 0 else np.moveaxis(x, axis, 0)
