"""Descriptor flags and locks. Nobody else has a session's files, so that a lock always succeeds."""

import os

F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_GETLK, F_SETLK, F_SETLKW = range(8)
F_DUPFD_CLOEXEC = 1030
F_RDLCK, F_WRLCK, F_UNLCK = 0, 1, 2
FD_CLOEXEC = 1
LOCK_SH, LOCK_EX, LOCK_NB, LOCK_UN = 1, 2, 4, 8


def _number(fd):
    number = fd if isinstance(fd, int) else fd.fileno()
    if number < 0:
        raise ValueError("file descriptor cannot be a negative integer (%d)" % number)
    os.fstat(number)  # EBADF
    return number


def flock(fd, operation):
    _number(fd)
    if operation & ~LOCK_NB not in (LOCK_SH, LOCK_EX, LOCK_UN):
        raise OSError(22, os.strerror(22))


def lockf(fd, cmd, len=0, start=0, whence=0):
    _number(fd)
    if cmd & ~LOCK_NB not in (LOCK_SH, LOCK_EX, LOCK_UN):
        raise ValueError("unrecognized lockf argument")


def fcntl(fd, cmd, arg=0):
    number = _number(fd)
    if cmd == F_GETFD:
        return 0 if os.get_inheritable(number) else FD_CLOEXEC
    if cmd == F_SETFD:
        os.set_inheritable(number, not arg & FD_CLOEXEC)
        return 0
    if cmd == F_GETFL:
        return 0 if os.get_blocking(number) else os.O_NONBLOCK
    if cmd == F_SETFL:
        os.set_blocking(number, not arg & os.O_NONBLOCK)
        return 0
    if cmd in (F_SETLK, F_SETLKW):
        return arg
    if cmd in (F_DUPFD, F_DUPFD_CLOEXEC):
        return os.dup(number)
    raise OSError(22, os.strerror(22))


def ioctl(fd, request, arg=0, mutate_flag=True):
    _number(fd)
    raise OSError(25, os.strerror(25))  # nothing is a terminal or a device
