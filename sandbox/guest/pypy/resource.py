"""What the interpreter uses and may use. Its limits are the session's, which a script cannot change."""

import os

error = OSError
RLIM_INFINITY = -1
(
    RLIMIT_CPU, RLIMIT_FSIZE, RLIMIT_DATA, RLIMIT_STACK, RLIMIT_CORE, RLIMIT_RSS, RLIMIT_NPROC, RLIMIT_NOFILE, RLIMIT_MEMLOCK,
    RLIMIT_AS,
) = range(10)
RLIMIT_OFILE = RLIMIT_NOFILE
RLIMIT_MSGQUEUE, RLIMIT_NICE, RLIMIT_RTPRIO, RLIMIT_RTTIME, RLIMIT_SIGPENDING = 12, 13, 14, 15, 11
RUSAGE_SELF, RUSAGE_CHILDREN, RUSAGE_THREAD = 0, -1, 1

_LIMITS = 16
_FIELDS = (
    "ru_utime ru_stime ru_maxrss ru_ixrss ru_idrss ru_isrss ru_minflt ru_majflt ru_nswap ru_inblock ru_oublock ru_msgsnd "
    "ru_msgrcv ru_nsignals ru_nvcsw ru_nivcsw"
).split()


class struct_rusage(tuple):
    """Seconds of processor time, and counts of which this interpreter knows none."""

    __slots__ = ()
    n_fields = n_sequence_fields = len(_FIELDS)

    def __repr__(self):
        return "resource.struct_rusage(%s)" % ", ".join("%s=%r" % pair for pair in zip(_FIELDS, self))


for _at, _name in enumerate(_FIELDS):
    setattr(struct_rusage, _name, property(lambda self, _at=_at: self[_at]))


def _check(limit):
    if not 0 <= limit < _LIMITS:
        raise ValueError("invalid resource specified")


def getrlimit(limit):
    _check(limit)
    if limit == RLIMIT_NOFILE:
        most = os.sysconf("SC_OPEN_MAX")
        return most, most
    if limit in (RLIMIT_NPROC, RLIMIT_CORE):
        return 0, 0
    return RLIM_INFINITY, RLIM_INFINITY


def setrlimit(limit, limits):
    _check(limit)
    soft, hard = limits
    if (soft, hard) != getrlimit(limit):
        raise ValueError("not allowed to raise maximum limit")  # what EPERM is here


def prlimit(pid, limit, limits=None):
    if pid not in (0, os.getpid()):
        raise PermissionError(1, os.strerror(1))
    old = getrlimit(limit)
    if limits is not None:
        setrlimit(limit, limits)
    return old


def getpagesize():
    return 4096


def getrusage(who):
    if who not in (RUSAGE_SELF, RUSAGE_CHILDREN, RUSAGE_THREAD):
        raise ValueError("invalid who parameter")
    used = os.times()
    times = (used[2], used[3]) if who == RUSAGE_CHILDREN else (used[0], used[1])
    return struct_rusage(times + (0,) * (len(_FIELDS) - 2))
