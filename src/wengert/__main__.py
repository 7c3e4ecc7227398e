"""``python -m wengert``: the command line."""

import sys

from wengert.cli.main import main

sys.exit(main())
