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
    """Run threads when somebody waits, and timers when they are joined, or at the end, unless they were cancelled."""
    import atexit
    import time

    import _shannot
    import _thread

    join, timers = module.Thread.join, []

    def begin(self):
        _thread.start_new_thread(self._bootstrap, ())

    def start(self):
        if not self._initialized:
            raise RuntimeError("thread.__init__() not called")
        if self._started.is_set():
            raise RuntimeError("threads can only be started once")
        with module._active_limbo_lock:
            module._limbo[self] = self
        self._started.set()
        self._begin = lambda: begin(self)
        _thread.run_later(self._begin, self.daemon)

    def waiting(self):
        return "_begin" in self.__dict__ and any(run is self._begin for run, _ in _thread._later)

    def join_(self, timeout=None):
        if "_begin" in self.__dict__ and _thread.forget_later(self._begin):
            self._begin()
        join(self, timeout)

    alive = module.Thread.is_alive

    def is_alive(self):
        if waiting(self):
            _thread.look()
        return waiting(self) or alive(self)

    module.Thread.start, module.Thread.join, module.Thread.is_alive = start, join_, is_alive
    if hasattr(module.Thread, "isAlive"):
        module.Thread.isAlive = is_alive

    bare = time.sleep

    def sleep(seconds):
        _thread.look()
        bare(seconds)

    sleep.bare, time.sleep = bare, sleep

    class Timer(module.Timer):
        _due = None

        def start(self):
            if self._due is not None:
                raise RuntimeError("threads can only be started once")
            self._due = time.monotonic() + self.interval
            timers.append(self)

        def is_alive(self):
            return self._due is not None and not self.finished.is_set()

        def join(self, timeout=None):
            if self._due is None:
                raise RuntimeError("cannot join thread before it is started")
            if self.finished.is_set():
                return
            left = max(0, self._due - time.monotonic())
            if timeout is not None and timeout < left:
                bare(max(0, timeout))
                return
            bare(left)
            self.finished.set()
            self.function(*self.args, **self.kwargs)

    def finish():
        while True:
            runs = [run for run, daemon in _thread._later if not daemon]
            if not runs:
                break
            _thread.forget_later(runs[0])
            runs[0]()
        for timer in timers:
            if not timer.daemon:
                timer.join()

    module.Timer = Timer
    atexit.register(finish)
    _shannot.others = _thread._later


def _mend_queue(module):
    """Let a queue take more than it may hold: nobody makes room while somebody waits for that."""
    put = module.Queue.put

    def put_(self, item, block=True, timeout=None):
        if not block:
            return put(self, item, block, timeout)
        most, self.maxsize = self.maxsize, 0
        try:
            put(self, item)
        finally:
            self.maxsize = most

    module.Queue.put = put_


def _mend_pool(module):
    """A pool of threads does what it is given at once; processes are refused where they start."""
    import _pool

    module.ThreadPool = _pool.ThreadPool


class _Mending(object):
    """Change modules as they are imported. It stands at the front of sys.meta_path."""

    modules = {
        "platform": _mend_platform,
        "concurrent.futures.thread": _mend_thread_pool,
        "threading": _mend_threading,
        "queue": _mend_queue,
        "multiprocessing.pool": _mend_pool,
    }

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


class _Missing(object):
    """Say of modules in C that are not here where they are. It stands at the end of sys.meta_path: what exists is used."""

    modules = {
        "_bz2": "bz2", "_lzma": "lzma", "_lzma_cffi": "lzma", "_rawffi": "ctypes", "_ctypes": "ctypes", "_cffi_backend": "cffi",
        "_sqlite3": "sqlite3", "_sqlite3_cffi": "sqlite3", "_ssl": "ssl", "_curses": "curses", "_curses_cffi": "curses",
        "_crypt": "crypt", "_gdbm": "dbm.gnu", "_gdbm_cffi": "dbm.gnu", "_tkinter": "tkinter", "_syslog_cffi": "syslog",
        "_audioop_cffi": "audioop", "_posixshmem": "multiprocessing.shared_memory", "_tracemalloc": "tracemalloc",
        "_lsprof": "cProfile", "_symtable": "symtable", "_continuation": "greenlet",
    }
    instead = {"bz2": ", or start bzcat", "lzma": ", or start xzcat", "syslog": ", or start logger"}

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        public = cls.modules.get(name)
        if public is None:
            return None
        text = "%s is not in the PyPy of the Shannot sandbox: run the script with --engine native%s"
        raise ModuleNotFoundError(text % (public, cls.instead.get(public, "")), name=name)


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
    sys.meta_path.append(_Missing)


main()
