"""`jit`: compile a function on its first call."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal, ParamSpec, TypeVar, overload

from wengert.backends import make_backend
from wengert.errors import InputError, UnsupportedError, hidden, user_line
from wengert.jit.jitted import Jitted
from wengert.jit.keywords import bytes_of, refuse_options, refuse_unknown, static_places
from wengert.jit.planned_function import MAX_SPECIALISATIONS
from wengert.ops.options import check_flag, check_function, integers
from wengert.ops.options import names as option_names

__all__ = ["jit"]

P = ParamSpec("P")
R = TypeVar("R")


@overload
def jit(
    f: Callable[P, R],
    *,
    static_argnums: int | Sequence[int] = (),
    static_argnames: str | Sequence[str] = (),
    backend: Literal["native", "numpy"] | None = None,
    max_specialisations: int = MAX_SPECIALISATIONS,
    fastmath: bool = False,
    memory_budget: int | str | None = None,
) -> Jitted[P, R]: ...
@overload
def jit(
    f: None = None,
    *,
    static_argnums: int | Sequence[int] = (),
    static_argnames: str | Sequence[str] = (),
    backend: Literal["native", "numpy"] | None = None,
    max_specialisations: int = MAX_SPECIALISATIONS,
    fastmath: bool = False,
    memory_budget: int | str | None = None,
) -> Callable[[Callable[P, R]], Jitted[P, R]]: ...
@hidden
def jit(
    f: Callable[..., Any] | None = None,
    *,
    static_argnums: int | Sequence[int] = (),
    static_argnames: str | Sequence[str] = (),
    backend: Literal["native", "numpy"] | None = None,
    max_specialisations: int = MAX_SPECIALISATIONS,
    fastmath: bool = False,
    memory_budget: int | str | None = None,
    **unknown: Any,
) -> Any:
    """Compile a function on its first call, for each signature and each path through its code.

    Parameters
    ----------
    f : callable
        Written in NumPy; derivatives included: ``jit(grad(loss))``.
    static_argnums, static_argnames
        Arguments that are part of the program, by position or by name: another value is another
        program. They must be hashable. Arrays and numbers are data unless named here; strings and
        other objects are always static, and objects that can change are compared at each call.
    backend : {"native", "numpy"}, optional
        ``native`` is machine code, made by LLVM, which fuses loops and calls NumPy for what it has
        no code for; graphs with complex numbers or other dtypes that it lacks run in NumPy as a
        whole. ``numpy`` calls NumPy for each operation, and is the reference. The default is
        ``native``.
    max_specialisations : int
        Largest number of paths compiled for one signature. A Python ``if``, ``while``, ``int()`` or
        index on a traced value records its outcome as a guard; another outcome runs, or records,
        another specialisation. Past this number, further paths run without compilation, with one
        warning.
    fastmath : bool
        Whether native code may compute in another order (sums and products are associative), fuse
        a multiplication and an addition, divide by multiplying with the reciprocal, approximate
        functions, and assume that there are no NaN, no infinities and no negative zeros: where
        there are, results are arbitrary, and so are Python decisions on them.
    memory_budget : int or str, optional
        Bytes, or a text such as ``"150MiB"``, that each run holds at most between its inputs and
        outputs (``plan.memory.peak``). Values of a derivative's forward pass are computed again
        where that is needed; ``plan.memory.extra_flops`` says what it costs. The arithmetic is the
        same, but a sum may be added up in another order where it shares a loop with others. Where
        the function is called with traced values, it is a part of what is traced, and that
        function's budget counts.
    **unknown
        No other option exists. An option given by its former name raises with its present name.

    Returns
    -------
    Jitted
        A function with ``plan(*example)``, ``into(out, *args)``, ``cache_info()`` and
        ``clear_cache()``. Its results are new arrays, whatever `f` returns.

    Raises
    ------
    InputError
        For an unknown backend or option, or a static argument that `f` does not have.
    UnsupportedError
        For a memory budget with ``backend="numpy"``.
    MemoryBudgetError
        On a call that cannot be kept within the budget; it says what can.
    MutationError
        On a call in which `f` changes an argument in place.

    Notes
    -----
    What `f` and the functions that it calls look up outside of their arguments (globals, variables
    of enclosing functions, defaults, attributes of objects) is compared at each call: objects by
    identity, numbers, strings, lists, dicts and sets by value. A change leads to another recording,
    so pass what changes often as an argument. A plain array that is an operand beside arguments is
    read at each call, and may change in place; where `f` reads its content otherwise (``2 * w``,
    ``w[1]``, a mask, a number of repeats), that content is compared.

    Not seen are changes in what installed libraries look up, in files, clocks and the environment,
    and random numbers from a generator that `f` makes without a seed: pass them as an argument. A
    function that draws from another generator runs without compilation, with a warning
    (``NotCompiled``). What `f` does beside its result, such as printing or appending to a list,
    happens when it is recorded.

    An exception that `f` catches is a decision, too. Where an operation raises in a compiled run,
    `f` itself is run, so that its handler sees the exception, or the caller. Calls in which one
    raised, or in which `numpy.errstate` makes floating-point errors raise, are not compiled; where
    that is so again and again, a ``NotCompiled`` warning says why. Compiled programs do not warn.
    Under filters that turn NumPy's warnings into errors, a call is computed a second time, in
    NumPy, and `f` itself is run where that would warn; a call with a memory budget is not. Compiled
    programs compute only what a result needs; where nothing uses a factorisation or a lookup that
    may raise, it is computed nevertheless, or its indices are tested, so that a call raises where
    `f` does.

    Python numbers are data without a dtype, as in NumPy: a float32 array times a Python float stays
    float32, and a counter that no Python decision depends on does not lead to another recording.

    Machine code is kept between processes in the user's cache directory, or in the folder that the
    environment variable ``WENGERT_CACHE_DIR`` names; an empty value turns this off. A compilation
    that takes over a second says so on standard error, if that is a terminal.
    """
    refuse_unknown("jit", unknown)
    if f is None:
        return functools.partial(
            jit,
            static_argnums=static_argnums,
            static_argnames=static_argnames,
            backend=backend,
            max_specialisations=max_specialisations,
            fastmath=fastmath,
            memory_budget=memory_budget,
        )
    check_function(f, "jit")
    nums = integers(static_argnums, "jit", "static_argnums")
    names = option_names(static_argnames, "jit", "static_argnames")
    check_flag(fastmath, "jit", "fastmath")
    if type(max_specialisations) is not int or max_specialisations < 1:
        raise InputError(
            f"jit: max_specialisations must be a positive int, not {max_specialisations!r}"
            + user_line()
        )
    budget = None if memory_budget is None else bytes_of(memory_budget)
    make_backend(backend, fastmath)
    if (made := getattr(f, "__wengert_compiled__", None)) is not None:
        static_places(f, made.name, nums, names)
        refuse_options(
            made.name, static_argnums=nums, static_argnames=names, fastmath=fastmath,
            memory_budget=memory_budget, backend=backend,
            max_specialisations=max_specialisations != MAX_SPECIALISATIONS,
        )  # fmt: skip
        return made
    if budget is not None and backend == "numpy":
        raise UnsupportedError(
            "memory_budget is kept by native code, which lays its memory out before it runs; "
            'NumPy allocates as it goes. Use backend="native"' + user_line()
        )
    return Jitted(f, nums, names, backend, max_specialisations, fastmath, budget)
