"""Threads for an interpreter that has none: they run one after the other, each to its end.

What start_new_thread is given runs at once. A threading.Thread (see site) runs when somebody waits, for it or for anything
that it might do. So programs work that start threads, feed them through queues, join them and collect their results.
Threads that wait for each other in turns cannot be run like this; they are told so instead of waiting for ever.
"""

TIMEOUT_MAX = 4294967.0
error = RuntimeError

_current = 1
_last = 1
_count = 0

_later = []  # threads that were started and have not run, oldest first: what runs them, and whether they are daemons
_ready = []  # who waits, from the first on the stack: functions that say whether they could go on
_patience = 0  # how often somebody looked or slept since a thread was started
_in_vain = 0  # waits in a row that ended with their time while somebody else could have gone on

_refusals = 0  # waits of a thread that were refused

_MOST_LOOKS = 10
_MOST_VAIN = 10
_MOST_REFUSALS = 100
_WHY = "the interpreter of this sandbox has one thread, which runs others to their end; see --engine native"


def run_later(run, daemon):
    """Have a thread run when somebody waits."""
    global _patience
    _later.append((run, daemon))
    _patience = 0


def forget_later(run):
    """Take a thread away that was to run later, and report whether it was."""
    for at, (other, _) in enumerate(_later):
        if other == run:
            del _later[at]
            return True
    return False


def wait_until(ready):
    """Run threads that have not run until ready says so, and return what it says last."""
    _ready.append(ready)
    try:
        while not ready() and _later:
            _later.pop(0)[0]()
    finally:
        _ready.pop()
    return ready()


def look():
    """Say that somebody looks, or sleeps, and may do so until another thread has run."""
    global _patience
    _patience += 1
    if _patience > _MOST_LOOKS:
        _patience = 0
        for run, daemon in _later[:]:
            if not daemon and forget_later(run):
                run()


def _wait_in_vain(for_ever):
    """Nobody will do what this thread waits for. Where somebody below it on the stack can go on, it ends quietly."""
    global _in_vain, _refusals
    others = _current != 1 and any(ready() for ready in _ready)
    if not for_ever:
        _in_vain = _in_vain + 1 if others else 0
        if _in_vain <= _MOST_VAIN:
            return
        _in_vain = 0
        raise RuntimeError("this thread waits again and again for another, which can go on when it has ended: " + _WHY)
    _refusals += 1
    if _refusals > _MOST_REFUSALS:
        _give_up()
    if others:
        _tell()
        raise SystemExit
    raise RuntimeError("this would wait for ever: " + _WHY)


def _tell():
    """Say that a thread is ended which may have had more to do. Daemons are ended anyway."""
    import sys

    threading = sys.modules.get("threading")
    if threading is not None and not threading.current_thread().daemon:
        sys.stderr.write("%s is ended where it waits: %s\n" % (threading.current_thread().name, _WHY))


def _give_up():
    """End a script that takes no refusal."""
    import os
    import sys

    sys.stdout.flush()
    sys.stderr.write("The script waits again and again for what cannot happen: %s\n" % _WHY)
    sys.stderr.flush()
    os._exit(1)


class LockType(object):
    """A lock. Threads that have not run may release one that is held; else to wait for it is an error."""

    def __init__(self):
        self._held = False

    def acquire(self, blocking=True, timeout=-1):
        if not blocking and timeout != -1:
            raise ValueError("can't specify a timeout for a non-blocking call")
        if not self._held:
            self._held = True
            return True
        if not blocking:
            return False
        if timeout < 0 or timeout > 0:
            import time

            begun = time.time()
            if wait_until(self._free):
                self._held = True
                return True
            if timeout < 0:
                _wait_in_vain(True)
            _sleep(max(0, begun + timeout - time.time()))
            _wait_in_vain(False)
        return False

    def _free(self):
        return not self._held

    acquire_lock = acquire

    def release(self):
        if not self._held:
            raise RuntimeError("release unlocked lock")
        self._held = False

    release_lock = release

    def locked(self):
        return self._held

    locked_lock = locked

    def __enter__(self):
        self.acquire()
        return True

    def __exit__(self, *args):
        self.release()

    def _at_fork_reinit(self):
        self._held = False


lock = LockType


def _sleep(seconds):
    import time

    getattr(time.sleep, "bare", time.sleep)(seconds)


class RLock(object):
    """A lock that its owner may take again; there is one owner."""

    def __init__(self):
        self._depth = 0

    def acquire(self, blocking=True, timeout=-1):
        self._depth += 1
        return True

    def release(self):
        if not self._depth:
            raise RuntimeError("cannot release un-acquired lock")
        self._depth -= 1

    def __enter__(self):
        return self.acquire()

    def __exit__(self, *args):
        self.release()

    def _is_owned(self):
        return self._depth > 0

    def _release_save(self):
        depth, self._depth = self._depth, 0
        return depth

    def _acquire_restore(self, depth):
        self._depth = depth

    def _at_fork_reinit(self):
        self._depth = 0


def allocate_lock():
    return LockType()


allocate = allocate_lock


def get_ident():
    return _current


def start_new_thread(function, args, kwargs={}):
    """Run the function now, as a thread of its own, and return its number."""
    global _current, _last, _count, _in_vain, _refusals
    if not isinstance(args, tuple):
        raise TypeError("2nd arg must be a tuple")
    _last += 1
    number, before = _last, _current
    _current = number
    _count += 1
    _in_vain = _refusals = 0
    try:
        function(*args, **kwargs)
    except SystemExit:
        pass
    except BaseException:
        import sys
        import traceback

        sys.stderr.write("Unhandled exception in thread started by %r\n" % (function,))
        traceback.print_exc()
    finally:
        _current = before
        _count -= 1
        sentinel = _sentinels.pop(number, None)
        if sentinel is not None and sentinel.locked():
            sentinel.release()  # who joins the thread waits for it
    return number


start_new = start_new_thread


def exit():
    raise SystemExit


exit_thread = exit


def interrupt_main(*args):
    raise KeyboardInterrupt


def stack_size(size=0):
    if size:
        raise ValueError("setting the stack size does not work: the interpreter of this sandbox has one thread")
    return 0


_sentinels = {}


def _set_sentinel():
    """Return a lock that is released when the current thread ends."""
    _sentinels[_current] = LockType()
    return _sentinels[_current]


class _local(object):
    """Attributes of the current thread, for threads that run inside one another."""

    def __new__(cls, *args, **kwargs):
        self = object.__new__(cls)
        object.__setattr__(self, "_of", {})
        object.__setattr__(self, "_args", (args, kwargs))
        return self

    def __getattribute__(self, name):
        if name == "__dict__":
            return _dict_of(self)
        if not name.startswith("__"):
            values = _dict_of(self)
            if name in values:
                return values[name]
        return object.__getattribute__(self, name)

    def __setattr__(self, name, value):
        _dict_of(self)[name] = value

    def __delattr__(self, name):
        try:
            del _dict_of(self)[name]
        except KeyError:
            raise AttributeError(name)


def _dict_of(local):
    every = object.__getattribute__(local, "_of")
    if _current not in every:
        first = not every
        every[_current] = {}
        if not first and type(local).__init__ is not object.__init__:
            args, kwargs = object.__getattribute__(local, "_args")
            local.__init__(*args, **kwargs)
    return every[_current]
