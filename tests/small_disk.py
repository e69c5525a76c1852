"""A disk of a few megabytes in memory, to be filled up and made read-only, where mounting is permitted."""

import contextlib
import os
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

MEGABYTES = 6


def _mount(folder, options):
    command = ["mount", "-t", "tmpfs", "-o", options, "none", str(folder)]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@lru_cache
def can_mount():
    """Whether this process may mount a disk."""
    with tempfile.TemporaryDirectory() as folder:
        if not _mount(folder, "size=1m"):
            return False
        subprocess.run(["umount", folder], check=True)
        return True


class SmallDisk:
    """A disk in memory."""

    def __init__(self, root):
        self.root = root

    def fill(self):
        """Leave not a byte."""
        handle = os.open(self.root / "filling", os.O_WRONLY | os.O_CREAT)
        for size in (2**16, 1):
            with contextlib.suppress(OSError):
                while True:
                    os.write(handle, bytes(size))
        os.close(handle)

    def free(self):
        (self.root / "filling").unlink()

    def lock(self):
        """Make the disk read-only."""
        subprocess.run(["mount", "-o", "remount,ro", self.root], check=True)

    def unlock(self):
        subprocess.run(["mount", "-o", "remount,rw", self.root], check=True)


@contextlib.contextmanager
def small_disk():
    """Give a disk of some megabytes."""
    with tempfile.TemporaryDirectory(prefix="small-disk-") as folder:
        assert _mount(folder, f"size={MEGABYTES}m")
        try:
            yield SmallDisk(Path(folder))
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)
