"""Mutants that no test can notice, each with the reason."""

from __future__ import annotations

EQUIVALENT: dict[tuple[str, str, str], str] = {
    # (source file, the line, "old -> new"): why nothing changes
    (
        "trace/record.py",
        "if recorder is None or recorder.level > self.level:",
        "recorder.level > self.level -> recorder.level >= self.level",
    ): "no two traces have the same level",
    (
        "trace/record.py",
        "const.fixed = True",
        "True -> False",
    ): "says that the compiler may compute with the constant; without it the program is slower",
}


def is_equivalent(file: str, line: str, what: str) -> bool:
    """Whether a mutant of a line of a source file is in the table."""
    return (file, line.strip(), what) in EQUIVALENT
