"""`python -m regions`, which is the command `regions` where that is not on the path."""

import sys

from regions.cli import main

sys.exit(main())
