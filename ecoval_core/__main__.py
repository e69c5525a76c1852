"""``python -m ecoval_core``: see :mod:`ecoval_core.command_line`."""

import io
import sys

from ecoval_core.command_line import main

if __name__ == "__main__":
    # A column's name that the terminal cannot write must not cost the run its end.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    main(prog_name="python -m ecoval_core")
