"""Reading the small regular files that a configuration is made of; a wrong path neither hangs nor fills the memory."""

import os
import stat
from typing import Final, NamedTuple

KIB: Final = 1024
Stamp = tuple[int, int, int, int]


class Unreadable(Exception):  # noqa: N818 - it says what the file is
    """The end of a sentence that begins with the file's path."""


class Content(NamedTuple):
    """What a file held, and whether every user of this host may read it."""

    data: bytes
    is_public: bool


def read(path: str, most: int) -> Content:
    """The bytes of a regular file, links followed; Unreadable if it holds more than `most`."""
    try:
        # Without O_NONBLOCK a named pipe would wait for its writer for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise Unreadable("does not exist") from None
    except OSError as error:
        raise Unreadable(f"cannot be read ({error.strerror})") from error
    except ValueError:  # a NUL in the path
        raise Unreadable("is not a path") from None
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        raise Unreadable("is not a regular file")
    try:
        with os.fdopen(descriptor, "rb") as file:
            data = file.read(most + 1)
    except OSError as error:  # a disk or a mount that fails
        raise Unreadable(f"cannot be read ({error.strerror})") from error
    if len(data) > most:
        raise Unreadable(f"is larger than {most // KIB}KiB")
    return Content(data, bool(mode & stat.S_IROTH))


def beside(file: str, path: str) -> str:
    """The path as seen from the folder of the file that names it."""
    return os.path.join(os.path.dirname(file), path)  # noqa: PTH118, PTH120 - `./` and `..` stay as they were written


def stamp(path: str) -> Stamp | None:
    """What tells that the file became another one; links are followed. None where there is none to be had."""
    try:
        told = os.stat(path)  # noqa: PTH116 - a path that the system would refuse is an error, as one that is gone
    except (OSError, ValueError):
        return None
    return told.st_ino, told.st_size, told.st_mtime_ns, told.st_ctime_ns
