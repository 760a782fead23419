"""Files in memory, for reading: a mapping is a copy of what the file held when it was made.

A mapping that others could see changes of is refused, as by a file system that has none. A mapping is an object of bytes
here, so that slices, searches and regular expressions take it.
"""

import os

ACCESS_DEFAULT, ACCESS_READ, ACCESS_WRITE, ACCESS_COPY = range(4)
MAP_SHARED, MAP_PRIVATE, MAP_ANON = 1, 2, 0x20
MAP_ANONYMOUS, MAP_DENYWRITE, MAP_EXECUTABLE = MAP_ANON, 0x800, 0x1000
PROT_READ, PROT_WRITE, PROT_EXEC = 1, 2, 4
PAGESIZE = ALLOCATIONGRANULARITY = 4096
error = OSError

_BLOCK = 1 << 20  # bytes of one read


def _content(fd, length, offset):
    """What is in a file, wherever the script stands in it."""
    parts, at = [], offset
    while at < offset + length:
        part = os.pread(fd, min(_BLOCK, offset + length - at), at)
        if not part:
            break
        parts.append(part)
        at += len(part)
    data = b"".join(parts)
    return data + bytes(length - len(data))  # as the rest of the last page is


class mmap(bytes):
    """What a file held, with a position."""

    def __new__(cls, fileno, length, flags=MAP_SHARED, prot=PROT_WRITE | PROT_READ, access=ACCESS_DEFAULT, offset=0):
        if length < 0 or offset < 0:
            raise OverflowError("memory mapped length and offset must be positive")
        if offset % ALLOCATIONGRANULARITY:
            raise OSError(22, os.strerror(22))
        if access != ACCESS_DEFAULT and (flags != MAP_SHARED or prot != PROT_WRITE | PROT_READ):
            raise ValueError("mmap can't specify both access and flags, prot.")
        if access not in (ACCESS_DEFAULT, ACCESS_READ, ACCESS_WRITE, ACCESS_COPY):
            raise ValueError("mmap invalid access parameter.")
        if fileno == -1 or access in (ACCESS_WRITE, ACCESS_COPY) or access == ACCESS_DEFAULT and prot != PROT_READ:
            raise OSError(19, "the PyPy of the Shannot sandbox maps files for reading alone (mmap.ACCESS_READ); see --engine native")
        size = os.fstat(fileno).st_size
        if length == 0:
            if size == 0:
                raise ValueError("cannot mmap an empty file")
            if offset >= size:
                raise ValueError("mmap offset is greater than file size")
            length = size - offset
        elif offset + length > size:
            raise ValueError("mmap length is greater than file size")
        self = bytes.__new__(cls, _content(fileno, length, offset))
        self._size, self._at, self.closed = size, 0, False
        return self

    def _open(self):
        if self.closed:
            raise ValueError("mmap closed or invalid")

    def __enter__(self):
        self._open()
        return self

    def __exit__(self, *args):
        self.close()

    def __repr__(self):
        return object.__repr__(self)

    __str__ = __repr__

    def __hash__(self):
        return object.__hash__(self)

    def __eq__(self, other):
        return self is other

    def __ne__(self, other):
        return self is not other

    def __getitem__(self, key):
        self._open()
        return bytes.__getitem__(self, key)

    def __setitem__(self, key, value):
        self._open()
        raise TypeError("mmap can't modify a readonly memory map.")

    def __delitem__(self, key):
        raise TypeError("mmap doesn't support item deletion")

    def close(self):
        self.closed = True

    def find(self, sub, start=None, end=None):
        self._open()
        return bytes.find(self, sub, self._at if start is None else start, len(self) if end is None else end)

    def rfind(self, sub, start=None, end=None):
        self._open()
        return bytes.rfind(self, sub, self._at if start is None else start, len(self) if end is None else end)

    def size(self):
        self._open()
        return self._size

    def tell(self):
        self._open()
        return self._at

    def seek(self, offset, whence=0):
        self._open()
        if whence not in (0, 1, 2):
            raise ValueError("unknown seek type")
        at = (0, self._at, len(self))[whence] + offset
        if not 0 <= at <= len(self):
            raise ValueError("seek out of range")
        self._at = at

    def read(self, size=None):
        self._open()
        end = len(self) if size is None or size < 0 else min(len(self), self._at + size)
        data, self._at = bytes.__getitem__(self, slice(self._at, end)), end
        return data

    def read_byte(self):
        data = self.read(1)
        if not data:
            raise ValueError("read byte out of range")
        return data[0]

    def readline(self):
        end = self.find(b"\n")
        return self.read(None if end < 0 else end + 1 - self._at)

    def flush(self, offset=0, size=None):
        self._open()
        return 0

    def madvise(self, *args):
        self._open()

    def write(self, data):
        self._open()
        raise TypeError("mmap can't modify a readonly memory map.")

    write_byte = write

    def move(self, dest, src, count):
        self.write(b"")

    def resize(self, size):
        self._open()
        raise TypeError("mmap can't resize a readonly or copy-on-write memory map.")
