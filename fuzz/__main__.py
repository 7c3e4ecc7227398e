"""The command: ``python -m fuzz --seconds 600 --seed 0``."""

from __future__ import annotations

import argparse
import functools
import os
import sys
from pathlib import Path

# Read when NumPy and wengert are imported: one thread in a worker, no machine code on disk.
for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ[name] = "1"
os.environ["WENGERT_CACHE_DIR"] = ""


def main(arguments: list[str] | None = None) -> int:
    """Run the fuzzer; 1 if anything failed."""
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument(
        "--out", type=Path, default=Path("runs/fuzz"), help="where tests are written"
    )
    parser.add_argument("--first", type=int, default=0, help="number of the first program")
    parser.add_argument("--count", type=int, help="programs, if fewer than the time allows")
    parser.add_argument("--show", type=int, metavar="N", help="print program N and end")
    options = parser.parse_args(arguments)

    from fuzz import generate, runner

    if options.show is not None:
        print(generate.program(f"{options.seed}/{options.show}"))
        return 0
    say = functools.partial(print, flush=True)
    campaign = runner.Campaign(options.seed, options.seconds, options.jobs, options.out, say)
    return int(campaign.run(options.first, options.count) > 0)


if __name__ == "__main__":
    sys.exit(main())
