"""`python -m regions.cli`, where the command `regions` is not on the path."""

import sys

from regions.cli import main

sys.exit(main())
