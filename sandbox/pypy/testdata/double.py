"""Stand in for a pypy-sandbox: an ordinary Python whose os functions ask the controller, as protocol 20001 has it.

    python3 -I -S double.py GUEST -c CODE    or    - with the script from the controlled standard input

GUEST is the directory of the guest's modules. What the interpreter itself does (imports, its own memory) is its own;
everything that a script does through os, open and print goes over the two pipes, from a memory of its own.
"""

import builtins
import errno
import io
import os
import struct
import sys
import time

_read, _write, _exit, posix_listdir = os.read, os.write, os._exit, os.listdir

BASE = 0x10000
memory = bytearray(1 << 16)
used = 0


def alloc(data):
    global used
    at = used
    used += (len(data) + 15) & ~15
    while used > len(memory):
        memory.extend(bytes(len(memory)))
    memory[at : at + len(data)] = data
    return BASE + at


def text(s):
    return alloc(os.fsencode(s) + b"\0")


def at(address, size):
    if not BASE <= address <= address + size <= BASE + len(memory):
        os.abort()
    return address - BASE


def peek(address, size):
    start = at(address, size)
    return bytes(memory[start : start + size])


def cstring(address):
    start = at(address, 0)
    return bytes(memory[start : memory.index(0, start)])


def take(size):
    data = b""
    while len(data) < size:
        more = _read(0, size - len(data))
        if not more:
            _exit(125)
        data += more
    return data


def put(data):
    while data:
        data = data[_write(1, data) :]


def word():
    return struct.unpack("<Q", take(8))[0]


last_errno = 0


def call(signature, *args):
    """Make a call and return its result as a signed number; last_errno is what the controller said of it."""
    global last_errno, used
    last_errno = 0
    name = signature.encode()
    put(bytes([len(name)]) + name + b"".join(struct.pack("<Q", a & (1 << 64) - 1) for a in args))
    while True:
        letter = take(1)
        if letter == b"R":
            address, size = word(), word()
            put(peek(address, size))
        elif letter == b"Z":
            address, most = word(), word()
            found = cstring(address)[:most]
            put(struct.pack("<Q", len(found)) + found)
        elif letter == b"W":
            address, size = word(), word()
            data = take(size)
            start = at(address, size)
            memory[start : start + size] = data
        elif letter == b"M":
            put(struct.pack("<Q", alloc(take(word()))))
        elif letter == b"F":
            word()
        elif letter == b"E":
            last_errno = struct.unpack("<i", take(4))[0]
        elif letter == b"v":
            return None
        else:
            return struct.unpack("<q", take(8))[0]


def check(signature, *args, name=None, name2=None):
    """Make a call that is an error where it says -1 or NULL with an errno."""
    result = call(signature, *args)
    if last_errno and result in (-1, 0):
        if name2 is not None:
            raise OSError(last_errno, os.strerror(last_errno), name, None, name2)
        raise OSError(last_errno, os.strerror(last_errno), name)
    return result


kept = 0  # below it lies what the controller keeps: strings, streams


def os_open(path, flags, mode=0o777, *, dir_fd=None):
    if dir_fd is not None:
        return check("openat(ipii)i", dir_fd, text(path), flags, mode, name=path)
    return check("open(pii)i", text(path), flags, mode, name=path)


def os_close(fd):
    check("close(i)i", fd)


def os_read(fd, n):
    buffer = alloc(bytes(n))
    return peek(buffer, check("read(ipi)i", fd, buffer, n))


def os_write(fd, data):
    data = bytes(data)
    return check("write(ipi)i", fd, alloc(data), len(data))


def os_pipe():
    pair = alloc(bytes(8))
    check("pipe(p)i", pair)
    return struct.unpack("<ii", peek(pair, 8))


def os_waitpid(pid, options):
    status = alloc(bytes(4))
    got = check("waitpid(ipi)i", pid, status, options)
    return got, struct.unpack("<i", peek(status, 4))[0]


class Stat(tuple):
    """What of os.stat_result the scripts use."""

    names = ("st_mode", "st_ino", "st_dev", "st_nlink", "st_uid", "st_gid", "st_size", "st_atime", "st_mtime", "st_ctime",
             "st_blksize", "st_blocks", "st_atime_ns", "st_mtime_ns")

    def __getattr__(self, name):
        try:
            return self[Stat.names.index(name)]
        except ValueError:
            raise AttributeError(name) from None


def stat_of(address):
    p = peek(address, 144)
    if os.uname().machine == "aarch64":
        dev, ino, mode, nlink, uid, gid, _, _, size, blksize, _, blocks, a, an, m, mn, c, _ = struct.unpack("<QQIIIIQQQIIQqqqqqq", p[:120])
    else:
        dev, ino, nlink, mode, uid, gid, _, _, size, blksize, blocks, a, an, m, mn, c, _ = struct.unpack("<QQQIIIIQQQQqqqqqq", p[:120])
    return Stat((mode, ino, dev, nlink, uid, gid, size, a + an / 1e9, m + mn / 1e9, float(c), blksize, blocks, a * 10**9 + an, m * 10**9 + mn))


def os_stat(path, *, dir_fd=None, follow_symlinks=True):
    out = alloc(bytes(144))
    if isinstance(path, int):
        check("fstat64(ip)i", path, out)
    elif dir_fd is not None:
        check("fstatat64(ippi)i", dir_fd, text(path), out, 0 if follow_symlinks else 0x100, name=path)
    else:
        check("stat64(pp)i" if follow_symlinks else "lstat64(pp)i", text(path), out, name=path)
    return stat_of(out)


def os_lstat(path, *, dir_fd=None):
    return os_stat(path, dir_fd=dir_fd, follow_symlinks=False)


def entries(path):
    if isinstance(path, int):
        stream = check("fdopendir(i)p", call("dup(i)i", path))
    else:
        stream = check("opendir(p)p", text(path), name=path)
    global kept
    kept, before = used, kept
    out = []
    while True:
        entry = check("readdir(p)p", stream)
        if not entry:
            break
        name = os.fsdecode(cstring(entry + 19))
        if name not in (".", ".."):
            out.append((name, peek(entry + 18, 1)[0]))
    check("closedir(p)i", stream)
    kept = before
    return out


def os_listdir(path="."):
    return [name for name, _ in entries(path)]


class Entry:
    def __init__(self, dir, name, kind):
        self.name, self._kind = name, kind
        self.path = os.path.join(dir, name) if not isinstance(dir, int) else name

    def stat(self, *, follow_symlinks=True):
        return os_stat(self.path, follow_symlinks=follow_symlinks)

    def _is(self, kind, test, follow):
        if self._kind == 10 and follow:
            try:
                return test(os_stat(self.path).st_mode)
            except OSError:
                return False
        return self._kind == kind

    def is_dir(self, *, follow_symlinks=True):
        import stat

        return self._is(4, stat.S_ISDIR, follow_symlinks)

    def is_file(self, *, follow_symlinks=True):
        import stat

        return self._is(8, stat.S_ISREG, follow_symlinks)

    def is_symlink(self):
        return self._kind == 10

    def is_junction(self):
        return False

    def __fspath__(self):
        return self.path


class os_scandir:
    def __init__(self, path="."):
        dir = path if isinstance(path, int) else os.fspath(path)
        self.found = iter([Entry(dir, name, kind) for name, kind in entries(path)])

    def __iter__(self):
        return self.found

    def __next__(self):
        return next(self.found)

    def __enter__(self):
        return self

    def __exit__(self, *args):
        pass

    def close(self):
        pass


def os_mkdir(path, mode=0o777, *, dir_fd=None):
    check("mkdir(pi)i", text(path), mode, name=path)


def os_unlink(path, *, dir_fd=None):
    if dir_fd is not None:
        check("unlinkat(ipi)i", dir_fd, text(path), 0, name=path)
    else:
        check("unlink(p)i", text(path), name=path)


def os_rmdir(path, *, dir_fd=None):
    if dir_fd is not None:
        check("unlinkat(ipi)i", dir_fd, text(path), 0x200, name=path)
    else:
        check("rmdir(p)i", text(path), name=path)


def two(signature):
    def function(src, dst, **kwargs):
        check(signature, text(src), text(dst), name=src, name2=dst)

    return function


def os_readlink(path, *, dir_fd=None):
    out = alloc(bytes(4096))
    return os.fsdecode(peek(out, check("readlink(ppi)i", text(path), out, 4096, name=path)))


def os_getcwd():
    out = alloc(bytes(4096))
    check("getcwd(pi)p", out, 4096)
    return os.fsdecode(cstring(out))


def os_access(path, mode, **kwargs):
    return call("access(pi)i", text(path), mode) == 0


def os_chdir(path):
    if isinstance(path, int):
        check("fchdir(i)i", path)
    else:
        check("chdir(p)i", text(path), name=path)


def os_chmod(path, mode, **kwargs):
    check("chmod(pi)i", text(path), mode, name=path)


def os_utime(path, times=None, *, ns=None, **kwargs):
    if ns is None and times is not None:
        ns = [int(t * 10**9) for t in times]
    spec = 0 if ns is None else alloc(struct.pack("<qqqq", *[x for t in ns for x in divmod(t, 10**9)]))
    check("utimensat(ippi)i", -100, text(path), spec, 0, name=path)


class Uname(tuple):
    sysname, nodename, release, version, machine = (property(lambda self, i=i: self[i]) for i in range(5))


def os_uname():
    out = alloc(bytes(390))
    check("uname(p)i", out)
    return Uname(cstring(out + 65 * i).decode() for i in range(5))


class Statvfs:
    def __init__(self, p):
        (self.f_bsize, self.f_frsize, self.f_blocks, self.f_bfree, self.f_bavail) = struct.unpack("<QQQQQ", p[:40])
        self.f_flag, self.f_namemax = struct.unpack("<QQ", p[72:88])


def os_statvfs(path):
    out = alloc(bytes(112))
    check("statvfs(pp)i", text(path), out, name=path)
    return Statvfs(peek(out, 112))


def os_fstatvfs(fd):
    out = alloc(bytes(112))
    check("fstatvfs(ip)i", fd, out)
    return Statvfs(peek(out, 112))


def os_pread(fd, n, offset):
    buffer = alloc(bytes(n))
    return peek(buffer, check("pread(ipii)i", fd, buffer, n, offset))


def os_lseek(fd, offset, whence):
    return check("lseek(iii)i", fd, offset, whence)


def os_isatty(fd):
    return call("isatty(i)i", fd) == 1


def os_dup(fd):
    return check("dup(i)i", fd)


def os_kill(pid, sig):
    check("kill(ii)i", pid, int(sig))


def os_set_blocking(fd, blocking):
    check("rpy_set_status_flags(ii)i", fd, 0 if blocking else os.O_NONBLOCK)


def os_system(command):
    return check("system(p)i", text(command))


def sleep(seconds):
    check("select(ipppp)i", 0, 0, 0, 0, alloc(struct.pack("<qq", int(seconds), int(seconds % 1 * 1e6))))


def os_exit(status):
    call("_exit(i)v", status)


class Raw(io.RawIOBase):
    """A descriptor of the controller's as a raw file."""

    def __init__(self, fd, mode, closefd=True, name=None):
        self._fd, self._mode, self._closefd, self.name = fd, mode, closefd, fd if name is None else name

    def fileno(self):
        if self.closed:
            raise ValueError("I/O operation on closed file")
        return self._fd

    def readable(self):
        return "r" in self._mode or "+" in self._mode

    def writable(self):
        return self._mode != "r"

    def seekable(self):
        try:
            os_lseek(self._fd, 0, 1)
            return True
        except OSError:
            return False

    def readinto(self, buffer):
        data = os_read(self._fd, min(len(buffer), 1 << 20))
        buffer[: len(data)] = data
        return len(data)

    def write(self, data):
        return os_write(self._fd, bytes(data)[: 1 << 20])

    def seek(self, offset, whence=0):
        return os_lseek(self._fd, offset, whence)

    def truncate(self, size=None):
        size = self.tell() if size is None else size
        check("ftruncate(ii)i", self._fd, size)
        return size

    def isatty(self):
        return os_isatty(self._fd)

    def close(self):
        if not self.closed:
            super().close()
            if self._closefd:
                os_close(self._fd)


def opener(file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, closefd=True, opener=None):
    kind = mode.replace("b", "").replace("t", "").replace("U", "") or "r"
    flags = {"r": os.O_RDONLY, "w": os.O_WRONLY | os.O_CREAT | os.O_TRUNC, "a": os.O_WRONLY | os.O_CREAT | os.O_APPEND,
             "x": os.O_WRONLY | os.O_CREAT | os.O_EXCL}[kind[0]]
    if "+" in kind:
        flags = flags & ~os.O_ACCMODE | os.O_RDWR
    if isinstance(file, int):
        fd, name = file, file
    else:
        name = os.fspath(file)
        fd = opener(name, flags) if opener else os_open(name, flags | os.O_CLOEXEC, 0o666)
    import stat

    if stat.S_ISDIR(os_stat(fd).st_mode):
        os_close(fd)
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), name)
    raw = Raw(fd, kind, closefd, name)
    if kind[0] == "a":
        os_lseek(fd, 0, 2)
    if buffering == 0:
        return raw
    size = buffering if buffering > 1 else io.DEFAULT_BUFFER_SIZE
    if "+" in kind and raw.seekable():
        buffer = io.BufferedRandom(raw, size)
    elif raw.readable():
        buffer = io.BufferedReader(raw, size)
    else:
        buffer = io.BufferedWriter(raw, size)
    if "b" in mode:
        return buffer
    out = io.TextIOWrapper(buffer, encoding or "utf-8", errors, newline, line_buffering=buffering == 1)
    out.mode = mode
    return out


def no_attributes(path, **kwargs):
    check("listxattr(ppi)i", text(path), 0, 0, name=path)


class Finder:
    """The guest's modules come before those that this Python has built in or frozen."""

    def __init__(self, guest):
        self.guest = guest
        self.names = {name[:-3] for name in posix_listdir(guest)}

    def find_spec(self, name, path=None, target=None):
        if name not in self.names:
            return None
        import importlib.util

        return importlib.util.spec_from_file_location(name, self.guest + "/" + name + ".py")


def environment():
    array, out = call("get_environ()p"), {}
    while True:
        entry = struct.unpack("<Q", peek(array, 8))[0]
        if not entry:
            return out
        key, _, value = cstring(entry).partition(b"=")
        out[os.fsdecode(key)] = os.fsdecode(value)
        array += 8


def short(function):
    """Give the memory of a call back when it ends."""

    def wrapped(*args, **kwargs):
        global used
        before = used
        try:
            return function(*args, **kwargs)
        finally:
            used = max(before, kept)

    return wrapped


def install():
    functions = {
        "open": os_open, "close": os_close, "read": os_read, "pread": os_pread, "write": os_write, "pipe": os_pipe, "waitpid": os_waitpid,
        "stat": os_stat, "lstat": os_lstat, "fstat": os_stat, "listdir": os_listdir, "scandir": None, "mkdir": os_mkdir,
        "unlink": os_unlink, "remove": os_unlink, "rmdir": os_rmdir, "rename": two("rename(pp)i"), "replace": two("rename(pp)i"),
        "link": two("link(pp)i"), "symlink": two("symlink(pp)i"), "readlink": os_readlink, "getcwd": os_getcwd,
        "access": os_access, "chdir": os_chdir, "fchdir": os_chdir, "chmod": os_chmod, "utime": os_utime, "uname": os_uname,
        "statvfs": os_statvfs, "fstatvfs": os_fstatvfs, "lseek": os_lseek, "isatty": os_isatty, "dup": os_dup, "kill": os_kill,
        "set_blocking": os_set_blocking, "system": os_system, "_exit": os_exit,
        "getpid": lambda: call("getpid()i"), "getuid": lambda: call("getuid()i"), "getgid": lambda: call("getgid()i"),
        "umask": lambda mask: call("umask(i)i", mask), "fsync": lambda fd: check("fsync(i)i", fd),
    }
    values = environment()
    os.environ.clear()
    os.environ.update(values)
    for name, function in functions.items():
        setattr(os, name, os_scandir if function is None else short(function))
    for name in ("supports_dir_fd", "supports_fd", "supports_follow_symlinks"):
        setattr(os, name, {os.open, os.stat, os.unlink, os.rmdir, os.scandir, os.listdir} if name != "supports_follow_symlinks" else {os.stat})
    os.listxattr = no_attributes
    for name in ("fork", "posix_spawn", "copy_file_range", "sendfile", "splice"):
        if hasattr(os, name):
            delattr(os, name)
    builtins.open = io.open = opener
    time.sleep = short(sleep)
    sys.stdin = io.TextIOWrapper(io.BufferedReader(Raw(0, "r", False, "<stdin>")), "utf-8")
    sys.stdout = sys.__stdout__ = io.TextIOWrapper(io.BufferedWriter(Raw(1, "w", False, "<stdout>")), "ascii")
    sys.stderr = sys.__stderr__ = io.TextIOWrapper(io.BufferedWriter(Raw(2, "w", False, "<stderr>")), "ascii", "backslashreplace")


def main():
    guest, args = sys.argv[1], sys.argv[2:]
    # Modules that would keep what is replaced here, or that this Python looks for with what is replaced here.
    import collections, datetime, fnmatch, functools, glob, json, pathlib, posixpath, random, re, shutil, stat, tempfile, textwrap, threading, traceback, weakref  # noqa

    for name in ("subprocess", "select", "selectors", "socket", "pwd", "grp", "hashlib", "_shannot", "site"):
        sys.modules.pop(name, None)
    install()
    for name in ("os", "nt"):
        for module in (shutil, tempfile, pathlib, glob):
            if getattr(module, name, None) is not None:
                setattr(module, name, os)
    shutil._USE_CP_SENDFILE = False
    shutil._use_fd_functions = False
    glob.os = os
    sys.meta_path.insert(0, Finder(guest))
    sys.dont_write_bytecode = True
    code = 0
    main_module = type(sys)("__main__")
    sys.modules["__main__"] = main_module
    main_module.__builtins__ = builtins
    try:
        # The finders of this Python ask its own os; the guest's modules are on its own disk.
        import site  # noqa

        if args[0] == "-c":
            sys.argv = ["-c"] + args[2:]
            source, name = args[1], "<string>"
        else:
            sys.argv = args
            source, name = sys.stdin.read(), "<stdin>"
        exec(compile(source, name, "exec"), main_module.__dict__)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
        if isinstance(error.code, str):
            sys.stderr.write(error.code + "\n")
    except BaseException as error:
        sys.last_type, sys.last_value, sys.last_traceback = type(error), error, error.__traceback__
        traceback.print_exc()
        code = 1
    import atexit

    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            pass
    _exit(code)


main()
