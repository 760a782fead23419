"""Walk directories and read small files without a question to the gateway for each.

os.scandir and os.listdir ask one question for a directory, and in a walk one for the directories that come next too. os.stat
and os.lstat of a listed name ask one for the names that come next, and so does open where a script reads what it listed, one
file after the other. What was told ahead is handed out once, within milliseconds, and not after anything that may have
changed a file: the gateway tells of that in a page that is mapped here. Whatever is not told goes to Python's own function,
and so does everything that fails, so that errors are the kernel's words. Nothing here is a wall.
"""

import builtins
import posix
import sys
from _io import BufferedReader, FileIO, TextIOWrapper
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
_LISTED = 512, 1 << 17  # directories and names in sum that are remembered
_TREE = 64  # directories of a walk that are asked about together, at most
_CLIMB = 8  # directories above one whose next ones are asked about with it
_PATIENCE = 8  # questions after one whose answer was not used in time, before more are asked about together
_TREE_ANSWER = 256 << 10  # bytes
_IN_ORDER = 3  # files that a script reads one after the other as they are listed, before it is told of the next
_FILES = 4, 64  # of which at first and at most
_SUFFIXES = 8  # files of a directory's directories, as /proc/*/stat, that are read like that at once
_UNREAD = 0xFFFFFFFF  # the size of a file that is not told of
_LIVE = 0, 0  # what stands for a file that the kernel makes anew for each who reads it from the beginning
_READING = frozenset(("r", "rb", "br", "rt", "tr"))

_LSTAT, _STAT, _TARGET = range(3)  # what is told of a name: itself, where it leads, and that of links alone
_RECORD = Struct("=10q3d6q")  # os.stat_result
_UNKNOWN, _DIRECTORY, _REGULAR, _LINK = 0, 4, 8, 10  # of d_type, see readdir(3)
_S_IFMT, _S_IFDIR, _S_IFREG = 0o170000, 0o040000, 0o100000

_scandir, _listdir, _stat, _lstat, _readv = posix.scandir, posix.listdir, posix.stat, posix.lstat, posix.readv
_result, _real_entry, _audit = posix.stat_result, posix.DirEntry, sys.audit
_open, _fstat = builtins.open, posix.fstat
_LISTING, _PLACE, _TREE_HEAD, _FILE_HEAD = Struct("=Q"), Struct("=QQ"), Struct("=5I"), Struct("=IQQ")
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

    __slots__ = ("names", "types", "places", "asked", "reads")

    def __init__(self, names, types):
        self.names, self.types, self.places = names, types, None
        self.asked = set()  # what was asked about which block
        self.reads = None  # by what follows the name in the path: how the files are read

    def place(self, name):
        if self.places is None:
            self.places = {name: i for i, name in enumerate(self.names)}
        return self.places.get(name, -1)


class _Reads:
    """How a script reads the files of a listing."""

    __slots__ = ("place", "run", "end", "size", "left")

    def __init__(self, place):
        self.place, self.run = place, 1  # the last, and how many one after the other
        self.end = 0  # the place before which all was asked about
        self.size, self.left = _FILES[0] // 2, 0  # of the question before, and what was told and is not used


class _Functions:
    """Has methods that stand for functions of a module, which a pickle of one names: it can be read without the gateway."""

    def __init__(self, module):
        self._module = module

    def __reduce__(self):
        import importlib

        return importlib.import_module, (self._module,)

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self


class _Walks(_Functions):
    """What was told ahead, and the functions that hand it out."""

    def __init__(self, changes):
        super().__init__("posix")
        self._changes = changes  # the first number is another one after a change
        # By what is told: by path the result, until when it is good, and before which change.
        self._told = {}, {}, {}
        self._listings = {}  # by the beginning of the paths of their files
        self._listed = 0
        self._buffers = []
        self._paths = set()  # types of paths that are their text and nothing more
        # What was told of directories that a walk comes to next: by path the answer, until when it is good, and before which
        # change. Then how many are asked about together, and what a script wants to know of their files.
        self._trees, self._tree_size, self._tree_asked, self._tree_buffer = {}, 1, 0, None
        self._tree_patience = 0
        self._wants_files, self._wants_links, self._files_by = False, False, _LSTAT
        self._files_told = 0  # in sum of the directories of one question
        self._contents = {}  # by path what is in a file, which, until when it is good, before which change, and its _Reads

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
        """What a directory has, and what was told ahead of that, None for nothing."""
        text = "." if path is None else self._text(path)
        if not text or "\0" in text:
            return None, None
        found = self._tree(text)
        if found is not None:
            return self._read_list(found[1]), found
        try:
            question = b"d" + text.encode(_encoding, _errors)
        except UnicodeError:
            return None, None
        return self._ask(question, self._read_list), None

    @staticmethod
    def _read_list(answer):
        count = int.from_bytes(answer[:8], sys.byteorder)
        inodes, types = 8 + 8 * count, 8 + 9 * count
        names = str(answer[types:], _encoding, _errors).split("\0") if count else []
        return names, bytes(answer[inodes:types]), answer[8:inodes].cast("Q").tolist()

    def _tree(self, text):
        """What is known of a directory that a walk has come to, asked for with those that come next. None where nothing is."""
        found = self._trees.pop(text, None)
        if found is not None and monotonic() < found[-2] and self._changes[0] == found[-1]:
            return found
        left, size = len(self._trees), self._tree_size
        self._trees.clear()
        if found is not None:  # it took the script too long to come here
            size, self._tree_patience = size // 4, _PATIENCE
        elif self._sibling(text) is None:
            return None
        elif left:  # what was told in vain shows how far a script goes on in this order
            size, self._tree_patience = self._tree_asked - left, _PATIENCE
        elif self._tree_patience:
            self._tree_patience -= 1
        else:
            size *= 2
        self._tree_size, self._tree_asked = max(1, min(size, _TREE)), 0
        if self._tree_size == 1:
            return None
        return self._ask_tree(text, self._tree_size)

    def _sibling(self, path):
        """The listing that has a directory, and its place there. None where none has."""
        at = path.rfind("/") + 1
        listing = self._listings.get(path[:at])
        place = listing.place(path[at:]) if listing else -1
        return None if place < 0 or listing.types[place] != _DIRECTORY else (path[:at], listing, place)

    def _next(self, path, most):
        """The beginnings of paths of directories, and names there, that a walk comes to from one on, with what is below each."""
        groups, beginning = [], 0
        for _ in range(_CLIMB):
            at = self._sibling(path)
            if at is None:
                break
            prefix, listing, place = at
            names = []
            place = listing.types.find(_DIRECTORY, place + beginning)
            while place >= 0 and most > 0:
                names.append(listing.names[place])
                place = listing.types.find(_DIRECTORY, place + 1)
                most -= 1
            if names:
                groups.append((prefix, names))
                if self._listings.pop(prefix, None) is listing:
                    self._listings[prefix] = listing  # the next one that is forgotten is another
            path, beginning = prefix[:-1], 1
        return groups

    def _ask_tree(self, text, size):
        groups = self._next(text, size)
        told = self._told[self._files_by]
        if len(told) > self._files_told // 2:
            self._wants_files = False  # nobody asked
        told.clear()
        self._files_told = 0
        wish = "0123"[self._wants_files + 2 * self._wants_links]
        question = "\0\0".join("\0".join((prefix or ".", *names)) for prefix, names in groups)
        try:
            question = bytearray(("t" + wish + question).encode(_encoding, _errors))
        except UnicodeError:
            return None
        good = monotonic() + _LIFETIME, self._changes[0]
        buffer, self._tree_buffer = self._tree_buffer or bytearray(_TREE_ANSWER), None
        try:
            count = _readv(_GATEWAY, (question, buffer))
            answer = memoryview(bytes(memoryview(buffer)[:count]))
        except OSError, MemoryError:
            return None
        finally:
            self._tree_buffer = buffer
        trees, start = {}, 0
        while start < count:
            group, path, listed, lstats, stats = _TREE_HEAD.unpack_from(answer, start)
            start += _TREE_HEAD.size
            parts = []
            for part in (path, listed, lstats, stats):
                parts.append(answer[start : start + part])
                start += part
            trees[groups[group][0] + str(parts[0], _encoding, _errors)] = (wish, *parts[1:], *good)
        self._trees, self._tree_asked = trees, len(trees)
        return trees.pop(text, None)

    def _keep_tree(self, prefix, names, types, found):
        """Have ready what was told of the files of a directory that is handed out."""
        wish, _, lstats, stats, *good = found
        good = tuple(map(repeat, good))
        listing = self._listings.get(prefix)
        paths = [prefix + name for name in names]
        if wish in "13":
            by = self._files_by
            records = zip(paths, zip(_RECORD.iter_unpack(lstats), *good))
            if by == _STAT:
                records = list(records)
                self._told[_LSTAT].update(r for r, kind in zip(records, types) if kind == _DIRECTORY)
                records = [r for r, kind in zip(records, types) if kind != _LINK]
            if listing is not None:
                listing.asked.update((by, block) for block in range(-(-len(names) // _BLOCK)))
            self._told[by].update(records)
            self._files_told += len(names)
        elif lstats:
            paths_of = (path for path, kind in zip(paths, types) if kind == _DIRECTORY)
            self._told[_LSTAT].update(zip(paths_of, zip(_RECORD.iter_unpack(lstats), *good)))
        if wish in "23" and stats:
            links = [path for path, kind in zip(paths, types) if kind == _LINK]
            for what in {_TARGET, self._files_by} - {_LSTAT}:
                self._told[what].update(zip(links, zip(_RECORD.iter_unpack(stats), *good)))
            if listing is not None:
                listing.asked.update((_TARGET, block) for block in range(-(-len(names) // _LINKS)))

    def _remember(self, text, names, types):
        """Keep the names for what is asked about them, under the beginning of the paths that a script makes of them."""
        self._read_from_here()
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
        answer, ahead = self._list(path)
        if answer is None or _UNKNOWN in answer[1]:
            return _scandir(path)
        text = None if path is None else self._text(path)
        _audit("os.scandir", text)
        names, types, inodes = answer
        prefix = self._remember(text or ".", tuple(names), types)
        if ahead is not None:
            self._keep_tree(prefix, names, types, ahead)
        return ScandirIterator(_entries(names, types, inodes, prefix))

    def listdir(self, path=None):
        answer, ahead = self._list(path)
        if answer is None:
            return _listdir(path)
        text = None if path is None else self._text(path)
        _audit("os.listdir", text)
        prefix = self._remember(text or ".", tuple(answer[0]), answer[1])
        if ahead is not None:
            self._keep_tree(prefix, *answer[:2], ahead)
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
        self._wants(what, listing.types[place])
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

    def _wants(self, what, kind):
        """Note what a script wants to know of the files of a walk. What was told of directories without it is given up."""
        files = self._wants_files or what != _TARGET and kind != _DIRECTORY
        links = self._wants_links or what == _TARGET or what == _STAT and kind == _LINK
        by = what if what != _TARGET and kind != _DIRECTORY else self._files_by
        if (files, links, by) != (self._wants_files, self._wants_links, self._files_by):
            self._wants_files, self._wants_links, self._files_by = files, links, by
            self._trees.clear()

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


    def _read_from_here(self):
        """Look at what a script opens, from its first listing on: one that lists nothing has Python's own function."""
        self._read_from_here = int  # done
        _take("open", _Opens(self).open, (builtins, sys.modules["_io"], sys.modules.get("io")))

    def content(self, path):
        """What is in a file, asked for with what is near it where files are read as they are listed. None where nothing is known."""
        found = self._contents.pop(path, None)
        if found is not None:
            found[-1].left -= 1
            if monotonic() < found[2] and self._changes[0] == found[3]:
                self._in_order(path)
                return found
        return self._content_ahead(path, found is not None)

    def _read_place(self, path):
        """The listing that has a path's file, or the directory that the file is in, its place there and what follows its name."""
        at = path.rfind("/") + 1
        listing = self._listings.get(path[:at])
        if listing is not None:
            return path[:at], listing, listing.place(path[at:]), ""
        above = path.rfind("/", 0, max(0, at - 1)) + 1
        listing = self._listings.get(path[:above]) if at else None
        if listing is None:
            return "", None, -1, ""
        return path[:above], listing, listing.place(path[above : at - 1]), path[at - 1 :]

    def _in_order(self, path):
        """Note that a script reads a file. The _Reads that it goes on with, None where it is none that was listed."""
        prefix, listing, place, suffix = self._read_place(path)
        kind = _DIRECTORY if suffix else _REGULAR
        if place < 0 or listing.types[place] != kind:
            return None
        if listing.reads is None or len(listing.reads) > _SUFFIXES:
            listing.reads = {}
        reads = listing.reads.get(suffix)
        if reads is None:
            listing.reads[suffix] = reads = _Reads(place)
        elif place != reads.place:
            next = listing.types.find(kind, reads.place + 1)
            reads.run = reads.run + 1 if place == next else 1
            reads.place = place
        return prefix, listing, suffix, reads

    def _content_ahead(self, path, late):
        at = self._in_order(path)
        if at is None:
            return None
        prefix, listing, suffix, reads = at
        place = reads.place
        if reads.run < _IN_ORDER or place < reads.end and not late:
            return None
        reads.size = max(1, reads.size - max(1, reads.left)) if reads.left or late else min(2 * reads.size, _FILES[1])
        kind = _DIRECTORY if suffix else _REGULAR
        names, types = [], listing.types
        while place >= 0 and len(names) < reads.size:
            names.append(listing.names[place] + suffix)
            reads.end = place + 1
            place = types.find(kind, place + 1)
        reads.left = 0
        try:
            question = ("r" + "\0".join((prefix or ".", *names))).encode(_encoding, _errors)
        except UnicodeError:
            return None
        good = monotonic() + _LIFETIME, self._changes[0]
        told = self._ask(question, lambda answer: self._read_contents(prefix, names, answer, *good, reads))
        if told is None:
            return None
        found = told.pop(path, None)
        reads.left = len(told)
        if len(self._contents) > _SUFFIXES * _FILES[1]:
            self._contents.clear()
        self._contents.update(told)
        return found

    @staticmethod
    def _read_contents(prefix, names, answer, until, change, reads):
        told, at = {}, 0
        for name in names:
            size, *which = _FILE_HEAD.unpack_from(answer, at)
            at += _FILE_HEAD.size
            if size != _UNREAD:
                told[prefix + name] = bytes(answer[at : at + size]), tuple(which), until, change, reads
                at += size
        return told


class _File(FileIO):
    """A file of which was told what is in it. Where a script wants more of it, it is opened. Its name is FileIO."""

    @classmethod
    def _of(cls, name, content, which, until, change):
        self = cls.__new__(cls)
        self._told, self._at, self._which, self._until, self._change = content, 0, which, until, change
        self.name = name
        return self

    def _really(self):
        """Open the file. It must be the one that was told of."""
        if self._told is None:
            return
        super().__init__(self.name, "r")
        st = _fstat(super().fileno())
        if self._which != _LIVE and (st.st_dev, st.st_ino) != self._which:
            super().close()
            raise OSError(116, "the file was replaced since it was opened", self.name)  # ESTALE
        super().seek(self._at)
        self._told = None

    def _rest(self):
        """What was told and is not read; None where the file has to be asked. Its end is told once."""
        told = self._told
        if told is None:
            return None
        rest = memoryview(told)[self._at :]
        if monotonic() < self._until and _walks._changes[0] == self._change:
            if not rest:
                self._until = 0
            return rest
        try:
            self._really()  # a command may have written more
        except OSError:  # the name is gone, or another file's: this one is what it was
            return rest
        return None

    def readinto(self, buffer, /):
        rest = self._rest()
        if rest is None:
            return super().readinto(buffer)
        with memoryview(buffer).cast("B") as view:
            size = min(len(view), len(rest))
            view[:size] = rest[:size]
        self._at += size
        return size

    def readall(self, /):
        rest = self._rest()
        if rest is None:
            return super().readall()
        self._at += len(rest)
        return bytes(rest)

    def read(self, size=-1, /):
        if size is None or size < 0:
            return self.readall()
        rest = self._rest()
        if rest is None:
            return super().read(size)
        self._at += min(size, len(rest))
        return bytes(rest[:size])

    def seek(self, pos, whence=0, /):
        if self._told is None:
            return super().seek(pos, whence)
        if self._which == _LIVE or whence == 2 or whence not in (0, 1) or type(pos) is not int or pos < 0:
            self._really()
            return super().seek(pos, whence)
        self._at = pos + (self._at if whence == 1 else 0)
        return self._at

    def tell(self, /):
        return super().tell() if self._told is None else self._at

    def fileno(self, /):
        self._really()
        return super().fileno()

    def readable(self, /):
        return True if self._told is not None else super().readable()

    def writable(self, /):
        return False if self._told is not None else super().writable()

    def seekable(self, /):
        return True if self._told is not None else super().seekable()

    def isatty(self, /):
        return False if self._told is not None else super().isatty()

    def write(self, b, /):
        self._really()
        return super().write(b)

    def truncate(self, size=None, /):
        self._really()
        return super().truncate(size)

    def close(self, /):
        self._told = None
        super().close()

    def _dealloc_warn(self, source, /):
        if self._told is None:
            return super()._dealloc_warn(source)
        warn(f"unclosed file {source!r}", ResourceWarning, 1, source)

    @property
    def closed(self):
        return self._told is None and super().closed

    @property
    def mode(self):
        return "rb"

    def __repr__(self):
        if self.closed:
            return "<_io.FileIO [closed]>"
        return f"<_io.FileIO name={self.name!r} mode='rb' closefd=True>"


_File.__name__ = _File.__qualname__ = "FileIO"
_File.__module__ = "_io"


class _Opens(_Functions):
    def __init__(self, walks):
        super().__init__("_io")
        self._walks = walks

    def open(self, file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, closefd=True, opener=None):
        if buffering == -1 and opener is None and mode in _READING and closefd is True:
            path = file if type(file) is str else self._walks._text(file)
            told = None if path is None else self._walks.content(path)
            if told is not None and ("b" not in mode or encoding is errors is newline is None):
                return self._opened(file, mode, encoding, errors, newline, *told[:4])
        return _open(file, mode, buffering, encoding, errors, newline, closefd, opener)

    def _opened(self, file, mode, encoding, errors, newline, content, which, until, change):
        _audit("open", file, "r", posix.O_RDONLY | posix.O_CLOEXEC)
        reader = BufferedReader(_File._of(file, content, which, until, change), max(8192, len(content) + 1))
        if "b" in mode:
            return reader
        text = TextIOWrapper(reader, encoding, errors, newline)
        text.mode = mode
        return text


def _take(name, function, modules):
    """Take the place of a built-in function wherever it still is. A bound method, as a built-in, does not become another one as a class's attribute."""
    original = _open
    described = function.__func__
    described.__doc__, described.__name__, described.__qualname__, described.__module__ = original.__doc__, name, name, original.__module__
    described.__text_signature__ = original.__text_signature__
    for module in modules:
        if getattr(module, name, None) is original:
            setattr(module, name, function)


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
