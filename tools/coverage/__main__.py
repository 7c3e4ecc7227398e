"""``python -m tools.coverage [--one-in N]``: run the quick tests, and print what they leave out.

Of each test function one case in N is run, 8 unless given, and at least one: cases differ in their
data more than in the lines that they run. Processes that tests start are not followed.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

from coverage import Coverage

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "build" / "coverage"
SHOWN = 10


def measure(one_in: int) -> int:
    """Run the tests under coverage, and return pytest's exit status."""
    DATA.parent.mkdir(exist_ok=True)
    DATA.unlink(missing_ok=True)
    command = [
        *(sys.executable, "-m", "coverage", "run", f"--data-file={DATA}", "--source=wengert"),
        *("-m", "pytest", "-q", "--no-header", "-m", "not slow and not peers"),
        *(f"--one-in={one_in}", str(ROOT / "tests")),
    ]
    env = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", **os.environ}
    if sys.version_info >= (3, 12):
        env["COVERAGE_CORE"] = "sysmon"
    return subprocess.run(command, cwd=ROOT, env=env, check=False).returncode


def modules() -> list[tuple[str, int, int]]:
    """Return the name of each module, its statements, and how many of them ran."""
    found = Coverage(data_file=str(DATA), source=["wengert"])
    found.load()
    rows = []
    for path in sorted((ROOT / "src").rglob("*.py")):
        _, statements, _, missing, _ = found.analysis2(str(path))
        name = path.relative_to(ROOT / "src").with_suffix("").as_posix().replace("/", ".")
        rows.append((name, len(statements), len(statements) - len(missing)))
    return rows


def report(rows: list[tuple[str, int, int]]) -> str:
    """Say how much ran in all, and in the modules where the smallest part did."""
    share = lambda row: row[2] / row[1]  # noqa: E731
    least = sorted((row for row in rows if row[1]), key=share)[:SHOWN]
    total = sum(row[1] for row in rows)
    ran = sum(row[2] for row in rows)
    lines = [f"{ran / total:7.1%} of {total:,} statements in {len(rows)} modules ran", ""]
    lines += [f"{share(row):7.1%}  {row[1] - row[2]:4} left  {row[0]}" for row in least]
    return "\n".join(lines)


def main() -> int:
    """Measure, and print the total and the least covered modules."""
    parser = argparse.ArgumentParser(prog="python -m tools.coverage", description=__doc__)
    parser.add_argument("--one-in", type=int, default=8, help="of so many cases one is run")
    status = measure(parser.parse_args().one_in)
    if status < 0 or not DATA.exists():
        print(f"the tests ended without a result (status {status}), so nothing was measured")
        return 1
    print(report(modules()))
    return status


if __name__ == "__main__":
    raise SystemExit(main())
