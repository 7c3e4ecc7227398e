"""wengert: derivatives of ordinary NumPy code, in the cheapest order, and what they cost.

>>> import numpy as np, wengert as wg
>>> def f(x):
...     return np.sum(np.log1p(np.exp(x)) * np.tanh(x)) if x[0] > 0 else np.sum(x**2)
>>> wg.grad(f)(np.array([-1.0, 2.0]))
array([-2.,  4.])
"""

import importlib
import importlib.util
import sys
import types
import typing

if typing.TYPE_CHECKING:
    from wengert.public import *  # noqa: F403  (what type checkers and editors see)
    from wengert.public import (  # noqa: F401  (what tools that read it find by name only)
        Shape,
        cost,
        count,
        debug_nans,
        draw,
        eval_shape,
        find_nan,
        memory,
        partition,
    )

__version__ = "0.1.0"

_FOLDERS = frozenset({"cost", "jit", "memory"})
"""Folders with the name of a function, which is what `wengert.jit` stands for."""


class _Package(types.ModuleType):
    """The package, whose names are loaded at the first use of one: the import itself does nothing.

    Python sets a submodule as an attribute of its package. Where a function has the same name, it
    is the function that stays.
    """

    def __getattr__(self, name: str) -> typing.Any:
        """Load a submodule, or all public names."""
        if name.startswith("__") and name != "__all__":  # the import system asks for these
            raise AttributeError(f"module 'wengert' has no attribute {name!r}")
        if name not in _FOLDERS and importlib.util.find_spec(f"wengert.{name}") is not None:
            return importlib.import_module(f"wengert.{name}")
        public = importlib.import_module("wengert.public")
        for key in ("__all__", *public.__all__):
            if key not in public.LATER:
                super().__setattr__(key, getattr(public, key))
        if name in public.LATER:
            super().__setattr__(name, getattr(public, name))
        return super().__getattribute__(name)

    def __setattr__(self, name: str, value: typing.Any) -> None:
        """Set an attribute, but no folder in the place of a function."""
        if name in _FOLDERS and isinstance(value, types.ModuleType):
            return
        super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        """List the public names as well."""
        return sorted({*super().__dir__(), *self.__all__})


sys.modules[__name__].__class__ = _Package
