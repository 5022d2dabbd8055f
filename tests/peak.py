"""The most memory that this process ever held, in bytes."""

import resource
import sys
from pathlib import Path


def peak() -> int:
    """On Linux by the kernel's own mark: that of getrusage is inherited from a parent, which may be larger."""
    if not sys.platform.startswith("linux"):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
