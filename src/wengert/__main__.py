"""``python -m wengert``: the command line."""

import sys

from wengert.report.cli import main

sys.exit(main())
