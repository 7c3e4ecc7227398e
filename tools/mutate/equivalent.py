"""Mutants that no test can notice, each with the reason."""

from __future__ import annotations

EQUIVALENT: dict[tuple[str, str, str], str] = {
    # (source file, the line, "old -> new"): why nothing changes
    (
        "trace/tape.py",
        "if recorder is None or recorder.level > self.level:",
        "recorder.level > self.level -> recorder.level >= self.level",
    ): "no two traces have the same level",
    (
        "trace/recorder.py",
        "const.fixed = True",
        "True -> False",
    ): "says that the compiler may compute with the constant; without it the program is slower",
    (
        "ops/order.py",
        "for a, b in zip(args, batched, strict=True)",
        "True -> False",
    ): "the two are of one length",
    (
        "ops/order.py",
        "if p.size and scale.min() > 1 / bound and scale.max() < bound:",
        "1 / bound -> 1",
    ): "chooses between two ways to the same recurrence",
    (
        "ops/decompose.py",
        "if n > m:",
        "n > m -> n >= m",
    ): "of a square matrix nothing is outside of the vectors, so it adds rounding only",
    (
        "ops/special.py",
        "lambda t, y, a, b: t * (a / np.where((a == 0) & (b == -1), 1, 1 + b)),",
        "1 -> 2",
    ): "a is 0 where the 1 is taken",
    (
        "ops/contract.py",
        "if len(a) <= 2 and len(b) <= 2 and len(summed) == 1:",
        "len(a) <= 2 -> len(a) < 2",
    ): "chooses between two ways to the same product",
    (
        "ops/index.py",
        "if where.size * 4 < acc.size or np.shape(v) != where.shape or where.size == 0:",
        "where.size * 4 < acc.size or np.shape(v) != where.shape or where.size == 0 -> "
        "not (where.size * 4 < acc.size or np.shape(v) != where.shape or where.size == 0)",
    ): "chooses between two ways to the same sums",
    (
        "ops/index.py",
        "return max((len(shape_of(a)) for a in arrays), default=1) - 1",
        "1 -> 2",
    ): "there is an array at each call",
    (
        "ops/hermitian.py",
        'return x.conj() if x.dtype.kind == "c" else x',
        "x.conj() if x.dtype.kind == 'c' else x -> x.conj()",
    ): "of real numbers, it copies",
    (
        "ops/hermitian.py",
        "return _conj(x.T if x.ndim == 2 else x.swapaxes(-1, -2))",
        "x.T if x.ndim == 2 else x.swapaxes(-1, -2) -> x.swapaxes(-1, -2)",
    ): "the same for matrices",
    (
        "ops/hermitian.py",
        "if n <= base:",
        "n <= base -> n < base",
    ): "blocks of another size give the same",
    (
        "backend/native/emit/order.py",
        "name = self.code.fresh()[1:]",
        "1 -> 2",
    ): "labels stay apart from each other",
    (
        "backend/native/emit/order.py",
        "for (kind, _, _), a, b in zip(lines, source, target, strict=True):",
        "True -> False",
    ): "the lists are of one length",
    (
        "ops/expand.py",
        "if found is None or aval_of(node.inputs[0]).dtype not in dtypes:",
        "found is None or aval_of(node.inputs[0]).dtype not in dtypes -> "
        "found is None and aval_of(node.inputs[0]).dtype not in dtypes",
    ): "a graph with such a dtype runs in NumPy as a whole",
    (
        "ops/expand.py",
        'shift = write("select", write("isfinite", top), top, v.dtype.type(0))',
        "0 -> 1",
    ): "an infinity stays one, whatever finite number is added",
}


def is_equivalent(file: str, line: str, what: str) -> bool:
    """Whether a mutant of a line of a source file is in the table."""
    return (file, line.strip(), what) in EQUIVALENT
