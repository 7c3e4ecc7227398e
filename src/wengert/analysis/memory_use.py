"""What a function needs before it runs: memory, and what parts of it need on several devices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from wengert import trees
from wengert.backend.base import Footprint
from wengert.backend.native.run.footprint import footprint
from wengert.backend.native.schedule.schedule import Unsupported
from wengert.derivatives import value_and_grad
from wengert.devices.device import Device
from wengert.devices.partition import Partition, partitioned
from wengert.errors import UnsupportedError, user_line
from wengert.ir.graph import Graph, aval_of
from wengert.jit.form import split
from wengert.jit.record import record
from wengert.memory.profile import Memory, size_text
from wengert.tables import align

__all__ = ["MemoryUse", "memory", "partition"]


@dataclass(frozen=True)
class MemoryUse:
    """Bytes to evaluate a function, and to evaluate it with its gradient.

    Attributes
    ----------
    parameters : int
        Of the arguments that the gradient is with respect to; it takes as many again.
    inputs : int
        Of the other arguments.
    prediction, training : Memory
        Of one evaluation without and with the gradient.
    """

    parameters: int
    inputs: int
    prediction: Memory
    training: Memory

    def summary(self) -> list[tuple[str, str, str]]:
        """Return the sizes: a name, then those of prediction and of training."""
        p, t = self.prediction, self.training
        rows: list[tuple[str, int, int]] = [
            ("parameters", self.parameters, self.parameters),
            ("inputs", self.inputs, self.inputs),
            ("captured arrays", p.constants, t.constants),
            ("results, gradients", p.outputs, t.outputs),
            ("residuals", 0, t.residuals),
            ("workspace", p.workspace or 0, t.workspace or 0),
            ("peak in between", p.peak or 0, t.peak or 0),
            ("in all", _all(p), _all(t)),
        ]
        return [(name, size_text(a), size_text(b)) for name, a, b in rows]

    def __str__(self) -> str:
        """Return a table for people, and what is held when most is."""
        t = self.training
        sizes = align([("", "prediction", "training"), *self.summary()])
        return "\n".join([sizes, "held in training when most is:", t.table(), t.chart()])

    def plot(self, ax: Any = None, *, by: str = "role") -> Any:
        """Draw the bytes held in each step of training, and of prediction, with matplotlib.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; a new figure without.
        by : {"role", "line"}
            What the layers are: residuals, forward, backward and workspace, or the user's lines.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        MissingExtraError
            Without matplotlib: ``pip install 'wengert[plot]'``.
        """
        from wengert.charts.axes import axes_for
        from wengert.charts.stack import plot_stack

        return plot_stack(axes_for(ax, "memory.plot()"), self.stack(by))

    def stack(self, by: str = "role") -> Any:
        """Return what `plot` draws, as data: a `wengert.charts.stack.Stack`."""
        title = "memory held by value and gradient"
        found = self.training.stack(by, title)
        line = self.prediction.timeline
        return found._replace(other=("value alone", line)) if line else found

    def _repr_html_(self) -> str:
        """Return the sizes, the timeline, and the arrays of the fullest step, for a notebook."""
        from wengert.charts.html import figure, fragment, table
        from wengert.charts.stack import svg_stack

        return fragment(
            table(("", "prediction", "training"), self.summary()),
            figure(svg_stack(self.stack())),
            self.training.html_table(),
        )


def _all(m: Memory) -> int:
    return m.inputs + m.outputs + m.constants + (m.peak or 0)


def memory(
    f: Callable[..., Any], *args: Any, argnums: int | Sequence[int] = 0, **kwargs: Any
) -> MemoryUse:
    """Say what memory a function needs, and its gradient, as native code; nothing is compiled.

    Parameters
    ----------
    f : callable
        Returns a number, to be differentiated.
    *args, **kwargs : pytrees of arrays
        Of the shapes and dtypes that count. The function runs once for each of the two recordings.
    argnums : int or sequence of int
        The parameters' positions.

    Returns
    -------
    MemoryUse
        Attributes, and a table when printed.

    Raises
    ------
    UnsupportedError
        Where native code cannot hold the function, so that NumPy would run it.
    """
    nums = (argnums,) if isinstance(argnums, int) else tuple(argnums)
    places = {i % len(args) for i in nums}
    sizes = [sum(_nbytes(x) for x in trees.flatten(a)[0]) for a in args]
    parameters: int = sum(n for i, n in enumerate(sizes) if i in places)
    others: int = sum(n for i, n in enumerate(sizes) if i not in places)
    others += sum(_nbytes(x) for x in trees.flatten(kwargs)[0])
    with_gradient = value_and_grad(f, argnums=argnums)
    return MemoryUse(parameters, others, _of(f, args, kwargs), _of(with_gradient, args, kwargs))


def _nbytes(x: Any) -> int:
    return int(aval_of(x).nbytes) if isinstance(x, (np.ndarray, np.generic, float, int)) else 0


def _of(f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Memory:
    graph = record(f, *split(args, kwargs)).graph
    try:
        found = footprint(graph)
    except Unsupported as error:
        name = getattr(f, "__name__", "the function")
        raise UnsupportedError(
            f"{name} runs in NumPy because of {error}, which native code lacks, and NumPy "
            f"allocates as it goes: there is nothing to say of its memory" + user_line()
        ) from None
    return Memory(
        sum(v.aval.nbytes for v in graph.inputs),
        sum(aval_of(y).nbytes for y in graph.outputs),
        sum(c.data.nbytes for c in graph.consts()),
        found.peak,
        _graph=graph,
        _footprint=partial(footprint, graph),
    )


def partition(
    f: Callable[..., Any],
    *args: Any,
    devices: Sequence[Device],
    batch: int | Sequence[int] | None = None,
    microbatches: int | None = None,
    **kwargs: Any,
) -> Partition:
    """Return ways to split one step of a function over devices, and what each costs.

    Nothing is run on a device: the function is recorded at these arguments. Operations and bytes
    moved are counted from its graph, each operation on its own; memory is what native code of each
    part holds, with its fused loops and workspace, laid out as a plan of it would be.

    Parameters
    ----------
    f : callable
        A function written with NumPy, usually ``wg.value_and_grad(loss)``.
    *args, **kwargs : pytrees of arrays
    devices : sequence of wengert.devices.partition.Device
        A pipeline's stages are given to them in this order. Parts of an axis are in proportion to
        what each does of the whole in a second.
    batch : int or sequence of int, optional
        The positional arguments whose arrays have the examples along their first axis. By default
        those after the first argument, by position or keyword, that have a first axis of the same
        length in common (`Partition.arguments`). ``()`` for none.
    microbatches : int, optional
        Parts in which the batch goes through a pipeline; by default the fastest of 1, 2, 4, ... 32.

    Returns
    -------
    Partition
        ``candidates``, ``best``; ``partition[name]``. It prints itself.

    Raises
    ------
    InputError
        For `devices` that are none, `batch` arguments without a common first axis, and more
        `microbatches` than examples.
    MemoryBudgetError
        Where no candidate fits; `least` is the memory of each device with which one does.
    """
    return partitioned(f, args, kwargs, devices, batch, microbatches, _laid_out)


def _laid_out(graph: Graph) -> Footprint | None:
    try:
        return footprint(graph)
    except Unsupported:
        return None
