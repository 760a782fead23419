# Put before every attempt, together with what the test knows: NR (numbers of system calls by name), GATEWAY (process id
# of the gateway), VICTIM (process id of another process of the same user), SIGNAL (what to send it), SECRET (a file that
# the policy does not show), SHOWN (a directory of the host that it shows), SHOWN_SOCKET, SOCKET, ABSTRACT and PORT
# (services of the host), HERE (a directory to write in).
import ctypes
import errno
import os
import sys

libc = ctypes.CDLL(None, use_errno=True)


def call(name, *args):
    "make a system call, past everything that Python or the guest put in front of it; the name of its errno, or OK"
    number = NR[name] if isinstance(name, str) else name
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number), *[ctypes.c_void_p(a) if isinstance(a, int) else a for a in args])
    return errno.errorcode.get(ctypes.get_errno(), "OK") if result == -1 else "OK"


def outcome(f, *args, **options):
    "the name of the errno or of the exception with which f ends, or DONE"
    try:
        f(*args, **options)
    except OSError as e:
        return errno.errorcode.get(e.errno, type(e).__name__)
    except Exception as e:
        return type(e).__name__
    return "DONE"
