"""Find out what a preexec_fn would do in a child, without a child.

A command runs on the target, so nothing can run between fork and exec. Most such functions only do what can be asked for
otherwise. This module runs a copy of the function in which all that it reaches stands for itself: a call that is known is
noted, any other ends the run. Nothing here is a wall: see sitecustomize.py.
"""

import builtins
import functools
import os
import signal
import types


class _Unknown(BaseException):
    """A call that cannot be asked for otherwise. No Exception, which the function might catch."""


class Effects:
    """What the command is to be started with. Sizes and masks are as the calls take them."""

    def __init__(self):
        self.cwd = None
        self.umask = None
        self.nice = 0
        self.ignored = []  # signals
        self.limits = {}  # (soft, hard) by the resource's name for prlimit(1)
        self.unknown = None

    def plain(self):
        """Whether the command can be started as it is."""
        return self.umask is None and not (self.nice or self.ignored or self.limits)

    def wrap(self, argv):
        """The command line that does all this on the target and then becomes argv."""
        if self.nice:
            argv = ["nice", "-n", str(self.nice), *argv]
        if self.limits:
            limits = [f"--{name}={soft}:{hard}" for name, (soft, hard) in self.limits.items()]
            argv = ["prlimit", *limits, "--", *argv]
        first = []
        if self.umask is not None:
            first.append(f"umask {self.umask:04o}")
        if self.ignored:
            first.append("trap '' " + " ".join(str(int(s)) for s in self.ignored))
        if first:
            argv = ["sh", "-c", "; ".join([*first, 'exec "$@"']), "sh", *argv]
        return argv


# Other ways to what such functions are written for, by the calls' names.
_INSTEAD = {
    "os.setuid": "commands run as the user that the gateway's operator chose",
    "os.dup2": "pass stdin=, stdout= and stderr=",
    "os.putenv": "pass env=",
    "os.environ": "pass env=",
    "os.chroot": "start chroot as the command",
    "os.sched_setaffinity": "start taskset as the command",
    "os.setpriority": "use os.nice",
    "print": "print before the command starts",
    "open": "open it before the command starts and pass it as stdin=, stdout= or stderr=",
}
for _name in ("setgid", "setgroups", "initgroups", "setreuid", "setregid", "setresuid", "setresgid", "seteuid", "setegid"):
    _INSTEAD["os." + _name] = _INSTEAD["os.setuid"]
for _name in ("execv", "execve", "execvp", "execvpe", "execl", "execlp"):
    _INSTEAD["os." + _name] = "start that program with subprocess"

_PLAIN = (int, float, complex, str, bytes, type(None), range)
_BUILTINS = (
    "abs all any bool bytes dict divmod enumerate float frozenset hex int len list max min oct ord chr range reversed round set"
    " sorted str sum tuple zip"
)


def understand(function):
    """The effects of a preexec_fn. RuntimeError names the first call that cannot be done, and what to use instead."""
    run = _Run()
    try:
        run.stand(function)()
    except _Unknown:
        pass
    except Exception as error:
        import subprocess

        raise subprocess.SubprocessError("Exception occurred in preexec_fn.") from error  # as of a child
    if run.effects.unknown is not None:
        name = run.effects.unknown
        instead = _INSTEAD.get(
            name, "use cwd=, env=, umask=, start_new_session=, process_group= or restore_signals=, or a command line of sh -c"
        )
        raise RuntimeError(
            f"preexec_fn calls {name}, which cannot run in the Shannot sandbox before a command does: commands run on the"
            f" target, outside it; {instead}"
        )
    return run.effects


def _title(value):
    """How a script calls a function."""
    if value is os.environ or value is os.environb:
        return "os.environ"
    name = getattr(value, "__qualname__", None) or type(value).__name__
    module = getattr(value, "__module__", None) or getattr(type(value), "__module__", "")
    module = {"posix": "os", "_signal": "signal", "builtins": "", "__main__": "", "_io": ""}.get(module, module)
    return f"{module}.{name}" if module else name


class _Run:
    def __init__(self):
        self.effects = Effects()
        self._clones = {}
        self._known = {}
        for module, names in (
            (os, "setsid setpgrp setpgid umask nice chdir getpid getpgrp close closerange"),
            (signal, "signal pthread_sigmask"),
            (_resource(), "setrlimit getrlimit"),
        ):
            for name in names.split():
                if hasattr(module, name):
                    self._known[getattr(module, name)] = getattr(self, "_" + name)

    def unknown(self, name):
        if self.effects.unknown is None:
            self.effects.unknown = name
        raise _Unknown(name)

    def stand(self, value):
        """What stands for a value in the copy of a function."""
        if isinstance(value, _PLAIN) or value is Ellipsis or isinstance(value, type) and issubclass(value, BaseException):
            return value
        if type(value) in (tuple, list, set, frozenset):
            return type(value)(self.stand(v) for v in value)
        if type(value) is dict:
            return {k: self.stand(v) for k, v in value.items()}
        if isinstance(value, functools.partial):
            options = {k: self.stand(v) for k, v in value.keywords.items()}
            return functools.partial(self.stand(value.func), *map(self.stand, value.args), **options)
        try:
            known = self._known.get(value)
        except TypeError:
            known = None
        if known is not None:
            return known
        if isinstance(value, types.FunctionType):
            return self.clone(value)
        if isinstance(value, types.MethodType) and isinstance(value.__func__, types.FunctionType):
            return functools.partial(self.clone(value.__func__), self.stand(value.__self__))
        return _Stand(self, value)

    def clone(self, function):
        clone = self._clones.get(function)
        if clone is not None:
            return clone
        names = {"__builtins__": self._builtins()}
        cells = tuple(types.CellType() for _ in function.__closure__ or ())
        clone = types.FunctionType(function.__code__, names, function.__name__, None, cells or None)
        self._clones[function] = clone
        clone.__defaults__ = self.stand(function.__defaults__)
        clone.__kwdefaults__ = self.stand(function.__kwdefaults__)
        for name in _names(function.__code__):
            if name in function.__globals__ and name != "__builtins__":
                names[name] = self.stand(function.__globals__[name])
        for mine, theirs in zip(cells, function.__closure__ or ()):
            try:
                mine.cell_contents = self.stand(theirs.cell_contents)
            except ValueError:
                pass  # empty
        return clone

    def _builtins(self):
        safe = set(_BUILTINS.split())
        names = {}
        for name, value in vars(builtins).items():
            passes = name in safe or isinstance(value, _PLAIN) or isinstance(value, type) and issubclass(value, BaseException)
            names[name] = value if passes else _Stand(self, value)
        names["__import__"] = self._import
        return names

    def _import(self, name, globals=None, locals=None, fromlist=(), level=0):
        if name not in ("os", "posix", "signal", "resource", "sys", "errno") or level:
            self.unknown("import " + name)
        return self.stand(__import__(name))

    # The calls that are known.

    def _setsid(self):
        """A command leads a session of its own."""

    def _setpgrp(self):
        """A command leads a group of its own."""

    def _setpgid(self, pid, group):
        if pid or group:
            self.unknown("os.setpgid for another group")

    def _getpid(self):
        return 0  # which setpgid takes for the caller

    _getpgrp = _getpid

    def _umask(self, mask):
        before, self.effects.umask = self.effects.umask, mask & 0o777
        if before is None:
            before = os.umask(0)
            os.umask(before)
        return before

    def _nice(self, increment):
        self.effects.nice += increment
        return self.effects.nice

    def _chdir(self, path):
        self.effects.cwd = os.path.join(self.effects.cwd or "", os.fsdecode(path))

    def _close(self, fd):
        if fd <= 2:
            self.unknown("os.close of a standard stream")

    def _closerange(self, low, high):
        if low <= 2 < high:
            self.unknown("os.closerange of the standard streams")

    def _signal(self, number, handler):
        number = signal.Signals(number)
        if handler == signal.SIG_IGN and number not in self.effects.ignored:
            self.effects.ignored.append(number)
        elif handler != signal.SIG_IGN and number in self.effects.ignored:
            self.effects.ignored.remove(number)
        return signal.SIG_DFL  # which a handler becomes when a program starts

    def _pthread_sigmask(self, how, mask):
        if how == signal.SIG_BLOCK and mask or how == signal.SIG_SETMASK and mask:
            self.unknown("signal.pthread_sigmask that blocks")
        return set()

    def _getrlimit(self, which):
        return _resource().getrlimit(which)

    def _setrlimit(self, which, limits):
        soft, hard = limits
        name = _limit_name(which)
        if name is None:
            self.unknown(f"resource.setrlimit({which})")
        self.effects.limits[name] = tuple("unlimited" if v == _resource().RLIM_INFINITY else int(v) for v in (soft, hard))


class _Stand:
    """An object or a module of which attributes may be looked up, and functions of Python called."""

    def __init__(self, run, real):
        self.__dict__["_shannot"] = run, real

    def __getattr__(self, name):
        run, real = self.__dict__["_shannot"]
        if real is os.environ or real is os.environb:
            run.unknown("os.environ")
        own = getattr(real, "__dict__", None)
        if own is not None and name in own:
            return run.stand(own[name])
        for cls in type(real).__mro__:
            if name in cls.__dict__:
                value = cls.__dict__[name]
                if isinstance(value, types.FunctionType):
                    return functools.partial(run.clone(value), self)
                if isinstance(value, staticmethod):
                    return run.stand(value.__func__)
                if isinstance(value, _PLAIN):
                    return value
                run.unknown(f"{_title(real)}.{name}")
        if hasattr(type(real), "__getattr__"):
            run.unknown(f"{_title(real)}.{name}")
        raise AttributeError(name)

    def _refuse(self, *args, **options):
        run, real = self.__dict__["_shannot"]
        run.unknown(_title(real))

    __call__ = __getitem__ = __setitem__ = __delitem__ = __setattr__ = __delattr__ = __enter__ = __iter__ = __len__ = _refuse

    def __exit__(self, *args):
        return False

    def __bool__(self):
        run, real = self.__dict__["_shannot"]
        if hasattr(type(real), "__bool__") or hasattr(type(real), "__len__"):
            run.unknown(f"bool of {_title(real)}")
        return True


def _names(code):
    """The names that code and what is defined in it may look up."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _names(constant)
    return names


def _resource():
    import resource

    return resource


def _limit_name(which):
    """The name of a limit for prlimit(1)."""
    for name, option in (
        ("AS", "as"), ("CORE", "core"), ("CPU", "cpu"), ("DATA", "data"), ("FSIZE", "fsize"), ("MEMLOCK", "memlock"),
        ("MSGQUEUE", "msgqueue"), ("NICE", "nice"), ("NOFILE", "nofile"), ("NPROC", "nproc"), ("RSS", "rss"),
        ("RTPRIO", "rtprio"), ("SIGPENDING", "sigpending"), ("STACK", "stack"),
    ):  # fmt: skip
        if getattr(_resource(), "RLIMIT_" + name, None) == which:
            return option
    return None
