"""What differs by platform, and nothing else: the boot's id and clock, locks on files, kinds of file systems."""

import ctypes
import fcntl
import os
import resource
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

IS_LINUX: Final = sys.platform.startswith("linux")
BOOT_CLOCK: Final = time.CLOCK_BOOTTIME if IS_LINUX else time.CLOCK_MONOTONIC  # both go on while the machine sleeps
NETWORK: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb2", "smb3", "smbfs", "afpfs", "webdav", "9p", "ceph", "glusterfs", "lustre", "afs"}
    | {"fuse.glusterfs", "fuse.sshfs", "fuse.s3fs", "fuse.rclone", "gfs2", "ocfs2", "beegfs"}
)

MOST_FILES: Final = 65_536
TRIM, MAP = -1, -3  # glibc's M_TRIM_THRESHOLD and M_MMAP_THRESHOLD


def uptime() -> float:
    """Seconds since this boot, time asleep included; nobody can set this clock."""
    return time.clock_gettime(BOOT_CLOCK)


def boot_id() -> str:
    """A text that is new with every boot of the machine."""
    if IS_LINUX:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return said("/usr/sbin/sysctl", "-n", "kern.bootsessionuuid")  # pragma: no cover - macOS only


def filesystem(path: Path) -> str:
    """The kind of file system that holds the existing `path`, as the kernel calls it ("ext4", "nfs4")."""
    if IS_LINUX:
        return linux_filesystem(path, Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace"))
    return macos_filesystem(path, said("/sbin/mount"))  # pragma: no cover - macOS only


def linux_filesystem(path: Path, mountinfo: str) -> str:
    """The kind by the lines of /proc/self/mountinfo; "" where no line fits."""
    mounts = {}
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        mounts[left.split(" ")[4].replace("\\040", " ")] = right.split(" ")[0]  # a later mount hides an earlier one
    return deepest(path, mounts)


def macos_filesystem(path: Path, mount: str) -> str:
    """The kind by the lines of mount(8): `/dev/disk3s5 on /System/Volumes/Data (apfs, local, journaled)`."""
    mounts = {}
    for line in mount.splitlines():
        place, _, options = line.partition(" on ")[2].rpartition(" (")
        mounts[place] = options.split(",")[0].rstrip(")")
    return deepest(path, mounts)


def deepest(path: Path, mounts: dict[str, str]) -> str:
    """The kind of the mount that is nearest above the path."""
    resolved = path.resolve()
    return next((mounts[str(place)] for place in (resolved, *resolved.parents) if str(place) in mounts), "")


def said(*command: str) -> str:
    """The standard output of a program of the operating system."""
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=10).stdout.strip()  # noqa: S603 - fixed commands


def lock(path: Path, *, make: bool = True) -> int | None:
    """A file descriptor that holds the file's lock while it is open; None when somebody else holds it.

    The kernel frees the lock with the process, however it ends. Unless `make`, the file is there and is only read.
    """
    how = os.O_RDWR | os.O_CREAT if make else os.O_RDONLY
    handle = os.open(path, how | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    return handle


def give_memory_back() -> None:
    """Has glibc return large blocks to the system as soon as they are free; other libraries do it by themselves.

    Left to itself it learns from the first large answer of the API to keep such blocks, half as much again as all that
    is in use. Blocks of a scrape stay below both limits: these would cost page faults each time.
    """
    with suppress(AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(MAP, 1_048_576)
        mallopt(TRIM, 4_194_304)


def allow_files() -> None:
    """Raises the limit of open files as far as this process may: each connection is one, and 1,024 are soon used up."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if 0 <= soft < wanted:  # below 0 is no limit
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
