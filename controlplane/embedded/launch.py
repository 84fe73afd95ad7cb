"""Start a program the way a supervisor needs it, then become it. Standard library only; run by path.

Drops root to a named user, ties the program's life to its parent's (Linux), and, where that user could not
walk to the program or its data (a checkout under /root), keeps the one capability to search directories.
"""

import argparse
import ctypes
import os
import sys

PR_SET_PDEATHSIG, PR_SET_KEEPCAPS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 1, 8, 47, 2
CAPABILITY_VERSION_3 = 0x20080522
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Data(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def _checked(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def _become(libc: ctypes.CDLL, uid: int, gid: int, *, search: bool) -> None:
    header = _Header(CAPABILITY_VERSION_3, 0)
    kept = _searching_capability(libc, header, uid) if search else None
    if kept is not None:
        _checked(libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), "PR_SET_KEEPCAPS")
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    if kept is not None:
        # Permitted must equal ambient: a wider set makes exec forget the death signal.
        bit = 1 << kept
        sets = (_Data * 2)(_Data(bit, bit, bit), _Data(0, 0, 0))
        _checked(libc.capset(ctypes.byref(header), sets), "capset")
        _checked(libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, kept, 0, 0), "PR_CAP_AMBIENT_RAISE")


def _searching_capability(libc: ctypes.CDLL, header: _Header, uid: int) -> int:
    sets = (_Data * 2)()
    _checked(libc.capget(ctypes.byref(header), sets), "capget")
    for capability in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE):
        if sets[0].permitted >> capability & 1:
            return capability
    raise OSError(f"user id {uid} cannot reach the files, and root may not lend it the right here; move them")


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--user", help="uid:gid to become")
    parser.add_argument("--search", action="store_true", help="keep the right to search directories")
    parser.add_argument("--parent", type=int, help="pid whose death ends the program")
    parser.add_argument("--death-signal", type=int, help="signal sent at the parent's death")
    parser.add_argument("--detach", action="store_true", help="leave the caller: new session, no parent")
    parser.add_argument("--directory", help="working directory")
    parser.add_argument("command", nargs="+")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> None:
    options = _parse(arguments)
    if options.detach:
        if os.fork():
            os._exit(0)
        os.setsid()
    libc = ctypes.CDLL(None, use_errno=True)
    if options.directory:
        os.chdir(options.directory)
    if options.user:
        uid, gid = (int(part) for part in options.user.split(":"))
        _become(libc, uid, gid, search=options.search)
    if options.death_signal and sys.platform == "linux":
        # Last, because changing the user clears it.
        _checked(libc.prctl(PR_SET_PDEATHSIG, options.death_signal, 0, 0, 0), "PR_SET_PDEATHSIG")
        if os.getppid() != options.parent:
            sys.exit("the supervisor ended before its process began")
    os.execvp(options.command[0], options.command)  # noqa: S606 - becoming the program is the point


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except OSError as error:
        sys.exit(f"cannot start the program: {error}")
