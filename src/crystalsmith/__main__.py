"""``python -m crystalsmith``."""

import sys

from crystalsmith.cli.main import main

sys.exit(main())
