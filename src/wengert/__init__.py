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

__version__ = "0.1.0"
