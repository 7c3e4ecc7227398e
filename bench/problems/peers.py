"""The peers that are installed; a missing one is None and its column stays empty."""

from __future__ import annotations

from typing import Any

__all__ = ["autograd_leaves", "jax", "jnp", "torch"]

jax: Any
jnp: Any
torch: Any

try:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
except ImportError:
    jax = jnp = None

try:
    import torch
except ImportError:
    torch = None


def autograd_leaves(x: Any) -> list[Any]:
    """Return the tensors of nested tuples, which is what torch.autograd.grad takes."""
    return [leaf for item in x for leaf in autograd_leaves(item)] if isinstance(x, tuple) else [x]
