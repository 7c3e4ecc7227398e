"""The layers of the package: each folder, the lowest first, and the folders that it may import.

A module at the top of the package (`errors`, `trees`) is a folder of its own here; the package's
own ``__init__`` is ``""``. Every import points to a line above. A test checks that, and that the
``__init__`` of each folder says the same as its line.
"""

from __future__ import annotations

__all__ = ["LAYERS"]

_TABLE = """
frames:
errors: frames
naming:
tables:
files:
charts: errors
follow: errors
llvm: errors, files
loopc: errors, llvm
ir: errors
ops: errors, ir
rolling: ir, ops
classes: errors, ops
trees: errors, classes, follow, ir, ops
tree: errors, ops, trees
trace: errors, follow, ir, ops
trace.numpy: errors, ops, trace
trace.python: errors, follow, ops, trace, trace.numpy
trace.scipy: errors, follow, ops, trace, trace.python
transform: errors, follow, ir, ops, rolling, trees, trace
sparse.colouring: errors, charts, loopc
sparse: errors, charts, sparse.colouring
sparse.detection: errors, ir, ops, sparse
orders: errors, llvm, loopc
linear: errors, charts, tables, ir, ops, trees, trace, transform, sparse, orders
cost: errors, charts, ir, ops
memory: errors, charts, ir, ops, sparse.detection
backend: errors, ir, ops
backend.native.scalar: errors, ir, ops, llvm
backend.native.schedule: errors, ir, ops, llvm, backend.native.scalar
backend.native.emit: errors, ir, llvm, backend.native.scalar, backend.native.schedule
backend.native.run: errors, ir, llvm, backend, backend.native.schedule, backend.native.emit
backend.native: ir, backend, backend.native.schedule, backend.native.run
backends: errors, backend, backend.native
jit: errors, charts, naming, follow, ir, ops, rolling, trees, trace, cost, memory, backend, backend.native.schedule, backend.native.run, backends
devices: errors, charts, tables, ir, ops, cost, memory, jit
gradients: errors, follow, ops, trees, trace, trace.numpy, trace.python, trace.scipy, transform, jit
derivatives: errors, follow, ops, trees, trace, transform, jit, gradients
matrices: errors, naming, charts, tables, files, follow, ir, ops, trees, trace, transform, sparse, sparse.colouring, sparse.detection, orders, linear, cost, memory, backend, backend.native, backend.native.schedule, llvm, jit, derivatives
taylor: errors, follow, ops, trees, trace, transform, sparse, sparse.colouring, sparse.detection, jit, derivatives, matrices
chains: errors, follow, ops, trees, memory, jit, derivatives
analysis.loops: errors, follow, ir, ops, trace
analysis: errors, charts, tables, follow, ir, ops, trees, trace, cost, memory, backend, backend.native.schedule, backend.native.run, jit, devices, derivatives, analysis.loops
drawing: errors, ir, ops, trees, trace, transform, cost, memory, jit, matrices, devices, analysis.loops
public: errors, classes, tree, follow, transform, linear, backend.native.run, jit, gradients, derivatives, taylor, matrices, analysis, drawing
"": public
testing: errors, follow, ops, trees, transform, derivatives
train: errors, files, tables, ""
report: errors, charts, tables, cost, memory, jit, matrices, devices, analysis, drawing, "", train
cli: errors, cost, devices, matrices, analysis, drawing, "", testing, train, report
__main__: cli
"""  # noqa: E501  (a line for each folder)


def _rows() -> dict[str, frozenset[str]]:
    rows = {}
    for line in _TABLE.strip().splitlines():
        name, _, allowed = line.partition(":")
        found = (part.strip() for part in allowed.split(","))
        rows[name.strip('"')] = frozenset(part.strip('"') for part in found if part)
    return rows


LAYERS: dict[str, frozenset[str]] = _rows()
