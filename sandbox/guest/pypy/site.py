"""Prepare the interpreter for a script in the Shannot sandbox.

Python imports this module at start-up. It stands in for the standard one, which looks for packages that are not here.
"""

import builtins
import io
import sys

PREFIXES = [sys.prefix]
ENABLE_USER_SITE = False
USER_SITE = None
USER_BASE = None


class Quitter(object):
    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return "Use %s() or Ctrl-D (i.e. EOF) to exit" % self.name

    def __call__(self, code=None):
        raise SystemExit(code)


class _Helper(object):
    def __repr__(self):
        return "Type help(object) for help about object."

    def __call__(self, *args, **kwds):
        import pydoc

        return pydoc.help(*args, **kwds)


def getsitepackages(prefixes=None):
    return []


def getuserbase():
    return USER_BASE


def getusersitepackages():
    return USER_SITE


def addsitedir(sitedir, known_paths=None):
    if sitedir not in sys.path:
        sys.path.append(sitedir)
    return known_paths


def _buffer_lines(name):
    """Show lines as they are printed, in order with what commands print, and take every character."""
    stream = getattr(sys, name, None)
    if stream is None:
        return
    try:
        stream.flush()
        errors = "backslashreplace" if name == "stderr" else "surrogateescape"
        new = io.TextIOWrapper(stream.buffer, encoding="utf-8", errors=errors, line_buffering=True)
        new.mode = "w"
    except (AttributeError, ValueError, io.UnsupportedOperation):
        return
    setattr(sys, name, new)
    setattr(sys, "__%s__" % name, new)
    _kept.append(stream)  # whose end would close what both write to


_kept = []


def _limit_of(error):
    """Which limit of the sandbox an error is about, or None."""
    if isinstance(error, MemoryError):
        return b"memory"
    if isinstance(error, OSError):
        return {24: b"files", 28: b"write", 27: b"write"}.get(error.errno)  # EMFILE, ENOSPC, EFBIG
    return None


def _say_limit():
    """At the end: where an uncaught error of a limit ends the script, the limit is what its end is called after."""
    limit = _limit_of(getattr(sys, "last_value", None))
    if limit is None or hasattr(sys, "ps1"):
        return
    import os

    for fd in range(255, 2, -1):
        try:
            import _shannot

            return _shannot.blame(limit)
        except (OSError, ImportError):
            try:
                os.close(fd)  # there may be no descriptor left to say it with
            except OSError:
                pass


def _mend_platform(module):
    """Keep it from starting commands, which a human might be asked about, to learn what uname says."""
    module._syscmd_uname = module._syscmd_file = lambda question, default="": default


def _mend_thread_pool(module):
    """Do what is submitted at once: a thread that waits for more would wait for ever."""
    import queue

    def _adjust_thread_count(self):
        initializer, self._initializer = getattr(self, "_initializer", None), None
        if initializer is not None:
            initializer(*self._initargs)
        while True:
            try:
                item = self._work_queue.get_nowait()
            except queue.Empty:
                return
            if item is not None:
                item.run()

    module.ThreadPoolExecutor._adjust_thread_count = _adjust_thread_count


def _mend_threading(module):
    """Keep timers from running at once: they are due when they are joined, or at the end, unless they were cancelled."""
    import atexit
    import time

    waiting = []

    class Timer(module.Timer):
        _due = None

        def start(self):
            if self._due is not None:
                raise RuntimeError("threads can only be started once")
            self._due = time.monotonic() + self.interval
            waiting.append(self)

        def is_alive(self):
            return self._due is not None and not self.finished.is_set()

        def join(self, timeout=None):
            if self._due is None:
                raise RuntimeError("cannot join thread before it is started")
            if self.finished.is_set():
                return
            left = max(0, self._due - time.monotonic())
            if timeout is not None and timeout < left:
                time.sleep(max(0, timeout))
                return
            time.sleep(left)
            self.finished.set()
            self.function(*self.args, **self.kwargs)

    def finish():
        for timer in waiting:
            if not timer.daemon:
                timer.join()

    module.Timer = Timer
    atexit.register(finish)


class _Mending(object):
    """Change modules as they are imported. It stands at the front of sys.meta_path."""

    modules = {"platform": _mend_platform, "concurrent.futures.thread": _mend_thread_pool, "threading": _mend_threading}

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        mend = cls.modules.pop(name, None)
        if mend is None:
            return None
        from importlib.machinery import PathFinder

        spec = PathFinder.find_spec(name, path, target)
        if spec is not None:
            run = spec.loader.exec_module

            def exec_module(module):
                run(module)
                mend(module)

            spec.loader.exec_module = exec_module
        return spec


def _speak_utf8():
    """Take text for UTF-8, and names too, whatever the interpreter would."""
    import _locale

    import _names

    question, codeset = getattr(_locale, "nl_langinfo", None), getattr(_locale, "CODESET", None)
    if question is not None:
        _locale.nl_langinfo = lambda key: "UTF-8" if key == codeset else question(key)
    _names.install()


def main():
    import atexit

    if sys.getfilesystemencoding() != "utf-8":
        _speak_utf8()
    builtins.quit = Quitter("quit")
    builtins.exit = Quitter("exit")
    builtins.help = _Helper()
    for name in ("stdout", "stderr"):
        _buffer_lines(name)
    atexit.register(_say_limit)
    sys.meta_path.insert(0, _Mending)


main()
