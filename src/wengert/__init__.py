"""wengert: derivatives of ordinary NumPy code, in the cheapest order, and what they cost."""

from wengert import errors
from wengert.api import (
    grad,
    hessian,
    hvp,
    jacfwd,
    jacobian,
    jacrev,
    jvp,
    linearize,
    stop_gradient,
    value_and_grad,
    vjp,
    vmap,
)
from wengert.compile import jit
from wengert.transform.checkpoint import checkpoint
from wengert.transform.custom import custom_jvp, custom_vjp

__version__ = "0.1.0"
