"""Start processes through the gateway.

Python imports this module at start-up. It replaces the functions of the standard library that fork or exec; the
standard subprocess module on top of them stays as it is. Nothing here is a wall: a script that undoes it finds that
fork and exec are refused by the kernel.
"""

import _frozen_importlib_external as _importing
import _posixsubprocess
import marshal
import os
import sys
from _operator import index

# What a script writes is shown to a human; what an import would leave beside a module is not what it meant to write.
sys.dont_write_bytecode = True

_DEVICE = "/dev/shannot"
_MAX_REQUEST = 3 << 20  # bytes; E2BIG beyond, as execve has it


class _Descriptor:
    """A descriptor that is closed with the last that knows it, as when its thread ends."""

    def __init__(self, fd):
        self.fd = fd

    def close(self, close=os.close):
        fd, self.fd = self.fd, None
        if fd is not None:
            close(fd)

    __del__ = close


class _Gateway:
    """The connection to the supervisor: one for each thread that starts something, made when first needed."""

    def __init__(self):
        import _thread

        self._local = _thread._local()

    def ask(self, *items):
        held = getattr(self._local, "held", None)
        if held is None:
            held = self._local.held = _Descriptor(_dial())
        fd = held.fd
        try:
            body = _list(items)
            _write(fd, len(body).to_bytes(4, "little") + body)
            size = int.from_bytes(_read(fd, 4), "little")
            return _items(_read(fd, size))
        except BaseException:
            # A reply may still be on its way; the next request must not take it for its own.
            self._local.held = None
            held.close()
            raise

    def hang_up(self):
        self._local.held.close()
        self._local.held = None


def _dial():
    """A connection, not under the number of a standard stream that is closed: the script may open that stream again."""
    fd = os.open(_DEVICE, os.O_RDWR | os.O_CLOEXEC)
    if fd > 2:
        return fd
    import fcntl

    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
    finally:
        os.close(fd)


def _write(fd, data):
    while data:
        data = data[os.write(fd, data) :]


def _read(fd, size):
    data = b""
    while len(data) < size:
        more = os.read(fd, size - len(data))
        if not more:
            raise OSError(5, "the gateway refused the request")
        data += more
    return data


def _list(items):
    out = [len(items).to_bytes(4, "little")]
    for item in items:
        if isinstance(item, int):
            item = item.to_bytes(8, "little", signed=True)
        out.append(len(item).to_bytes(4, "little"))
        out.append(item)
    return b"".join(out)


def _items(data):
    count = int.from_bytes(data[:4], "little")
    at, out = 4, []
    for _ in range(count):
        size = int.from_bytes(data[at : at + 4], "little")
        out.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    return out


_gateway = _Gateway()


def _line():
    """The line of the script itself that is running, for the human who decides."""
    frame = sys._getframe(1)
    line = 0
    while frame is not None:
        if frame.f_globals.get("__name__") == "__main__" and not frame.f_code.co_filename.endswith("/app.pyz/__main__.py"):
            line = frame.f_lineno  # what starts a zip application: lines of its files are others
            break
        frame = frame.f_back
    return line


def _start(argv, executables, env, cwd, stdin, stdout, stderr, input=None, pass_fds=()):
    """Start a command, or a further interpreter and return its process id, or raise the OSError that CPython would.

    input is everything that will be written to a pipe on stdin, where that is known.
    """
    given = argv[0] if argv else None
    argv = [os.fsencode(a) for a in argv]
    executables = [os.fsencode(e) for e in executables]
    directory = b"" if cwd is None else os.fsencode(cwd)
    size = len(input or b"")
    for item in (*argv, *executables, directory, *(env or ())):
        if b"\0" in item:
            raise ValueError("embedded null byte")
        size += len(item) + 8
    if cwd is not None and not directory:
        raise OSError(2, os.strerror(2), cwd)
    if size > _MAX_REQUEST or len(argv) > 60000:
        raise OSError(7, os.strerror(7), os.fsdecode(argv[0]))
    reply = _gateway.ask(
        b"start",
        _line(),
        stdin,
        stdout,
        stderr,
        _list(argv),
        _list(executables),
        _list([]) if env is None else _list([_list(env)]),
        directory,
        _list([]) if input is None else _list([input]),
        _list(pass_fds),
    )
    if reply[0] == b"ok":
        return int.from_bytes(reply[1], "little")
    errno = int.from_bytes(reply[1], "little")
    reason = reply[2].decode("utf-8", "backslashreplace") or os.strerror(errno)
    blamed = _blamed(argv[0], executables, directory)
    raise OSError(errno, reason, given if blamed == argv[0] else os.fsdecode(blamed))


def _blamed(name, executables, directory):
    """The file name that CPython puts in the error: as the script gave it, not as PATH was searched for it."""
    if directory and not os.path.isdir(directory):
        return directory
    if b"/" not in name and all(os.path.basename(e) == name for e in executables):
        return name
    if len(executables) > 1:  # executable= without a directory
        return os.path.basename(executables[-1])
    return executables[-1]


def _known_input():
    """What subprocess.run(input=...) is about to write, so that a human can see it before the command starts."""
    frame = sys._getframe(1)
    for _ in range(8):
        frame = frame.f_back
        if frame is None:
            return None
        if frame.f_code.co_name == "run" and frame.f_globals.get("__name__") == "subprocess":
            break
    else:
        return None
    data = frame.f_locals.get("input")
    if isinstance(data, str):
        options = frame.f_locals.get("kwargs", {})
        try:
            data = data.encode(options.get("encoding") or "utf-8", options.get("errors") or "strict")
        except (LookupError, UnicodeError):
            return None
    if data is None:
        return None
    try:
        data = bytes(data)
    except TypeError:
        return None
    return data if len(data) <= 1 << 20 else None


def _current_env(current=sys.modules["posix"]._create_environ):
    """The environment of the process, which os.putenv changes past os.environ."""
    return [key + b"=" + value for key, value in current().items()]


def _fork_exec(
    args,
    executable_list,
    close_fds,
    pass_fds,
    cwd,
    env,
    p2cread,
    p2cwrite,
    c2pread,
    c2pwrite,
    errread,
    errwrite,
    errpipe_read,
    errpipe_write,
    restore_signals,
    start_new_session,
    process_group,
    gid,
    extra_groups,
    uid,
    umask,
    preexec_fn,
):
    """Stand in for _posixsubprocess.fork_exec, CPython 3.14."""
    effects = _effects(preexec_fn, umask)
    if gid is not None or extra_groups is not None or uid is not None:
        raise PermissionError(1, "commands run as the user that the gateway's operator chose")
    if process_group > 0:
        raise PermissionError(1, "each command leads a process group of its own; it cannot join another one")
    pass_fds = [fd for fd in pass_fds if fd > 2 and fd != errpipe_write]
    if pass_fds and not _is_interpreter(executable_list):
        raise NotImplementedError(
            "pass_fds does not work in the Shannot sandbox: a command runs on the target and gets stdin, stdout and stderr alone"
        )
    environment = _current_env() if env is None else list(env)
    start = _start
    if effects is not None:
        if effects.cwd is not None:
            cwd = os.path.join(os.fsdecode(cwd or b""), effects.cwd)
        if effects.umask is not None and _is_interpreter(executable_list):
            start, effects.umask = _masked(effects.umask), None
        if not effects.plain():
            args, executable_list = _wrapped(effects, args, executable_list, environment)
    return start(
        args,
        executable_list,
        environment,
        cwd,
        _inherited(0) if p2cread == -1 else p2cread,
        _inherited(1) if c2pwrite == -1 else c2pwrite,
        _inherited(2) if errwrite == -1 else errwrite,
        None if p2cread == -1 else _known_input(),
        pass_fds,
    )


def _effects(preexec_fn, umask):
    """What is to be done before a command starts, or None. In a child preexec_fn comes after what umask= asks for."""
    if preexec_fn is None and umask == -1:
        return None
    import _shannot_preexec

    effects = _shannot_preexec.Effects() if preexec_fn is None else _shannot_preexec.understand(preexec_fn)
    if umask != -1 and effects.umask is None:
        effects.umask = umask
    return effects


def _masked(mask):
    """_start of an interpreter, which begins with the file mode creation mask of the one that starts it."""

    def start(*args):
        before = os.umask(mask)
        try:
            return _start(*args)
        finally:
            os.umask(before)

    return start


def _wrapped(effects, args, executables, environment):
    """The command line that has the target do all this, and where its program may be."""
    if _is_interpreter(executables):
        raise PermissionError(1, "an interpreter in the sandbox runs with the signals, the limits and the priority of the script")
    args = list(map(os.fsdecode, args))
    executables = list(map(os.fsdecode, executables))
    if not any(map(os.path.exists, executables)):
        return args, executables  # the error is that of the command itself
    if len(executables) == 1:
        args[0] = executables[0]
    args = effects.wrap(args)
    path = dict(e.split(b"=", 1) for e in environment if b"=" in e)
    return args, _candidates(args[0], path)


def _inherited(fd):
    """A standard stream as a child would have it, or -1: one that is closed, or would be at the exec, it has not."""
    try:
        return fd if os.get_inheritable(fd) else -1
    except OSError:
        return -1


def _is_interpreter(executables):
    """Whether this is sys.executable, which runs in the sandbox and so can be passed anything."""
    return os.path.realpath(os.fsdecode(executables[0])) == sys.executable


def _system(command):
    """Stand in for os.system."""
    sys.audit("os.system", os.fsencode(command))
    try:
        pid = _start(
            ["sh", "-c", command], ["/bin/sh"], _current_env(), None, _inherited(0), _inherited(1), _inherited(2)
        )
    except PermissionError as error:
        # What a shell says and answers when it may not run something.
        os.write(2, f"sh: {error.strerror}\n".encode())
        return 126 << 8
    except OSError:
        return 127 << 8
    return os.waitpid(pid, 0)[1]


def _candidates(file, env):
    file = os.fsencode(file)
    if os.path.dirname(file):
        return [file]
    return [os.path.join(os.fsencode(d), file) for d in os.get_exec_path(env)]


def _environment(env):
    if env is None:
        return _current_env()
    out = []
    for key, value in env.items():
        key = os.fsencode(key)
        if not key or b"=" in key:
            raise ValueError("illegal environment variable name")
        out.append(key + b"=" + os.fsencode(value))
    return out


def _arguments(what, argv):
    """Refuse what CPython refuses: a program is given its name at least."""
    if not isinstance(argv, (list, tuple)):
        raise TypeError(f"{what} must be a tuple or list")
    if not argv:
        raise ValueError(f"{what} must not be empty")
    if not argv[0]:
        raise ValueError(f"{what} first element cannot be empty")
    return argv


def _signals(numbers):
    """Refuse what is no set of signals. What the set is for means nothing here: a command has the target's defaults."""
    for number in numbers:
        if not 1 <= index(number) <= 64:
            raise ValueError(f"signal number {number} out of range [1; 64]")


def _apply_actions(file_actions):
    """Work out which descriptors a posix_spawn child would have as its standard streams."""
    fds = {fd: _inherited(fd) for fd in (0, 1, 2)}
    opened = []
    try:
        for action in file_actions or ():
            _apply_action(action, fds, opened)
    except BaseException:
        for fd in opened:
            os.close(fd)
        raise
    return fds, opened


def _apply_action(action, fds, opened):
    if not isinstance(action, tuple) or not action:
        raise TypeError("Each file_actions element must be a non-empty tuple")
    kind, *values = action
    name, count = _ACTIONS.get(index(kind), (None, 0))
    if name is None:
        raise TypeError("Unknown file_actions identifier")
    if len(action) != count:
        raise TypeError(f"A {name} file_action tuple must have {count} elements")
    if name == "open":
        fd, path, flags, mode = values
        fd = index(fd)
        fds[fd] = os.open(path, flags, mode)
        opened.append(fds[fd])
        return
    values = [index(v) for v in values]
    if name == "close":
        fds[values[0]] = -1
    elif name == "dup2":
        fds[values[1]] = fds.get(values[0], values[0])
    else:
        fds.update({fd: -1 for fd in range(max(values[0], 0), 3)})


# What posix_spawn can do with descriptors: the name in CPython's errors, and the length of the tuple.
_ACTIONS = {os.POSIX_SPAWN_OPEN: ("open", 5), os.POSIX_SPAWN_CLOSE: ("close", 2), os.POSIX_SPAWN_DUP2: ("dup2", 3)}
if hasattr(os, "POSIX_SPAWN_CLOSEFROM"):
    _ACTIONS[os.POSIX_SPAWN_CLOSEFROM] = ("closefrom", 2)


def _spawn(path, argv, env, /, **options):
    """Stand in for os.posix_spawn."""
    return _posix_spawn([_unsearched(path)], argv, env, **options)


def _spawnp(path, argv, env, /, **options):
    """Stand in for os.posix_spawnp."""
    return _posix_spawn(_candidates(path, None), argv, env, function="posix_spawnp", **options)


def _unsearched(path):
    """A file for a call that does not look along PATH, as the gateway would for a name without a directory."""
    path = os.fsencode(path)
    return path if b"/" in path or not path else b"./" + path


def _posix_spawn(
    executables,
    argv,
    env,
    *,
    function="posix_spawn",
    file_actions=None,
    setpgroup=None,
    resetids=False,
    setsid=False,
    setsigmask=(),
    setsigdef=(),
    scheduler=None,
):
    """Start a command. Its signals are the target's defaults, and it leads a group and a session of its own anyway."""
    argv = _arguments(function + ": argv", argv)
    _signals(setsigmask)
    _signals(setsigdef)
    if setpgroup:
        raise PermissionError(1, "each command leads a process group of its own; it cannot join another one")
    if scheduler is not None:
        raise PermissionError(1, "commands run with the scheduling of the target")
    fds, opened = _apply_actions(file_actions)
    try:
        known = _known_input() if fds[0] != 0 else None
        return _start(argv, executables, _environment(env), None, fds[0], fds[1], fds[2], known)
    finally:
        for fd in opened:
            os.close(fd)


def _become(argv, executables, env, named):
    """An exec: the command takes the script's place, so wait for it and end as it ends. Its errors may have the file's name."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, ValueError, OSError):
            pass
    try:
        pid = _start(argv, executables, env, None, _inherited(0), _inherited(1), _inherited(2))
    except OSError as e:
        if named:
            raise
        raise OSError(e.errno, e.strerror) from None
    status = os.waitpid(pid, 0)[1]
    os._exit(os.waitstatus_to_exitcode(status) if not os.WIFSIGNALED(status) else 128 + os.WTERMSIG(status))


def _execv(path, argv):
    _become(_arguments("execv() arg 2", argv), [_unsearched(path)], _current_env(), False)


def _execve(path, argv, env):
    _become(_arguments("execve: argv", argv), [_unsearched(path)], _environment(env), True)


def _spawnvef(mode, file, args, env, func):
    """Stand in for the function behind os.spawn*, which forks."""
    if mode not in (os.P_WAIT, os.P_NOWAIT):
        raise ValueError("invalid spawn mode")
    args = _arguments("argv", args)
    executables = _candidates(file, env) if func in (os.execvp, os.execvpe) else [_unsearched(file)]
    environment = _current_env() if env is None else _environment(env)
    pid = _start(args, executables, environment, None, _inherited(0), _inherited(1), _inherited(2))
    if mode == os.P_NOWAIT:
        return pid
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _fork():
    raise PermissionError(1, "os.fork does not work in the Shannot sandbox; use subprocess or threading")


_NO_TERMINAL = "there are no pseudo-terminals in the Shannot sandbox: commands run without one; use subprocess"


def _forkpty():
    raise PermissionError(1, _NO_TERMINAL)


def _openpty():
    # Not an OSError, after which the pty module would look for a device.
    raise RuntimeError(_NO_TERMINAL)


def _limit_of(error):
    """Which limit of the sandbox an error is about, or None."""
    if isinstance(error, MemoryError):
        return b"memory"
    if isinstance(error, RuntimeError) and "can't start new thread" in str(error):
        return b"threads"
    if isinstance(error, OSError):
        if isinstance(error, BlockingIOError) and "limits.processes" in str(error):
            return b"processes"
        import errno

        return {
            errno.EMFILE: b"files",
            errno.ENFILE: b"objects",
            errno.ENOSPC: b"write",
            errno.EFBIG: b"write",
        }.get(error.errno)
    return None


def _say_limit():
    """At the end: where an uncaught error of a limit ends the script, the limit is what its end is called after."""
    limit = _limit_of(getattr(sys, "last_exc", None))
    if limit is None or hasattr(sys, "ps1"):
        return
    try:
        _gateway.ask(b"limit", limit)
    except OSError:
        os.closerange(3, 64)  # there may be no descriptor left to say it with
        try:
            _gateway.ask(b"limit", limit)
        except OSError:
            pass


class _Library:
    """The byte code of the whole standard library in one file, made by bundle.py.

    To find and load a module, Python asks the kernel about eight questions, each of which the gateway answers. The library
    never changes, so that one file tells all that is in it.
    """

    def __init__(self):
        self.root = os.path.dirname(os.__file__)
        self._content = self._places = None

    def open(self):
        import mmap

        fd = os.open(self.root + ".code", os.O_RDONLY | os.O_CLOEXEC)
        try:
            content = memoryview(mmap.mmap(fd, 0, prot=mmap.PROT_READ, trackfd=False))
        finally:
            os.close(fd)
        begin = 8 + int.from_bytes(content[:8], "little")
        places = marshal.loads(content[8:begin])
        self._content, self._places = content[begin:], places

    def place(self, source):
        """Where the code of a module is, or None, by the path of its source."""
        if not source.startswith(self.root + "/"):
            return None
        if self._places is None:
            self.open()
        return self._places.get(source[len(self.root) + 1 :])

    def code(self, begin, size):
        return marshal.loads(self._content[begin : begin + size])

    def hook(self, path):
        """Find the modules of the library's directories, wherever in sys.path they are."""
        if path != self.root and not self.place(path + "/__init__.py"):
            raise ImportError("not of the library", path=path)
        return _LibraryFinder(path, *_importing._get_supported_file_loaders())

    def install(self):
        sys.path_hooks.insert(0, self.hook)
        for path in list(sys.path_importer_cache):
            if path.startswith(self.root):
                del sys.path_importer_cache[path]


class _LibraryFinder(_importing.FileFinder):
    def find_spec(self, fullname, target=None):
        base = self.path + "/" + fullname.rpartition(".")[2]
        for source, inside in ((base + "/__init__.py", [base]), (base + ".py", None)):
            if _library.place(source):
                loader = _LibraryLoader(fullname, source)
                return _importing.spec_from_file_location(fullname, source, loader=loader, submodule_search_locations=inside)
        return None


class _LibraryLoader(_importing.SourceFileLoader):
    def get_code(self, fullname):
        place = _library.place(self.path)
        return _library.code(*place) if place else super().get_code(fullname)


_library = _Library()


# The script that came on standard input, once more.
_SCRIPT = "/dev/shannot-script.py"


def _spawn_by_default(reduction):
    """Make multiprocessing's start method spawn: forkserver, the default, forks and passes descriptors over sockets."""
    reduction.HAVE_SEND_HANDLE = False


def _have_script(spawn):
    """Let further processes have the functions of a script on standard input, as they have those of one in a file."""
    prepare = spawn.get_preparation_data

    def get_preparation_data(name):
        data = prepare(name)
        if os.path.basename(data.get("init_main_from_path", "")) == "<stdin>":
            del data["init_main_from_path"]
            if os.path.exists(_SCRIPT):  # not where somebody types
                data["init_main_from_path"] = _SCRIPT
                with open(_SCRIPT, encoding="utf-8") as f:
                    if "__main__" not in f.read():
                        # Python would find out when the process has run all that comes before, commands included.
                        raise RuntimeError(
                            "each process of multiprocessing runs the script from its beginning: put what only the first"
                            ' may do under if __name__ == "__main__":'
                        )
        return data

    spawn.get_preparation_data = get_preparation_data


def _without_managers(managers):
    """Say why there is no Manager, before it starts a process that could not."""

    def refuse(self, *args, **options):
        raise PermissionError(
            1,
            "multiprocessing's managers serve on sockets, which do not exist in the Shannot sandbox;"
            " Queue, Pipe, Value, Array, Lock and shared_memory work",
        )

    managers.BaseManager.start = managers.BaseManager.get_server = managers.BaseManager.connect = refuse


_NO_NETWORK = (
    "there is no network in the Shannot sandbox: start a command on the target that has one, such as"
    " subprocess.run(['curl', URL]), ['getent', 'hosts', NAME] or ['nc', HOST, PORT]"
)


def _say_no_network(socket):
    """Say why there are no connections and no names, where the C library only says that something failed."""
    begin = socket.socket.__init__

    def __init__(self, family=-1, type=-1, proto=-1, fileno=None):
        try:
            begin(self, family, type, proto, fileno)
        except PermissionError:
            raise PermissionError(1, _NO_NETWORK) from None

    __init__.__doc__ = begin.__doc__
    socket.socket.__init__ = __init__

    def say(function):
        def resolve(*args, **options):
            try:
                return function(*args, **options)  # what the target's files know needs no network
            except (socket.gaierror, socket.herror) as error:
                raise type(error)(error.errno, _NO_NETWORK) from None

        resolve.__name__ = resolve.__qualname__ = function.__name__
        resolve.__doc__, resolve.__wrapped__ = function.__doc__, function
        return resolve

    for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex", "gethostbyaddr", "getnameinfo"):
        setattr(socket, name, say(getattr(socket, name)))


# Functions that make one system call which no signal interrupts in the kernel, and so do not call again.
_UNINTERRUPTED = (
    "chdir chmod chown copy_file_range dup dup2 fchdir fstatvfs getcwd getcwdb lchown link listdir lstat mkdir pipe pipe2 readlink"
    " remove rename replace rmdir scandir sched_getaffinity stat statvfs symlink truncate uname unlink utime"
)
_UNFAILING = "getuid geteuid getgid getegid getppid umask"
_MOST_IDS = 0xFFFFF000  # beyond are numbers of errors, which the C library passes on for an id


def _restart(os, posix):
    """Call again what a signal interrupts: here a call waits for the gateway, and a handler may run before it is taken up.

    Python runs the handler in between, as it does after a call that has ended.
    """
    ways = dict.fromkeys(_UNINTERRUPTED.split(), _calling_again) | dict.fromkeys(_UNFAILING.split(), _asking_again)
    for name, way in (ways | {"access": _looking_again}).items():
        original = getattr(posix, name, None)
        if original is None:
            continue
        again = way(original)
        again.__name__ = again.__qualname__ = name
        again.__module__, again.__doc__, again.__wrapped__ = "posix", original.__doc__, original
        again = staticmethod(again)
        setattr(os, name, again)
        setattr(posix, name, again)
        for able in (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks, os.supports_effective_ids):
            if original in able:
                able.add(again)


def _calling_again(function):
    def call(*args, **options):
        while True:
            try:
                return function(*args, **options)
            except InterruptedError:
                pass

    return call


def _asking_again(function):
    """The same for calls that cannot fail, of which nobody looks for an error."""

    def call(*args):
        while True:
            try:
                value = function(*args)
            except OSError:
                continue
            if 0 <= value < _MOST_IDS:
                return value

    return call


def _looking_again(function):
    """The same for access, which is false whatever the error is: what is false is asked once more, while no signal can come."""
    import _signal

    def call(*args, **options):
        if function(*args, **options):
            return True
        before = _signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals())
        try:
            return function(*args, **options)
        finally:
            _signal.pthread_sigmask(_signal.SIG_SETMASK, before)

    return call


_STAND_INS = (staticmethod, type(_gateway.ask))  # of the types of what _install puts into the posix module


def _know_ours(inspect):
    """Let what stands in for functions of the posix module be what these are, built in, for who asks and documents."""
    isbuiltin = inspect.isbuiltin
    posix = vars(sys.modules["posix"])

    def replaced(object):
        if isbuiltin(object):
            return True
        return type(object) in _STAND_INS and posix.get(object.__name__) is object

    replaced.__name__ = replaced.__qualname__ = "isbuiltin"
    replaced.__module__, replaced.__doc__ = "inspect", isbuiltin.__doc__
    inspect.isbuiltin = replaced


class _Adapted:
    """Changes modules when they are imported. It stands at the front of sys.meta_path until all of them are."""

    changes = {
        "multiprocessing.reduction": _spawn_by_default,
        "multiprocessing.spawn": _have_script,
        "multiprocessing.managers": _without_managers,
        "inspect": _know_ours,
        "socket": _say_no_network,
    }

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        change = cls.changes.pop(name, None)
        if change is None:
            return None
        if not cls.changes:
            sys.meta_path.remove(cls)
        spec = _importing.PathFinder.find_spec(name, path, target)
        if spec is not None:
            run = spec.loader.exec_module

            def exec_module(module):
                run(module)
                change(module)

            spec.loader.exec_module = exec_module
        return spec


def _wait():
    """Wait for a session, having been started ahead of it. Everything that Python knows of the target comes only now."""
    import time

    _library.open()
    given = iter(_gateway.ask(b"wait"))
    args = [os.fsdecode(next(given)) for _ in range(int(next(given)))]
    _gateway.hang_up()
    sys.argv.extend(args)
    sys.orig_argv.extend(args)
    environ = sys.modules["posix"].environ
    os.environb.clear()
    environ.clear()
    for entry in given:
        name, _, value = entry.partition(b"=")
        os.environb[name] = environ[name] = value
    time.tzset()  # from the target's /etc/localtime


def _install():
    _posixsubprocess.fork_exec = _fork_exec
    os._spawnvef = _spawnvef
    # The posix module is what os re-exports; keep both the same. A static method is called as the function it stands for,
    # and like a built-in one does not become a method where a class takes it for an attribute.
    posix = sys.modules["posix"]
    for name, function in (
        ("system", _system),
        ("posix_spawn", _spawn),
        ("posix_spawnp", _spawnp),
        ("execv", _execv),
        ("execve", _execve),
        ("fork", _fork),
        ("forkpty", _forkpty),
        ("openpty", _openpty),
    ):
        function.__name__ = function.__qualname__ = name
        function.__module__ = "posix"
        function = staticmethod(function)
        setattr(os, name, function)
        setattr(posix, name, function)
    _restart(os, posix)
    import atexit

    atexit.register(_say_limit)
    _library.install()
    sys.meta_path.insert(0, _Adapted)
    import _shannot_readdirplus

    _shannot_readdirplus.install(os)
    # Lines appear as they are printed, in order with what commands print.
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.reconfigure(line_buffering=True)
    # Set for the C library alone; it has read it by now.
    os.environ.pop("MALLOC_ARENA_MAX", None)
    if os.environ.pop("SHANNOT_WAIT", None):
        _wait()


_install()
