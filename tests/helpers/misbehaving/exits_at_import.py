"""A module that is a script."""

import sys

sys.exit(0)
