"""What users call: the names of ``import wengert as wg``, which loads this module at the first one.

May import: errors, classes, tree, follow, transform, linear, backend.native.run, jit, gradients,
derivatives, taylor, matrices, analysis, drawing.
"""

import importlib
import typing

from wengert import errors, tree
from wengert.backend.native.run.pool import get_threads, set_threads
from wengert.classes import register
from wengert.derivatives import (
    grad,
    hvp,
    jvp,
    linearize,
    stop_gradient,
    value_and_grad,
    vjp,
    vmap,
)
from wengert.follow.functions import unfollowed
from wengert.gradients import elementwise_grad
from wengert.jit.decorator import jit
from wengert.linear.function import linear_graph
from wengert.matrices import (
    calibrate,
    hessian,
    jacfwd,
    jacobian,
    jacrev,
    load_plan,
    value_and_jacobian,
)
from wengert.taylor import hessian_diagonal, jet, laplacian
from wengert.transform import branch_rules, loop_rules, trips  # noqa: F401  (loops and branches)
from wengert.transform.checkpoint import checkpoint
from wengert.transform.control import (
    cond,
    fori_loop,
    map,
    scan,
    switch,
    while_loop,
)
from wengert.transform.custom import custom_jvp, custom_vjp
from wengert.transform.prefix import associative_scan

if typing.TYPE_CHECKING:
    from wengert.analysis.cost import cost, count
    from wengert.analysis.memory_use import memory, partition
    from wengert.analysis.nans import debug_nans, find_nan
    from wengert.analysis.shapes import Shape, eval_shape
    from wengert.drawing.draw import draw

LATER = {
    "Shape": "analysis.shapes",
    "cost": "analysis.cost",
    "count": "analysis.cost",
    "debug_nans": "analysis.nans",
    "draw": "drawing.draw",
    "eval_shape": "analysis.shapes",
    "find_nan": "analysis.nans",
    "memory": "analysis.memory_use",
    "partition": "analysis.memory_use",
}
"""Names that no other needs, and the modules that are loaded when one is asked for."""


def __getattr__(name: str) -> typing.Any:
    """Load a name of `LATER`."""
    if name not in LATER:
        raise AttributeError(f"module 'wengert.public' has no attribute {name!r}")
    return getattr(importlib.import_module(f"wengert.{LATER[name]}"), name)


__all__ = [
    "Shape",
    "associative_scan",
    "calibrate",
    "checkpoint",
    "cond",
    "cost",
    "count",
    "custom_jvp",
    "custom_vjp",
    "debug_nans",
    "draw",
    "elementwise_grad",
    "errors",
    "eval_shape",
    "find_nan",
    "fori_loop",
    "get_threads",
    "grad",
    "hessian",
    "hessian_diagonal",
    "hvp",
    "jacfwd",
    "jacobian",
    "jacrev",
    "jet",
    "jit",
    "jvp",
    "laplacian",
    "linear_graph",
    "linearize",
    "load_plan",
    "map",
    "memory",
    "partition",
    "register",
    "scan",
    "set_threads",
    "stop_gradient",
    "switch",
    "tree",
    "unfollowed",
    "value_and_grad",
    "value_and_jacobian",
    "vjp",
    "vmap",
    "while_loop",
]
