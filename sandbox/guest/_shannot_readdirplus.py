"""Walk directories without a question to the gateway for each file.

os.scandir and os.listdir ask one question for a directory, and os.stat and os.lstat of a listed name one for the names that
come next too. What was told ahead is handed out once, within milliseconds, and not after anything that may have changed a
file: the gateway tells of that in a page that is mapped here. Whatever is not told goes to Python's own function, and so
does everything that fails, so that errors are the kernel's words. Nothing here is a wall.
"""

import posix
import sys
from _struct import Struct
from _warnings import warn
from itertools import chain, repeat
from time import monotonic
from types import GenericAlias, MethodType

_GATEWAY = -0x5348  # what is read from to ask: the number of no descriptor
_ANSWER = 64 << 10  # bytes of an answer, but for directories with very many entries
_LONG_ANSWER = 4 << 20
_LIFETIME = 0.005  # seconds
_BLOCK = 64  # names of a listing that are asked about together
_LINKS = 256  # of which that is done where only links are
_AGAIN = 16  # names that are asked about where what was told of them was not used in time
_TOLD = 4096  # results that are kept
_LISTED = 64, 1 << 17  # directories and names in sum that are remembered

_LSTAT, _STAT, _TARGET = range(3)  # what is told of a name: itself, where it leads, and that of links alone
_RECORD = Struct("=10q3d6q")  # os.stat_result
_UNKNOWN, _DIRECTORY, _REGULAR, _LINK = 0, 4, 8, 10  # of d_type, see readdir(3)
_S_IFMT, _S_IFDIR, _S_IFREG = 0o170000, 0o040000, 0o100000

_scandir, _listdir, _stat, _lstat, _readv = posix.scandir, posix.listdir, posix.stat, posix.lstat, posix.readv
_result, _real_entry, _audit = posix.stat_result, posix.DirEntry, sys.audit
_encoding, _errors = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()


class _EntryType(type):
    """Entries that Python's own function listed are of its type, which a script knows as this one."""

    def __instancecheck__(cls, value):
        return cls.__subclasscheck__(type(value))

    def __subclasscheck__(cls, kind):
        return super().__subclasscheck__(kind) or cls is DirEntry and issubclass(kind, _real_entry)


class DirEntry(metaclass=_EntryType):
    """os.DirEntry of an entry that was listed here. See Modules/posixmodule.c for what it does. A script may call its functions
    with an entry of Python's own."""

    __slots__ = ("name", "path", "_type", "_inode", "_stat", "_lstat")
    __module__ = "posix"
    __class_getitem__ = classmethod(GenericAlias)

    def __new__(cls):
        raise TypeError("cannot create 'posix.DirEntry' instances")

    def __repr__(self):
        return f"<DirEntry {self.name!r}>"

    def __fspath__(self):
        return self.path

    def __reduce_ex__(self, protocol):
        raise TypeError("cannot pickle 'posix.DirEntry' object")

    def is_dir(self, *, follow_symlinks=True):
        if type(self) is _real_entry:
            return self.is_dir(follow_symlinks=follow_symlinks)
        kind = self._type
        if kind == _LINK and follow_symlinks:
            return self._leads_to(_S_IFDIR)
        return kind == _DIRECTORY

    def is_file(self, *, follow_symlinks=True):
        if type(self) is _real_entry:
            return self.is_file(follow_symlinks=follow_symlinks)
        kind = self._type
        if kind == _LINK and follow_symlinks:
            return self._leads_to(_S_IFREG)
        return kind == _REGULAR

    def is_symlink(self):
        if type(self) is _real_entry:
            return self.is_symlink()
        return self._type == _LINK

    def is_junction(self):
        return False

    def inode(self):
        if type(self) is _real_entry:
            return self.inode()
        return self._inode

    def stat(self, *, follow_symlinks=True):
        if type(self) is _real_entry:
            return self.stat(follow_symlinks=follow_symlinks)
        if follow_symlinks and self._type == _LINK:
            return self._target()
        try:
            return self._lstat
        except AttributeError:
            self._lstat = _walks.lstat(self.path)
            return self._lstat

    def _target(self):
        try:
            return self._stat
        except AttributeError:
            path = self.path
            told = _walks.told(_TARGET, path)
            self._stat = _stat(path) if told is None else _result(told)
            return self._stat

    def _leads_to(self, kind):
        try:
            return self._target().st_mode & _S_IFMT == kind
        except FileNotFoundError:
            return False


_new = object.__new__


def _entries(names, types, inodes, prefix):
    for name, kind, inode in zip(names, types, inodes):
        entry = _new(DirEntry)
        entry.name = name
        entry.path = prefix + name
        entry._type = kind
        entry._inode = inode
        yield entry


class ScandirIterator(chain):
    """What os.scandir returns. Going on to the next entry is C."""

    __module__ = "posix"

    def __new__(cls, entries):
        self = super().__new__(cls, entries)
        self._entries = entries
        return self

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._entries.close()

    def close(self):
        self._entries.close()

    def __del__(self):
        if self._entries.gi_frame is not None:
            warn(f"unclosed scandir iterator {self!r}", ResourceWarning, 2, self)

    def __reduce_ex__(self, protocol):
        raise TypeError("cannot pickle 'posix.ScandirIterator' object")


class _Listing:
    """The names of a directory as they were listed: they say only what may be asked next."""

    __slots__ = ("names", "types", "places", "asked")

    def __init__(self, names, types):
        self.names, self.types, self.places = names, types, None
        self.asked = set()  # what was asked about which block

    def place(self, name):
        if self.places is None:
            self.places = {name: i for i, name in enumerate(self.names)}
        return self.places.get(name, -1)



class _Walks:
    """What was told ahead, and the functions that hand it out."""

    def __init__(self, changes):
        self._changes = changes  # the first number is another one after a change
        # By what is told: by path the result, until when it is good, and before which change.
        self._told = {}, {}, {}
        self._listings = {}  # by the beginning of the paths of their files
        self._listed = 0
        self._buffers = []
        self._paths = set()  # types of paths that are their text and nothing more

    def __reduce__(self):
        """A pickle of os.stat, which is a method here, has the module's name in it, and can be read without the gateway."""
        import importlib

        return importlib.import_module, ("posix",)

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self

    def _ask(self, question, read):
        """Put a question. None where the gateway does not tell."""
        try:
            buffer = self._buffers.pop()
        except IndexError:
            buffer = bytearray(_ANSWER)
        question = bytearray(question)
        try:
            try:
                size = _readv(_GATEWAY, (question, buffer))
                return read(memoryview(buffer)[:size])
            except OSError as error:
                if error.errno != 7:  # E2BIG
                    return None
            finally:
                self._buffers.append(buffer)
            long = bytearray(_LONG_ANSWER)
            return read(memoryview(long)[: _readv(_GATEWAY, (question, long))])
        except OSError, MemoryError:
            return None

    def _text(self, path):
        """The text of a path, None where Python's own function has to look at it."""
        kind = type(path)
        if kind is str:
            return path
        if kind in self._paths:
            return str(path)
        pathlib = sys.modules.get("pathlib")
        pure = getattr(pathlib, "PurePath", None)
        if pure is not None and isinstance(path, pure) and kind.__fspath__ is pure.__fspath__ and kind.__str__ is pure.__str__:
            self._paths.add(kind)
            return str(path)
        return None

    def _list(self, path):
        text = "." if path is None else self._text(path)
        if not text or "\0" in text:
            return None
        try:
            question = b"d" + text.encode(_encoding, _errors)
        except UnicodeError:
            return None
        return self._ask(question, self._read_list)

    @staticmethod
    def _read_list(answer):
        count = int.from_bytes(answer[:8], sys.byteorder)
        inodes, types = 8 + 8 * count, 8 + 9 * count
        names = str(answer[types:], _encoding, _errors).split("\0") if count else []
        return names, bytes(answer[inodes:types]), answer[8:inodes].cast("Q").tolist()

    def _remember(self, text, names, types):
        """Keep the names for what is asked about them, under the beginning of the paths that a script makes of them."""
        prefix = text if text.endswith("/") else text + "/"
        listings = self._listings
        most, names_in_sum = _LISTED
        try:
            while listings and (len(listings) >= most or self._listed + len(names) > names_in_sum):
                old = listings.pop(next(iter(listings)), None)
                self._listed -= len(old.names) if old else 0
            if len(names) <= names_in_sum:
                old = listings.pop(prefix, None)
                listings[prefix] = _Listing(names, types)
                self._listed += len(names) - (len(old.names) if old else 0)
        except (RuntimeError, StopIteration):  # another thread was here
            listings.clear()
            self._listed = 0
        return prefix

    def scandir(self, path=None):
        answer = self._list(path)
        if answer is None or _UNKNOWN in answer[1]:
            return _scandir(path)
        text = None if path is None else self._text(path)
        _audit("os.scandir", text)
        names, types, inodes = answer
        prefix = self._remember(text or ".", tuple(names), types)
        return ScandirIterator(_entries(names, types, inodes, prefix))

    def listdir(self, path=None):
        answer = self._list(path)
        if answer is None:
            return _listdir(path)
        text = None if path is None else self._text(path)
        _audit("os.listdir", text)
        prefix = self._remember(text or ".", tuple(answer[0]), answer[1])
        if prefix == "./":  # a script uses these names as they are
            self._listings[""] = _Listing(tuple(answer[0][: _LISTED[1]]), answer[1])
        return answer[0]

    def told(self, what, path):
        """What is known of a path, asked for with what is near it in its directory. None where nothing is."""
        found = self._told[what].get(path)
        if found is None:
            return self._ahead(what, path, False)
        result, until, change = found
        if monotonic() >= until or self._changes[0] != change:
            return self._ahead(what, path, True)
        if self._told[what].pop(path, None) is not found:  # another thread has it
            return None
        return result if result[0] else None

    def _ahead(self, what, path, again):
        """Ask about the block of a listed name. again: it was told, and it is too late for that."""
        at = path.rfind("/") + 1
        listing = self._listings.get(path[:at])
        if listing is None:
            return None
        place = listing.place(path[at:])
        if place < 0:
            return None
        if again:
            names = slice(place, place + _AGAIN)
        else:
            size = _LINKS if what == _TARGET else _BLOCK
            block = place // size
            if (what, block) in listing.asked:
                return None  # a name that was handed out is asked for by itself
            listing.asked.add((what, block))
            names = slice(block * size, (block + 1) * size)
        types, names = listing.types[names], listing.names[names]
        if what == _TARGET:
            names = [name for name, kind in zip(names, types) if kind == _LINK]
        prefix = path[:at]
        try:
            question = ("l" if what == _LSTAT else "s") + "\0".join((prefix or ".", *names))
            question = question.encode(_encoding, _errors)
        except UnicodeError:
            return None
        good = repeat(monotonic() + _LIFETIME), repeat(self._changes[0])
        paths = [prefix + name for name in names]
        results = self._ask(question, lambda answer: dict(zip(paths, zip(_RECORD.iter_unpack(answer), *good))))
        if results is None:
            return None
        found = results.pop(path, None)
        told = self._told[what]
        if len(told) > _TOLD:
            told.clear()
        told.update(results)
        return found[0] if found and found[0][0] else None

    def stat(self, path, *, dir_fd=None, follow_symlinks=True):
        if dir_fd is None:
            text = path if type(path) is str else self._text(path)
            if text is not None:
                told = self.told(_STAT if follow_symlinks else _LSTAT, text)
                if told is not None:
                    return _result(told)
        return _stat(path, dir_fd=dir_fd, follow_symlinks=follow_symlinks)

    def lstat(self, path, *, dir_fd=None):
        if dir_fd is None:
            text = path if type(path) is str else self._text(path)
            if text is not None:
                told = self.told(_LSTAT, text)
                if told is not None:
                    return _result(told)
        return _lstat(path, dir_fd=dir_fd)


def _map():
    """The page that tells of changes."""
    import mmap

    fd = posix.open("/dev/shannot-changes", posix.O_RDONLY | posix.O_CLOEXEC)
    try:
        return memoryview(mmap.mmap(fd, mmap.PAGESIZE, prot=mmap.PROT_READ, trackfd=False)).cast("Q")
    finally:
        posix.close(fd)


def install(os):
    """Take the place of the functions. A bound method, as a built-in, does not become another one as a class's attribute."""
    global _walks
    for function in (DirEntry.stat, _Walks.stat, _Walks.lstat, _Walks.scandir, _Walks.listdir):
        original = getattr(posix, function.__name__)
        function.__doc__ = original.__doc__
        function.__qualname__ = function.__name__
    _walks = _Walks(_map())
    os.DirEntry = posix.DirEntry = DirEntry
    for name in ("scandir", "listdir", "stat", "lstat"):
        original, function = getattr(posix, name), MethodType(getattr(_Walks, name), _walks)
        function.__func__.__module__ = original.__module__
        setattr(os, name, function)
        setattr(posix, name, function)
        for able in (os.supports_dir_fd, os.supports_fd, os.supports_follow_symlinks, os.supports_effective_ids):
            if original in able:
                able.add(function)
