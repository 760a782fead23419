"""Arrays of numbers, in pure Python: a list that knows how its items are stored."""

import struct
import sys

_SIZES = {code: struct.calcsize(code) for code in "bBhHiIlLqQfd"}
_SIZES["u"] = 4
_TEXT = "utf-32-le" if sys.byteorder == "little" else "utf-32-be"
typecodes = "bBuhHiIlLqQfd"


class array(object):
    """Items of one type. There is no buffer behind them: what wants bytes takes tobytes()."""

    __slots__ = ("typecode", "itemsize", "_items", "__weakref__")

    def __init__(self, typecode, initializer=()):
        if typecode not in _SIZES:
            raise ValueError("bad typecode (must be b, B, u, h, H, i, I, l, L, q, Q, f or d)")
        if isinstance(initializer, str) and typecode != "u":
            raise TypeError("cannot use a str to initialize an array with typecode '%s'" % typecode)
        self.typecode, self.itemsize, self._items = typecode, _SIZES[typecode], []
        if isinstance(initializer, (bytes, bytearray)):
            self.frombytes(initializer)
        elif isinstance(initializer, array):
            self._items.extend(self._checked(item) for item in initializer)
        else:
            self.extend(initializer)

    def _checked(self, item):
        if self.typecode == "u":
            if not isinstance(item, str) or len(item) != 1:
                raise TypeError("array item must be unicode character")
            return item
        if self.typecode not in "fd" and not hasattr(item, "__index__"):
            raise TypeError("an integer is required (got type %s)" % type(item).__name__)
        try:
            return struct.unpack(self.typecode, struct.pack(self.typecode, item))[0]
        except struct.error as e:
            raise (OverflowError if self.typecode not in "fd" else TypeError)(str(e))

    def _same(self, other):
        if not isinstance(other, array):
            raise TypeError("can only append array (not \"%s\") to array" % type(other).__name__)
        if other.typecode != self.typecode:
            raise TypeError("can only extend with array of same kind")
        return other._items

    def _made(self, items):
        new = array(self.typecode)
        new._items = items
        return new

    def append(self, item):
        self._items.append(self._checked(item))

    def extend(self, items):
        self._items.extend(self._same(items) if isinstance(items, array) else [self._checked(item) for item in items])

    fromlist = fromunicode = extend

    def insert(self, at, item):
        self._items.insert(at, self._checked(item))

    def frombytes(self, data):
        data = bytes(memoryview(data))
        if len(data) % self.itemsize:
            raise ValueError("bytes length not a multiple of item size")
        if self.typecode == "u":
            self._items.extend(data.decode(_TEXT))
        else:
            self._items.extend(struct.unpack("%d%s" % (len(data) // self.itemsize, self.typecode), data))

    def fromfile(self, file, count):
        data = file.read(count * self.itemsize)
        self.frombytes(data)
        if len(data) < count * self.itemsize:
            raise EOFError("read() didn't return enough bytes")

    def tobytes(self):
        if self.typecode == "u":
            return "".join(self._items).encode(_TEXT)
        return struct.pack("%d%s" % (len(self._items), self.typecode), *self._items)

    tostring, fromstring = tobytes, frombytes

    def tofile(self, file):
        file.write(self.tobytes())

    def tolist(self):
        return list(self._items)

    def tounicode(self):
        if self.typecode != "u":
            raise ValueError("tounicode() may only be called on unicode type arrays")
        return "".join(self._items)

    def byteswap(self):
        data = self.tobytes()
        self._items = []
        size = self.itemsize
        self.frombytes(b"".join(data[i : i + size][::-1] for i in range(0, len(data), size)))

    def buffer_info(self):
        return 0, len(self._items)

    def pop(self, at=-1):
        return self._items.pop(at)

    def remove(self, item):
        self._items.remove(item)

    def reverse(self):
        self._items.reverse()

    def count(self, item):
        return self._items.count(item)

    def index(self, item, *bounds):
        return self._items.index(item, *bounds)

    def __len__(self):
        return len(self._items)

    def __iter__(self):
        return iter(self._items)

    def __contains__(self, item):
        return item in self._items

    def __getitem__(self, at):
        return self._made(self._items[at]) if isinstance(at, slice) else self._items[at]

    def __setitem__(self, at, item):
        self._items[at] = self._same(item) if isinstance(at, slice) else self._checked(item)

    def __delitem__(self, at):
        del self._items[at]

    def __add__(self, other):
        return self._made(self._items + self._same(other))

    def __iadd__(self, other):
        self._items += self._same(other)
        return self

    def __mul__(self, times):
        return self._made(self._items * times)

    __rmul__ = __mul__

    def __imul__(self, times):
        self._items *= times
        return self

    def __eq__(self, other):
        return self._items == other._items if isinstance(other, array) else NotImplemented

    def __lt__(self, other):
        return self._items < other._items if isinstance(other, array) else NotImplemented

    def __le__(self, other):
        return self._items <= other._items if isinstance(other, array) else NotImplemented

    def __gt__(self, other):
        return self._items > other._items if isinstance(other, array) else NotImplemented

    def __ge__(self, other):
        return self._items >= other._items if isinstance(other, array) else NotImplemented

    __hash__ = None

    def __copy__(self, memo=None):
        return self._made(list(self._items))

    __deepcopy__ = __copy__

    def __reduce__(self):
        return array, (self.typecode, self.tolist())

    def __repr__(self):
        if not self._items:
            return "array('%s')" % self.typecode
        return "array('%s', %r)" % (self.typecode, self.tounicode() if self.typecode == "u" else self._items)


ArrayType = array
