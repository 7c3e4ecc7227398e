"""Which source files are mutated, and the tests that must notice."""

from __future__ import annotations

from typing import NamedTuple


class Target(NamedTuple):
    """Source files, relative to src/wengert, and test files or folders, relative to tests."""

    sources: tuple[str, ...]
    tests: tuple[str, ...]


TARGETS = {
    "elementwise": Target(
        ("ops/elementwise.py", "ops/special.py"),
        ("ops/test_table.py", "ops/test_conventions.py", "ops/test_numpy_functions.py"),
    ),
    "rules": Target(
        (
            *("ops/contract.py", "ops/reduce.py", "ops/shape.py", "ops/index.py", "ops/order.py"),
            *("ops/blocks.py", "ops/patterns.py"),
        ),
        (
            *("ops/test_table.py", "ops/test_conventions.py", "ops/test_numpy_functions.py"),
            "ops/test_blocks.py",
        ),
    ),
    "linalg": Target(
        ("ops/linalg.py", "ops/hermitian.py", "ops/decompose.py", "ops/fft.py"),
        ("ops/test_table.py", "ops/test_linalg.py", "ops/test_fft.py"),
    ),
    "guards": Target(
        ("trace/recorder.py", "jit/record.py", "jit/specialise.py", "analysis/loops/decisions.py"),
        ("jit", "trace/test_control_flow.py"),
    ),
    "native": Target(
        ("loopc/translate.py", "ops/expand.py", "backend/native/emit/order.py"),
        (
            *("backend/test_native.py", "backend/test_native_values.py"),
            *("backend/test_native_random.py", "backend/test_native_order.py"),
            *("backend/test_native_index.py", "backend/test_native_guards.py"),
        ),
    ),
}
