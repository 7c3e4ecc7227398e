"""Plans of sparse matrices as files: the pattern, the colours, and what they were made for.

The file is an npz archive: arrays, one text in JSON that says what they are, and a hash of it all.
Nothing in it is code, and nothing in it is believed: what does not fit together is refused. It is
written beside its place and moved there, so a reader sees the old file or the new one.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any, NamedTuple

import numpy as np

from wengert.errors import DataError, InputError, PlanMismatchError, WengertError, user_line
from wengert.files import digest_of, read_arrays, write_atomic
from wengert.matrices.program import DENSE, MODES, MatrixProgram
from wengert.sparse.colouring.problem import PARTITIONS, ColouringAlgorithm, ColouringProblem
from wengert.sparse.colouring.result import ColouringResult
from wengert.sparse.pattern import SparsityPattern

__all__ = ["Saved", "read_plan", "write_plan"]

VERSION = 2
FORMATS = ("dense", "csr", "csc", "coo")
LONGEST = 100_000
"""Characters of a recorded graph that are kept, to show what has changed."""


class Saved(NamedTuple):
    """What a file holds."""

    kind: str
    argnums: Any
    mode: str
    format: str
    value: bool
    chunk: int | None
    pattern: SparsityPattern
    colouring: ColouringResult | None
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    hash: str
    text: str

    def compare(self, fingerprint: str, name: str) -> None:
        """Refuse a function that is not what it was.

        Raises
        ------
        PlanMismatchError
            With the first line of the recorded graph that differs, where that is known.
        """
        if _hash(fingerprint) == self.hash:
            return
        old, new = self.text.splitlines(), fingerprint.splitlines()
        n = max(len(old), len(new)) if self.text else 0
        pairs = [(old[i : i + 1], new[i : i + 1]) for i in range(n)]
        where = next(((a, b) for a, b in pairs if a != b), None)
        shown = ""
        if where is not None:
            a, b = ("".join(x) or "nothing" for x in where)
            shown = f"\n  saved: {a.strip()}\n  now:   {b.strip()}"
        raise PlanMismatchError(
            f"the saved plan of {name} was made for another function, or for other constants in "
            f"it: recorded at the same example, it is not the same any more{shown}\n  Plan "
            f"again with {name}.plan(*example), and save that." + user_line()
        )


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def write_plan(path: str | os.PathLike[str], program: MatrixProgram, format: str) -> None:
    """Write a plan, of a matrix in that format, to a file.

    Raises
    ------
    InputError
        For an example with arguments that are no arrays, numbers, strings, None, or lists, tuples
        and dicts of them.
    """
    planner = program.planner
    arrays: dict[str, Any] = {
        "indptr": program.pattern.indptr,
        "indices": program.pattern.indices,
    }
    example: list[Any] = []
    text = planner.fingerprint()
    request = planner.request
    argnums = request.argnums
    c = program.colouring
    about = {
        "wengert": VERSION,
        "kind": request.kind,
        "argnums": argnums if isinstance(argnums, int) else [int(i) for i in argnums],
        "mode": program.mode,
        "format": format,
        "value": request.value,
        "chunk": program.chunk,
        "shape": program.pattern.shape,
        "args": _encoded([list(planner.args), dict(planner.kwargs)], example),
        "hash": _hash(text),
        "text": text if len(text) <= LONGEST else "",
        "colouring": None,
    }
    arrays.update({f"example{i}": x for i, x in enumerate(example)})
    if c is not None:
        about["colouring"] = {
            "structure": c.problem.structure,
            "partition": c.problem.partition,
            "decompression": c.algorithm.decompression,
            "bound": c.lower_bound,
            "order": c.order,
        }
        for name, colours in (("columns", c.column_colours), ("rows", c.row_colours)):
            if colours is not None:
                arrays[name] = colours
        arrays["gather"] = c.gather
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    arrays["digest"] = digest_of(arrays)
    write_atomic(path, lambda file: np.savez_compressed(file, allow_pickle=False, **arrays))


def read_plan(path: str | os.PathLike[str]) -> Saved:
    """Read a plan from a file.

    Raises
    ------
    OSError
        For a file that cannot be opened.
    DataError
        For a file that is no plan, of another version, damaged, or changed by hand; it says what
        is wrong.
    """
    try:
        arrays = read_arrays(path)
        about = json.loads(arrays["about"].tobytes().decode())
        version = about["wengert"]
    except Exception as error:
        if isinstance(error, OSError):
            raise  # there is no such file, or it cannot be read
        what = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise DataError(f"{path} is not a saved plan: {what}" + user_line()) from None
    if version != VERSION:
        raise DataError(
            f"{path} is a plan of version {version}, and this is version {VERSION}: plan again"
            + user_line()
        )
    try:
        if not np.array_equal(arrays["digest"], digest_of(arrays)):
            raise _Refused("its content does not agree with its check sum")
        return _checked(about, arrays)
    except Exception as error:
        what = (
            str(error).splitlines()[0]
            if isinstance(error, (_Refused, WengertError))
            else f"{type(error).__name__}: {error}"
        )
        raise DataError(
            f"{path} is a plan that was damaged or changed: {what}. Plan again" + user_line()
        ) from None


class _Refused(Exception):
    """Something in a file that does not fit the rest."""


def _need(holds: bool, what: str) -> None:
    if not holds:
        raise _Refused(what)


def _checked(about: dict[str, Any], arrays: dict[str, Any]) -> Saved:
    """Return what a file holds, if it fits together."""
    wanted = {
        "kind": str, "mode": str, "format": str, "value": bool, "hash": str, "text": str,
        "shape": list, "args": dict,
    }  # fmt: skip
    for name, kind in wanted.items():
        _need(type(about[name]) is kind, f"{name} is {about[name]!r:.60}")
    _need(about["kind"] in ("jacobian", "hessian"), f"its kind is {about['kind']!r}")
    mode, chunk = about["mode"], about["chunk"]
    _need(mode in MODES and mode not in ("auto", *DENSE), f"its mode is {mode!r}")
    _need(about["format"] in FORMATS, f"its format is {about['format']!r}")
    _need(chunk is None or (type(chunk) is int and chunk >= 1), f"its batches are of {chunk!r}")
    argnums = about["argnums"]
    numbers = argnums if isinstance(argnums, list) else [argnums]
    _need(all(type(i) is int for i in numbers), f"its argnums are {argnums!r}")
    m, n = about["shape"]
    _need(type(m) is int and type(n) is int, f"its shape is {about['shape']!r}")
    pattern = SparsityPattern(arrays["indptr"], arrays["indices"], (m, n))
    args, kwargs = _decoded(about["args"], arrays)
    _need(type(args) is list and type(kwargs) is dict, "its example is no call")
    colouring = _colouring(about["colouring"], arrays, pattern)
    _need((colouring is None) == (mode == "accumulate"), f"its mode is {mode!r}")
    if colouring is not None:
        partitions = {"forward": ("column",), "reverse": ("row", "column"), "both": PARTITIONS}
        _need(colouring.problem.partition in partitions[mode], f"its mode is {mode!r}")
        _need(chunk is None or chunk <= max(colouring.number, 1), f"its batches are of {chunk!r}")
    return Saved(
        about["kind"], argnums if isinstance(argnums, int) else tuple(argnums), mode,
        about["format"], about["value"], chunk, pattern, colouring, tuple(args), kwargs,
        about["hash"], about["text"],
    )  # fmt: skip


def _colouring(
    about: dict[str, Any] | None, arrays: dict[str, Any], pattern: SparsityPattern
) -> ColouringResult | None:
    if about is None:
        return None
    m, n = pattern.shape
    found = {}
    for name, length in (("columns", n), ("rows", m)):
        colours = found[name] = arrays.get(name)
        if colours is not None:
            fits = colours.shape == (length,) and colours.dtype.kind == "i"
            _need(fits, f"its colours of {name} are {colours.dtype} of shape {colours.shape}")
            inside = not length or (colours.min() >= -1 and colours.max() < length)
            _need(bool(inside), f"there are more colours of {name} than {name}")
            found[name] = colours.astype(np.int32)
    made = ColouringResult(
        ColouringProblem(about["structure"], about["partition"]),
        ColouringAlgorithm(decompression=about["decompression"]),
        pattern.shape,
        np.asarray(pattern.indptr, np.int32),
        np.asarray(pattern.indices, np.int32),
        found["columns"],
        found["rows"],
        about["bound"],
        about["order"],
    )
    _need(type(made.lower_bound) is int and type(made.order) is str, "its colouring is no one's")
    wanted = {"column": "columns", "row": "rows"}.get(made.problem.partition)
    have = [k for k, x in found.items() if x is not None]
    _need(have == ([wanted] if wanted else ["columns", "rows"]), "colours are missing")
    gather = arrays["gather"]
    products = made.column_number * m + made.row_number * n
    fits = gather.shape == (pattern.nnz,) and gather.dtype.kind == "i"
    inside = fits and (not gather.size or (gather.min() >= 0 and gather.max() < products))
    _need(bool(inside), "its entries are read from products that there are not")
    made.__dict__["gather"] = gather
    return made


def _encoded(x: Any, arrays: list[Any]) -> Any:
    """Write a tree of data as JSON; arrays go into a list."""
    if isinstance(x, (np.ndarray, np.generic)):
        arrays.append(np.asarray(x))
        return {"array" if isinstance(x, np.ndarray) else "scalar": len(arrays) - 1}
    if x is None or type(x) in (bool, int, float, str):
        return {"is": x}
    if type(x) in (list, tuple):
        return {type(x).__name__: [_encoded(y, arrays) for y in x]}
    if type(x) is dict and all(type(k) is str for k in x):
        return {"dict": {k: _encoded(y, arrays) for k, y in x.items()}}
    raise InputError(
        f"a plan with an argument of type {type(x).__name__} cannot be saved: arrays, numbers, "
        f"strings, None, and lists, tuples and dicts of them can" + user_line()
    )


def _decoded(x: Any, arrays: dict[str, Any]) -> Any:
    ((kind, value),) = x.items()
    if kind not in ("array", "scalar", "dict", "list", "tuple", "is"):
        raise _Refused(f"its example holds a {kind!r}")
    if kind == "array":
        return arrays[f"example{value}"]
    if kind == "scalar":
        return arrays[f"example{value}"][()]
    if kind == "dict":
        return {k: _decoded(y, arrays) for k, y in value.items()}
    if kind in ("list", "tuple"):
        items = [_decoded(y, arrays) for y in value]
        return items if kind == "list" else tuple(items)
    return value
