"""Mutants that no test can notice, each with the reason."""

from __future__ import annotations

EQUIVALENT: dict[tuple[str, str], str] = {
    # (source file, "old -> new"): why nothing changes
}


def is_equivalent(key: str) -> bool:
    """Whether a mutant's key, ``file digest line:column old -> new``, is in the table."""
    file, _, _, what = key.split(" ", 3)
    return (file, what) in EQUIVALENT
