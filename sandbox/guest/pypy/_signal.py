"""Signals as far as this interpreter has them: it is sent none, so handlers are kept and never called."""

import os

SIG_DFL = 0
SIG_IGN = 1
NSIG = 65
SIG_BLOCK = 0
SIG_UNBLOCK = 1
SIG_SETMASK = 2
ITIMER_REAL = 0
ITIMER_VIRTUAL = 1
ITIMER_PROF = 2

SIGHUP = 1
SIGINT = 2
SIGQUIT = 3
SIGILL = 4
SIGTRAP = 5
SIGABRT = SIGIOT = 6
SIGBUS = 7
SIGFPE = 8
SIGKILL = 9
SIGUSR1 = 10
SIGSEGV = 11
SIGUSR2 = 12
SIGPIPE = 13
SIGALRM = 14
SIGTERM = 15
SIGCHLD = SIGCLD = 17
SIGCONT = 18
SIGSTOP = 19
SIGTSTP = 20
SIGTTIN = 21
SIGTTOU = 22
SIGURG = 23
SIGXCPU = 24
SIGXFSZ = 25
SIGVTALRM = 26
SIGPROF = 27
SIGWINCH = 28
SIGIO = SIGPOLL = 29
SIGPWR = 30
SIGSYS = 31
SIGRTMIN = 34
SIGRTMAX = 64


class ItimerError(OSError):
    pass


_handlers = {}


def default_int_handler(signum=SIGINT, frame=None):
    raise KeyboardInterrupt


def _check(signum):
    signum = int(signum)
    if not 1 <= signum < NSIG:
        raise ValueError("signal number out of range")
    return signum


def signal(signum, handler):
    signum = _check(signum)
    if signum in (SIGKILL, SIGSTOP):
        raise OSError(22, "Invalid argument")
    if not callable(handler) and handler not in (SIG_DFL, SIG_IGN):
        raise TypeError("signal handler must be signal.SIG_IGN, signal.SIG_DFL, or a callable object")
    old = getsignal(signum)
    _handlers[signum] = handler
    return old


def getsignal(signum):
    return _handlers.get(_check(signum), default_int_handler if signum == SIGINT else SIG_DFL)


def siginterrupt(signum, flag):
    _check(signum)


def set_wakeup_fd(fd, *args, **kwargs):
    return -1


def _none(what):
    raise OSError(38, what + " does not work in this interpreter: it is sent no signals")


def alarm(seconds):
    if seconds:
        _none("signal.alarm")
    return 0


def setitimer(which, seconds, interval=0.0):
    if seconds:
        _none("signal.setitimer")
    return 0.0, 0.0


def getitimer(which):
    return 0.0, 0.0


def pause():
    _none("signal.pause")


def pthread_kill(thread_id, signum):
    os.kill(os.getpid(), _check(signum))
