"""`python -m aiospawn` and the console command `aiospawn`: both hand over to the command line."""

import sys

from .cli import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
