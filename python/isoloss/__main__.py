"""``python -m isoloss`` is the command line."""

import sys

from isoloss.cli import main

if __name__ == "__main__":
    sys.exit(main())
