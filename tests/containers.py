"""Containers without an engine: a stand-in for the base image, the real Dockerfile, and what runs of it. Needs root.

buildah and podman get a storage of their own that goes with the tests. What is kept between runs is one archive, the
root of the stand-in: Debian's own Python, made by debootstrap.
"""

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

PACKAGES = "debootstrap buildah podman runc catatonit"
ROOT = Path(__file__).parents[1]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or "/var/cache") / "wolkvox-exporter-tests"
SUITE = "trixie"  # the Debian release under the official slim images, with the same minor version of Python
CONTENT = "python3,python3-venv,ca-certificates"
IMAGE = "wolkvox-exporter:test"

# Neither systemd nor a session is needed, the limits are those of hosts where they cannot be raised, and a proxy of the
# host is none of the containers' business.
SETTINGS = """
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
http_proxy = false
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""
# A host that reaches its package index through a mirror or a proxy says so here: the build is to know, the image not.
HOST_FILES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pip.conf")
# The bytecode is left out as the official image comes without it, the rest as nothing here reads it.
LEFT_OUT = (
    "__pycache__",
    "./dev/*",
    "./proc/*",
    "./sys/*",
    "./usr/share/doc/*",
    "./usr/share/locale/*",
    "./usr/share/man/*",
    "./var/cache/*",
    "./var/lib/apt/lists/*",
)
GET = "import sys, urllib.request as u; sys.stdout.write(u.urlopen(sys.argv[1], timeout=5).read().decode())"


class Ended(NamedTuple):
    """How a container ended: its exit code, and the seconds from the signal until it was gone."""

    code: int
    seconds: float


class Engine:
    """podman and buildah on a storage in one folder; nothing of the host's is seen, and nothing is left in it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        settings = folder / "containers.conf"
        settings.write_text(SETTINGS)
        self._environ = os.environ | {"CONTAINERS_CONF": str(settings), "DISABLE_HC_SYSTEMD": "true"}
        self._storage = ("--root", str(folder / "root"), "--runroot", str(folder / "run"))

    def podman(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        tmpdir = str(self._folder / "tmp")
        return ran("podman", *self._storage, "--tmpdir", tmpdir, *arguments, check=check, environ=self._environ)

    def build(self, base: str) -> None:
        """Builds the image on `base`, which is in the storage: nothing is pulled."""
        mounts = (f"--volume={path}:{path}:ro" for path in HOST_FILES if Path(path).exists())
        how = ("--isolation=chroot", "--network=host", "--pull-never", "--format=docker")  # OCI knows no HEALTHCHECK
        build = ("bud", *how, *mounts, f"--build-arg=BASE_IMAGE={base}", f"--tag={IMAGE}", str(ROOT))
        ran("buildah", *self._storage, *build, environ=self._environ)

    def size(self, image: str) -> int:
        """Bytes of all layers."""
        return int(self.podman("image", "inspect", "--format={{.Size}}", image).stdout)

    @contextmanager
    def running(self, name: str, *arguments: str) -> Iterator["Container"]:
        """A container that was started with these arguments of `podman run`, image and command included."""
        self.podman("run", "--detach", f"--name={name}", *arguments)
        try:
            yield Container(self, name)
        finally:
            self.podman("rm", "--force", "--time=0", "--volumes", name)

    def close(self) -> None:
        """Ends and removes everything."""
        self.podman("rm", "--all", "--force", "--time=0", check=False)
        for mount in reversed(mounts_under(self._folder)):
            subprocess.run(["umount", "--lazy", mount], check=False)


class Container:
    """One container that was started."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._name = name

    @property
    def log(self) -> str:
        """Standard output and standard error."""
        written = self._engine.podman("logs", self._name)
        return written.stdout + written.stderr

    def get(self, url: str) -> str:
        """What an address answers from inside; "" for an error, or while nobody listens."""
        return self._engine.podman("exec", self._name, "python3", "-c", GET, url, check=False).stdout

    def python(self, code: str, *arguments: str) -> str:
        """What a program prints that runs inside."""
        return self._engine.podman("exec", self._name, "python3", "-c", code, *arguments).stdout

    def is_healthy(self) -> bool:
        """Runs the image's own health check once."""
        return self._engine.podman("healthcheck", "run", self._name, check=False).returncode == 0

    def stop(self) -> Ended:
        """SIGTERM, and SIGKILL after 10 s, which would be exit code 137."""
        begun = time.monotonic()
        self._engine.podman("stop", "--time=10", self._name)
        seconds = time.monotonic() - begun
        code = self._engine.podman("inspect", "--format={{.State.ExitCode}}", self._name).stdout
        return Ended(int(code), seconds)


@contextmanager
def engine() -> Iterator[Engine]:
    """An engine whose storage holds the image that the Dockerfile makes, and its base."""
    with tempfile.TemporaryDirectory(prefix="wolkvox-", ignore_cleanup_errors=True) as folder:
        made = Engine(Path(folder))
        try:
            path = "--change=ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
            made.podman("import", "--quiet", path, str(base_archive()), base_image())
            made.build(base_image())
            yield made
        finally:
            made.close()


def base_image() -> str:
    """The image that the Dockerfile builds on unless told otherwise."""
    found = re.search(r"^ARG BASE_IMAGE=(\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert found, "the Dockerfile names no BASE_IMAGE"
    return found[1]


def base_archive() -> Path:
    """The stand-in's root as a tar archive; made once, about 40 s, whole or not at all."""
    archive = CACHE / f"{SUITE}.tar"
    if not archive.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f"{SUITE}-", dir=CACHE) as folder:
            root, fresh = f"{folder}/root", Path(folder, "fresh.tar")
            ran("debootstrap", "--variant=minbase", f"--include={CONTENT}", SUITE, root)
            ran("tar", f"--directory={root}", *(f"--exclude={each}" for each in LEFT_OUT), "-cf", str(fresh), ".")
            fresh.replace(archive)
    return archive


def ran(*command: str, check: bool = True, environ=None) -> subprocess.CompletedProcess[str]:
    """The finished command; AssertionError with what it said when it failed."""
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300, env=environ)
    assert not check or done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done


def mounts_under(folder: Path) -> list[str]:
    """The mount points in the folder, outer ones first."""
    mounted = (line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines())
    return sorted(point for point in mounted if Path(point).is_relative_to(folder))


def until(truth: Callable[[], object], seconds: float = 20.0) -> None:
    """Waits until it is true; AssertionError after so many seconds."""
    end = time.monotonic() + seconds
    while not truth():
        assert time.monotonic() < end, f"not true within {seconds:g} s"
        time.sleep(0.2)
