"""Results as JSON files: everything that is needed to read, check and repeat them.

`files` holds what all files have in common: how numbers are written, and the checksum. Each kind of result has a module
of its own that turns it into plain data and back, and a line in `KINDS`.
"""

from isoloss.store.files import KINDS, from_plain, load, save, to_plain

__all__ = ["KINDS", "from_plain", "load", "save", "to_plain"]
