"""LLVM: from text to functions in memory."""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import functools
import os
import re
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

from wengert.llvm.cache import Cache, default_folder

__all__ = [
    "WIDE",
    "Compiled",
    "Module",
    "compile_module",
    "compile_modules",
    "external_declarations",
    "lanes",
    "vector_library",
]

_LOCK = threading.RLock()  # entered again by a fork in a signal's handler


def _before_fork() -> None:
    """Wait for other threads to leave LLVM: a child must not find locks held by those it lacks.

    llvmlite has a lock of its own around each call, also around those that free something.
    """
    _LOCK.acquire()
    ffi = sys.modules.get("llvmlite.binding.ffi")
    _held.append(getattr(getattr(ffi, "lib", None), "_lock", contextlib.nullcontext()))
    _held[-1].__enter__()


def _after_fork() -> None:
    _held.pop().__exit__(None, None, None)
    _LOCK.release()


_held: list[Any] = []

if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork
    )

LENGTHY = 50_000
"""Characters of assembly from which LLVM takes a tenth of a second or more: an interrupt should not
wait for it."""

FORMAT = "2"
"""Changes when cached code of an earlier version must not be used."""

# Functions with vector versions in glibc's libmvec, and their number of arguments.
_VECTOR = {
    "exp": 1, "exp2": 1, "expm1": 1, "log": 1, "log2": 1, "log10": 1, "log1p": 1, "cbrt": 1,
    "sin": 1, "cos": 1, "tan": 1, "asin": 1, "acos": 1, "atan": 1, "sinh": 1, "cosh": 1,
    "tanh": 1, "asinh": 1, "acosh": 1, "atanh": 1, "erf": 1, "erfc": 1, "atan2": 2, "hypot": 2,
    "pow": 2,
}  # fmt: skip


@functools.cache
def binding() -> Any:
    """Return llvmlite's binding, initialised."""
    import llvmlite.binding as llvm

    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm


WITHOUT = tuple(filter(None, os.environ.get("WENGERT_CPU_WITHOUT", "").split(",")))
"""Features of this CPU to do without, such as ``avx512f`` or ``avx2,avx512f``: so that one machine
can make the code of several."""


def has(feature: str) -> bool:
    """Whether code may use a feature of this CPU."""
    found: bool = binding().get_host_cpu_features().get(feature, False)
    return found and feature not in WITHOUT


@functools.cache
def machine_features() -> str:
    """Return the features of this CPU, with the widest vectors that it has."""
    llvm = binding()
    found = str(llvm.get_host_cpu_features().flatten())
    if has("avx512f"):
        found += ",-prefer-256-bit"
    if llvm.get_host_cpu_name().startswith("znver"):
        # Zen takes longer for an instruction that reads or writes here and there than for as many
        # single ones (Fog, *Instruction tables*, VGATHERQPD and VSCATTERQPD of Zen 4).
        found += ",+prefer-no-gather,+prefer-no-scatter"
    return found + "".join(f",-{name}" for name in WITHOUT)


def target_machine(level: int) -> Any:
    """Return a target machine for this CPU."""
    llvm = binding()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=machine_features(),
        opt=level,
        reloc="pic",
        codemodel="jitdefault",
        jit=True,
    )


@functools.cache
def vector_library() -> dict[str, str]:
    """Return the vector-variant attribute of each libm function that libmvec has for this CPU."""
    llvm = binding()
    if has("avx512f"):
        isa, double, single = "e", 8, 16
    elif has("avx2"):
        isa, double, single = "d", 4, 8
    else:
        return {}
    try:
        library = ctypes.CDLL("libmvec.so.1")
    except OSError:
        return {}
    found = {}
    for name, arity in _VECTOR.items():
        for suffix, lanes in (("", double), ("f", single)):
            symbol = f"_ZGV{isa}N{lanes}{'v' * arity}_{name}{suffix}"
            try:
                address = ctypes.cast(getattr(library, symbol), ctypes.c_void_p).value
            except AttributeError:
                continue
            llvm.add_symbol(symbol, address)
            kind = "double" if suffix == "" else "float"
            found[name + suffix] = f"{symbol}|{lanes}|{'v' * arity}|{kind}|{isa}"
    return found


WIDE = "wide."
"""Before the name of a function that computes one number as its vector version does."""

PURE = "nounwind willreturn memory(none)"


def lanes(name: str) -> int:
    """Return how many numbers a function's vector version takes at once; 0 where there is none."""
    entry = vector_library().get(name)
    return int(entry.split("|")[1]) if entry else 0


def external_declarations(externals: dict[str, str]) -> str:
    """Declare the functions that a module calls, with the vector versions that there are.

    A name that begins with `WIDE` is defined here: it computes one number with the vector version,
    so that what is left of a loop after its vectors has the same bits as if it were in one.
    """
    table = vector_library()
    lines: dict[str, None] = {}
    kept = set()
    attributes: list[str] = []
    for name, declaration in externals.items():
        entry = table.get(name.removeprefix(WIDE))
        if entry is None:
            pure = not name.startswith(("llvm.", "wengert_"))
            lines[f"{declaration} {PURE}" if pure else declaration] = None
            continue
        symbol, count, letters, kind, _ = entry.split("|")
        vector = f"<{count} x {kind}>"
        mark = f"#{len(attributes) + 10}"
        lines[f"declare {vector} @{symbol}({', '.join([vector] * len(letters))}) {PURE}"] = None
        if name.startswith(WIDE):
            lines[_one_of_many(name, symbol, vector, kind, len(letters), mark)] = None
        else:
            lines[f"{declaration} {mark}"] = None
        variant = f'"vector-function-abi-variant"="_ZGV_LLVM_N{count}{letters}_{name}({symbol})"'
        inline = "noinline " if name.startswith(WIDE) else ""
        attributes.append(f"attributes {mark} = {{ {inline}{PURE} {variant} }}")
        kept.add(f"ptr @{symbol}")
    if kept:
        used = ", ".join(sorted(kept))
        used = f"[{len(kept)} x ptr] [{used}]"
        lines[f'@llvm.compiler.used = appending global {used}, section "llvm.metadata"'] = None
    return "\n".join([*lines, *attributes]) + "\n"


def _one_of_many(name: str, symbol: str, vector: str, kind: str, arity: int, mark: str) -> str:
    """Define a function of numbers that calls one of vectors."""
    count = vector[1:].split()[0]
    body = []
    for i in range(arity):
        body.append(f"%one{i} = insertelement {vector} poison, {kind} %x{i}, i64 0")
        body.append(
            f"%all{i} = shufflevector {vector} %one{i}, {vector} poison, "
            f"<{count} x i32> zeroinitializer"
        )
    given = ", ".join(f"{vector} %all{i}" for i in range(arity))
    body += [
        f"%y = call {vector} @{symbol}({given})",
        f"%z = extractelement {vector} %y, i64 0",
        f"ret {kind} %z",
    ]
    arguments = ", ".join(f"{kind} %x{i}" for i in range(arity))
    inside = "\n".join(f"  {line}" for line in body)
    # visible, so that no pass removes an argument: the vector version takes them all
    return f"define hidden {kind} @{name}({arguments}) {mark} {{\n{inside}\n}}"


Module = tuple[str, int]
"""LLVM assembly, and its level: 2 and 3 run LLVM's passes, 0 and 1 only generate code."""


class Compiled:
    """Native code in memory; it is released with this object.

    Attributes
    ----------
    addresses : dict
        Of its functions, by name.
    """

    def __init__(
        self, engine: Any, text: str, level: int, names: list[str], before: list[Compiled]
    ) -> None:
        self._engine = engine
        self._level = level
        self._own = text
        self._before = before  # whose functions are called
        self.addresses = {name: engine.get_function_address(name) for name in names}

    @property
    def text(self) -> str:
        """The LLVM assembly that it was made from, with that of the modules which it calls."""
        return "\n".join([*(c._own for c in self._before), self._own])

    def optimised(self) -> str:
        """Return the LLVM assembly after optimisation."""
        with _LOCK:
            found = [_optimised(c._own, target_machine(c._level), c._level) for c in self._all()]
            return "\n".join(map(str, found))

    def assembly(self) -> str:
        """Return the machine code as assembly."""
        with _LOCK:
            found = []
            for c in self._all():
                machine = target_machine(c._level)
                found.append(str(machine.emit_assembly(_optimised(c._own, machine, c._level))))
            return "\n".join(found)

    def _all(self) -> list[Compiled]:
        return [*self._before, self]


def _parsed(text: str, machine: Any) -> Any:
    """Parse a module in a context of its own: what the global one keeps is never freed."""
    llvm = binding()
    context = llvm.create_context()
    module = llvm.parse_assembly(f'target triple = "{machine.triple}"\n' + text, context)
    module.context = context
    return module


def _optimised(text: str, machine: Any, level: int) -> Any:
    llvm = binding()
    module = _parsed(text, machine)
    if level < 2:
        return module
    # The kernels come without common subexpressions, calls to inline or loops to change: what they
    # gain from is the loop vectoriser. More passes take twice the time, and unrolling loops that
    # are short keeps them from being vectorised.
    options = llvm.create_pipeline_tuning_options(speed_level=1)
    options.loop_vectorization = True
    options.slp_vectorization = False
    options.loop_unrolling = False
    builder = llvm.create_pass_builder(machine, options)  # for one run only
    passes = builder.getModulePassManager()
    passes.run(module, builder)
    _release(passes)
    return module


def _release(passes: Any) -> None:
    """Free a pass manager; llvmlite up to 0.50 does not: a base class hides its `_dispose`."""
    from llvmlite.binding import ffi, newpassmanagers

    if type(passes)._dispose is ffi.ObjectRef._dispose:
        newpassmanagers.NewPassManager._dispose(passes)
        passes.detach()


def _close(engine: Any, context: Any) -> None:
    """Free an engine, and with it its module, and then the context that they live in."""
    engine.close()
    context.close()


CACHE = Cache(default_folder())
"""Where machine code is kept between processes."""


def compile_module(text: str, names: list[str], *, level: int = 2) -> Compiled:
    """Compile one module, as `compile_modules` does several."""
    return compile_modules([(text, level)], names)


def compile_modules(modules: list[Module], names: list[str]) -> Compiled:
    """Compile modules, or take their code from the cache, and return addresses of functions.

    An interrupt from the keyboard is taken at once. What LLVM is doing then ends in a thread of its
    own, and its result is dropped.

    Parameters
    ----------
    modules : list of (str, int)
        LLVM assembly and its level. A module may call what those before it define as visible
        functions without a result.
    names : list of str
        Functions of the last one to look up.
    """
    llvm = binding()
    vector_library()
    with _LOCK:
        parts: list[Compiled] = []
        for text, level in modules:
            machine = target_machine(level)
            version = ".".join(map(str, llvm.llvm_version_info))
            cpu = llvm.get_host_cpu_name(), machine_features(), str(machine.triple)
            key = Cache.key(text, str(level), version, *cpu, FORMAT)
            code = CACHE.get(key)
            if code is None:
                work = functools.partial(_generated, text, machine, level)
                code = _interruptible(work, len(text))
                CACHE.put(key, code)
            sought = names if len(parts) == len(modules) - 1 else _VISIBLE.findall(text)
            parts.append(_loaded(code, text, level, sought, list(parts)))
        return parts[-1]


def _interruptible(work: Callable[[], bytes], size: int) -> bytes:
    """Return what `work` returns, which may be a long call of LLVM.

    Python takes an interrupt between two instructions of its main thread. So that thread waits, and
    another one works.
    """
    if size < LENGTHY or threading.current_thread() is not threading.main_thread():
        return work()
    found: list[bytes | BaseException] = []

    def run() -> None:
        try:
            found.append(work())
        except BaseException as error:
            found.append(error)

    worker = threading.Thread(target=run, name="wengert compiles")
    worker.start()
    while worker.is_alive():
        worker.join(0.05)
    (result,) = found
    if isinstance(result, BaseException):
        raise result
    return result


_VISIBLE = re.compile(r"^define void @([\w.]+)\(", re.MULTILINE)


def _generated(text: str, machine: Any, level: int) -> bytes:
    """Return machine code as an object file; LLVM's own form of the module is freed again."""
    module = _optimised(text, machine, level)
    context = module.context
    try:
        return bytes(machine.emit_object(module))
    finally:
        module.close()
        context.close()


def _loaded(
    code: bytes, text: str, level: int, names: list[str], before: list[Compiled]
) -> Compiled:
    """Put an object file into memory.

    The engine gets the file and a module that says where the functions of those before are: one
    engine for several files would mix up their constants. So the text is not parsed where the cache
    has the code, and no function of Python is called by LLVM, in which an interrupt would be lost.
    """
    llvm = binding()
    machine = target_machine(level)
    known = {name: address for c in before for name, address in c.addresses.items()}
    module = _parsed("\n".join(f"declare void @{name}()" for name in known), machine)
    context = module.context
    engine = llvm.create_mcjit_compiler(module, machine)
    try:
        for name, address in known.items():
            engine.add_global_mapping(module.get_function(name), address)
        engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        engine.finalize_object()
        compiled = Compiled(engine, text, level, names, before)
    except BaseException:
        _close(engine, context)
        raise
    # Not left to the garbage collector, which would free them in any order.
    weakref.finalize(compiled, _close, engine, context).atexit = False
    return compiled
