"""A module that takes the interpreter along, as a broken library would."""

import os

os._exit(1)
