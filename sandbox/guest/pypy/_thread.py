"""Threads for an interpreter that has none: a thread runs to its end when it is started.

Programs that start threads, join them and collect their results work; threads that wait for each other do not, and say
so instead of waiting for ever.
"""

TIMEOUT_MAX = 4294967.0
error = RuntimeError

_current = 1
_last = 1
_count = 0


class LockType(object):
    """A lock. Nobody else could release it, so to wait for one that is held is an error."""

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
        if timeout >= 0:
            import time

            time.sleep(timeout)  # nobody else could release it meanwhile
            return False
        raise RuntimeError("this would wait for ever: the interpreter of this sandbox has one thread")

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
    global _current, _last, _count
    if not isinstance(args, tuple):
        raise TypeError("2nd arg must be a tuple")
    _last += 1
    number, before = _last, _current
    _current = number
    _count += 1
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
