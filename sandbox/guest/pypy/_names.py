"""Make file names, arguments and the environment UTF-8 text, as they are on the targets.

A sandboxed PyPy takes them for ASCII, where a byte beyond it becomes half of a surrogate pair, and a name with such a
character is an error. The functions that take names are wrapped: what they are given is tried as it is, and else as the
bytes that UTF-8 makes of it; what they return is read as UTF-8. Bytes that are not UTF-8 stay as they were.
"""

import builtins
import io
import os
import sys

ENCODING, ERRORS = "utf-8", "surrogateescape"


def narrow(item):
    """Text as this interpreter can encode it: its UTF-8 bytes, each as a character of its own. Else the item itself."""
    if hasattr(item, "__fspath__"):
        item = item.__fspath__()
    if isinstance(item, str):
        try:
            item.encode("ascii", ERRORS)
        except UnicodeEncodeError:
            return item.encode(ENCODING, ERRORS).decode("ascii", ERRORS)
    return item


def widen(item):
    """The reverse of narrow."""
    if isinstance(item, str):
        try:
            item.encode("ascii")
        except UnicodeEncodeError:
            try:
                return item.encode("ascii", ERRORS).decode(ENCODING, ERRORS)
            except UnicodeEncodeError:
                pass  # text of a script's own
    return item


def encode(text):
    if not isinstance(text, str):
        raise TypeError("str expected, not %s" % type(text).__name__)
    return text.encode(ENCODING, ERRORS)


def decode(data):
    return data.decode(ENCODING, ERRORS)


def fsencode(filename):
    filename = os.fspath(filename)
    return filename.encode(ENCODING, ERRORS) if isinstance(filename, str) else filename


def fsdecode(filename):
    filename = os.fspath(filename)
    return filename.decode(ENCODING, ERRORS) if isinstance(filename, bytes) else filename


class Function(object):
    """A function that takes and returns names. It is no method of a class that it is put into, as builtins are none."""

    def __init__(self, call):
        self._call = call
        self.__name__ = self.__qualname__ = call.__name__
        self.__doc__ = call.__doc__
        self.__self__ = None

    def __repr__(self):
        return repr(self._call)

    def __call__(self, *args, **kwds):
        try:
            return self._call(*args, **kwds)
        except UnicodeEncodeError:
            pass
        try:
            return self._call(*[narrow(a) for a in args], **{k: narrow(v) for k, v in kwds.items()})
        except OSError as e:
            e.filename = widen(e.filename)
            if e.filename2 is not None:
                e.filename2 = widen(e.filename2)
            raise


class TextFunction(Function):
    """A function that returns a name, or a list of them."""

    def __call__(self, *args, **kwds):
        result = Function.__call__(self, *args, **kwds)
        if isinstance(result, list):
            return [widen(name) for name in result]
        return widen(result)


class Entry(object):
    """An os.DirEntry whose name is not ASCII."""

    def __init__(self, entry):
        self._entry = entry
        self.name, self.path = widen(entry.name), widen(entry.path)

    def __getattr__(self, name):
        return getattr(self._entry, name)

    def __fspath__(self):
        return self.path

    def __repr__(self):
        return "<DirEntry %r>" % self.name


class Entries(object):
    """What os.scandir returns."""

    def __init__(self, entries):
        self._entries = entries

    def __iter__(self):
        return self

    def __next__(self):
        entry = next(self._entries)
        if isinstance(entry.path, str):
            try:
                entry.path.encode("ascii")
            except UnicodeEncodeError:
                return Entry(entry)
        return entry

    def close(self):
        close = getattr(self._entries, "close", None)  # none in the older ones
        if close is not None:
            close()

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self.close()


class Scan(Function):
    def __call__(self, *args, **kwds):
        return Entries(Function.__call__(self, *args, **kwds))


_TAKE = (
    "access chdir chmod chown chroot lchown link lstat mkdir mkfifo mknod open pathconf remove rename replace rmdir stat "
    "statvfs symlink system truncate unlink utime putenv unsetenv getxattr setxattr removexattr listxattr"
)


def install():
    """Wrap the functions of os, and open."""
    wrapped = {}
    for names, kind in ((_TAKE, Function), ("listdir readlink getcwd", TextFunction), ("scandir", Scan)):
        for name in names.split():
            call = getattr(os, name, None)
            if call is not None:
                wrapped[call] = kind(call)
                setattr(os, name, wrapped[call])
    for name in dir(os):
        if name.startswith("supports_"):
            functions = getattr(os, name)
            if isinstance(functions, set):
                functions.update([wrapped[f] for f in functions if f in wrapped])
    builtins.open = io.open = Function(io.open)
    os.fsencode, os.fsdecode = fsencode, fsdecode
    sys.getfilesystemencoding = lambda: ENCODING
    variables = os.environ
    variables.encodekey = variables.encodevalue = encode
    variables.decodekey = variables.decodevalue = decode
    sys.argv[:] = [widen(a) for a in sys.argv]
