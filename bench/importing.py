"""How long it takes to import wengert, and to have a first derivative, beside `import numpy`.

    python bench/importing.py [--rounds 5]

Each import runs in a process of its own, in turns; the smallest time of the rounds is shown, in
seconds of the processor, with the ratio to NumPy's.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

ROWS = {
    "import numpy": "import numpy",
    "import wengert": "import wengert",
    "import numpy, wengert": "import numpy, wengert",
    "import scipy.special, numpy": "import numpy, scipy.special",
    "a first gradient": "import numpy, wengert; wengert.grad(numpy.sum)(numpy.ones(3))",
}


def seconds(code: str) -> float:
    """Return the processor's seconds of a statement in a new process."""
    timed = f"import time; t = time.process_time(); {code}; print(time.process_time() - t)"
    done = subprocess.run([sys.executable, "-c", timed], capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    found: dict[str, list[float]] = {name: [] for name in ROWS}
    for _ in range(rounds):
        for name, code in ROWS.items():
            found[name].append(seconds(code))
    base = min(found["import numpy"])
    for name, times in found.items():
        print(f"{name:30} {min(times):6.3f} s  {min(times) / base:5.2f}")


if __name__ == "__main__":
    main()
