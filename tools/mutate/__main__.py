"""The command: ``python -m tools.mutate --mutants 200 --seed 0 [--target elementwise]``."""

from __future__ import annotations

import argparse
import collections
import os
import sys
import time
from pathlib import Path

for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ[name] = "1"
os.environ["WENGERT_CACHE_DIR"] = ""
sys.dont_write_bytecode = True


def main() -> int:
    """Run a sample of mutants; 1 if one survives that is not known to mean the same."""
    import pytest
    from tools.mutate.session import ROOT, SOURCES, Session
    from tools.mutate.targets import TARGETS

    parser = argparse.ArgumentParser(prog="mutate", description=__doc__)
    parser.add_argument("--mutants", type=int, default=200, help="of each target")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=3600.0)
    parser.add_argument("--tests", type=int, help="a sample of the tests of each target")
    parser.add_argument("--target", choices=TARGETS, action="append")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "mutate")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + options.seconds
    verdicts: dict[str, str] = {}
    for name in options.target or TARGETS:
        target = TARGETS[name]
        sources = [SOURCES / path for path in target.sources]
        session = Session(
            name, sources, options.out, options.mutants, options.seed, end, options.tests
        )
        tests = [str(ROOT / "tests" / path) for path in target.tests]
        pytest.main(
            ["-p", "no:terminal", "-p", "no:faulthandler", "-m", "not slow and not peers", *tests],
            plugins=[session],
        )
        verdicts |= session.verdicts
    count = collections.Counter(verdicts.values())
    for key, verdict in verdicts.items():
        if verdict == "SURVIVED":
            print(f"survived: {key}")
    print(
        f"{count.total() - count['same']} mutants: {count['killed']} killed, "
        f"{count['known']} known to mean the same, {count['SURVIVED']} survived"
    )
    return int(count["SURVIVED"] > 0)


if __name__ == "__main__":
    sys.exit(main())
