"""The inside of an unshared process: makes every file system read-only but one folder, hides homes, and goes on.

Run as a script by ``unshare``, which has no words for it, in namespaces of its own. Asks the kernel (Linux 5.12:
mount_setattr), so that flags of mounts which are there already stay. With ``--try`` it says whether the process that it
is run in is cut off at all. Must import the standard library alone: it is run without a path.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import socket
import struct
import sys
from pathlib import Path

__all__ = ["CONFINED"]

CONFINED = "confined"
MS_BIND, MS_REC, MS_PRIVATE, MS_NOSUID, MS_NODEV = 0x1000, 0x4000, 0x40000, 2, 4
MOUNT_ATTR_RDONLY = 1
AT_FDCWD, AT_RECURSIVE = -100, 0x8000
SYS_MOUNT_SETATTR = 442
"""The same number on every architecture but alpha and some of MIPS."""
ODD = ("alpha", "mips")
SOMEWHERE = ("192.0.2.1", 9)
"""An address that belongs to nobody (RFC 5737): without a route to it there is no network."""


def main(arguments: list[str]) -> None:
    """Confine this process and become the command; or say whether it is confined."""
    if arguments[0] == "--try":
        print(_trial(Path(arguments[1])))
        return
    plan = json.loads(arguments[1])
    _confine(plan["folder"], plan["homes"], plan["seen"])
    os.chdir(plan["folder"])
    os.execvp(plan["command"][0], plan["command"])


def _trial(outside: Path) -> str:
    """Return `CONFINED`, or what this process can do that it should not."""
    Path("written").write_text("inside", encoding="utf-8")  # its own folder is its own
    try:
        outside.write_text("outside", encoding="utf-8")
    except OSError:
        pass
    else:
        return "it can write outside of its folder"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as talk:
        try:
            talk.connect(SOMEWHERE)  # of a datagram: asks for a route, and sends nothing
        except OSError:
            return CONFINED
    return "it has a network"


def _confine(folder: str, homes: list[str], seen: list[str]) -> None:
    if platform.machine().startswith(ODD):
        raise SystemExit(f"mount_setattr has another number on {platform.machine()}")
    libc = ctypes.CDLL(None, use_errno=True)
    _mount(libc, None, "/", None, MS_REC | MS_PRIVATE)
    held = {path: os.open(path, os.O_RDONLY | getattr(os, "O_PATH", 0)) for path in (*seen, folder)}
    for home in homes:
        _mount(libc, "tmpfs", home, "tmpfs", MS_NOSUID | MS_NODEV)
    for path, descriptor in held.items():
        within = any(os.path.commonpath([path, home]) == home for home in homes)
        if path != folder and not within:
            continue
        source = f"/proc/self/fd/{descriptor}"
        if within:
            _place(path, os.path.isdir(source))
        _mount(libc, source, path, None, MS_BIND | MS_REC)
    _set_read_only(libc, "/", AT_RECURSIVE, True)
    _set_read_only(libc, folder, 0, False)
    _mount(libc, "tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV)
    for descriptor in held.values():
        os.close(descriptor)


def _place(path: str, is_folder: bool) -> None:
    """Make a place to which something can be bound."""
    os.makedirs(path if is_folder else os.path.dirname(path), exist_ok=True)
    if not is_folder:
        Path(path).touch()


def _mount(libc: ctypes.CDLL, source: str | None, target: str, kind: str | None, flags: int) -> None:
    words = [None if word is None else os.fsencode(word) for word in (source, target, kind)]
    if libc.mount(*words, ctypes.c_ulong(flags), None):
        _fail("mount", target)


def _set_read_only(libc: ctypes.CDLL, path: str, flags: int, wanted: bool) -> None:
    attributes = struct.pack("QQQQ", MOUNT_ATTR_RDONLY if wanted else 0, 0 if wanted else MOUNT_ATTR_RDONLY, 0, 0)
    target = (ctypes.c_int(AT_FDCWD), os.fsencode(path), ctypes.c_uint(flags), attributes, ctypes.c_size_t(32))
    if libc.syscall(ctypes.c_long(SYS_MOUNT_SETATTR), *target):
        _fail("mount_setattr", path)


def _fail(what: str, path: str) -> None:
    number = ctypes.get_errno()
    raise SystemExit(f"{what} of {path}: {os.strerror(number)}")


if __name__ == "__main__":
    main(sys.argv[1:])
