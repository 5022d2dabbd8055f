"""What differs by platform: locks, the boot's clock, and kinds of file systems read from the system's own tables."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from exporter import host
from exporter.clock import HostClock

MOUNTINFO = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:26 / /srv rw,relatime shared:2 - ext4 /dev/sdb1 rw
31 30 0:50 / /srv/my\\040data rw,relatime shared:3 master:1 - nfs4 server:/export rw,vers=4.2
32 22 0:51 / /mnt rw,relatime - nfs server:/old rw
33 22 0:52 / /mnt rw,relatime - xfs /dev/sdc1 rw
"""
MOUNT = """\
/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
/dev/disk3s5 on /System/Volumes/Data (apfs, local, journaled, nobrowse)
//me@nas/share (1) on /Volumes/share (smbfs, nodev, nosuid)
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/home/me/data", "ext4"),
        ("/srv/my data/wolkvox", "nfs4"),
        ("/srv/my", "ext4"),
        ("/mnt/data", "xfs"),
    ],
)
def test_the_mount_nearest_above_a_path_tells_its_file_system(path, kind) -> None:
    assert host.linux_filesystem(Path(path), MOUNTINFO) == kind


def test_no_mount_above_a_path_is_no_kind(tmp_path) -> None:
    assert host.linux_filesystem(tmp_path, "30 22 0:26 / /elsewhere rw - ext4 /dev/sdb1 rw") == ""


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/Users/me", "apfs"), ("/Volumes/share/data", "smbfs")],
)
def test_the_mount_command_of_macos_tells_the_same(path, kind) -> None:
    assert host.macos_filesystem(Path(path), MOUNT) == kind


def test_the_kinds_that_the_store_refuses_are_those_of_networks() -> None:
    kinds = {host.linux_filesystem(path, MOUNTINFO) for path in (Path("/srv/my data"), Path("/"))}

    assert kinds & host.NETWORK == {"nfs4"}


def test_this_host_knows_the_file_system_of_a_folder(tmp_path) -> None:
    assert host.filesystem(tmp_path) not in {"", *host.NETWORK}


def test_a_held_lock_is_not_given_again_and_a_freed_one_is(tmp_path) -> None:
    held = host.lock(tmp_path / "owner")

    assert held is not None
    assert host.lock(tmp_path / "owner") is None

    os.close(held)
    again = host.lock(tmp_path / "owner")

    assert again is not None
    os.close(again)


def test_a_dead_process_holds_no_lock(tmp_path) -> None:
    code = f"import os, pathlib; from exporter import host; host.lock(pathlib.Path({str(tmp_path / 'owner')!r})); "
    subprocess.run([sys.executable, "-c", code + "os._exit(9)"], check=False)

    handle = host.lock(tmp_path / "owner")

    assert handle is not None
    os.close(handle)


def test_the_clock_of_the_host_tells_boot_wall_and_uptime() -> None:
    clock = HostClock()

    first, second = clock.now(), clock.now()

    assert first.boot == second.boot != ""
    assert 0 < first.uptime <= second.uptime
    assert first.wall > 1_700_000_000
    assert clock.monotonic() <= clock.monotonic()


def test_a_program_of_the_system_is_asked_for_what_only_it_knows() -> None:
    assert host.said("/bin/echo", " boot ") == "boot"


@pytest.mark.parametrize(("soft", "hard", "then"), [(256, 400, 400), (400, 400, 400), (256, 700, 500)])
def test_the_limit_of_open_files_is_raised_as_far_as_it_may_be(soft, hard, then) -> None:
    code = (
        f"import resource as r; r.setrlimit(r.RLIMIT_NOFILE, ({soft}, {hard})); "
        "from exporter import host; host.MOST_FILES = 500; host.allow_files(); print(r.getrlimit(r.RLIMIT_NOFILE)[0])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=20)

    assert int(ended.stdout) == then
