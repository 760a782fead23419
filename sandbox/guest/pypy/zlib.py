"""Read what is compressed as RFC 1950 to 1952 have it, in pure Python: for logs that were rotated. Writing does not compress."""

from binascii import crc32

__version__ = "1.0"
ZLIB_VERSION = ZLIB_RUNTIME_VERSION = "1.2.11"

MAX_WBITS, DEFLATED, DEF_MEM_LEVEL, DEF_BUF_SIZE = 15, 8, 8, 16384
Z_NO_COMPRESSION, Z_BEST_SPEED, Z_BEST_COMPRESSION, Z_DEFAULT_COMPRESSION = 0, 1, 9, -1
Z_DEFAULT_STRATEGY, Z_FILTERED, Z_HUFFMAN_ONLY, Z_RLE, Z_FIXED = 0, 1, 2, 3, 4
Z_NO_FLUSH, Z_PARTIAL_FLUSH, Z_SYNC_FLUSH, Z_FULL_FLUSH, Z_FINISH, Z_BLOCK, Z_TREES = range(7)

_WINDOW = 1 << 15
_FAST = 9  # bits of a code that are looked up at once
_LENGTHS = [(3, 0), (4, 0), (5, 0), (6, 0), (7, 0), (8, 0), (9, 0), (10, 0), (11, 1), (13, 1), (15, 1), (17, 1), (19, 2), (23, 2)]
_LENGTHS += [(27, 2), (31, 2), (35, 3), (43, 3), (51, 3), (59, 3), (67, 4), (83, 4), (99, 4), (115, 4)]
_LENGTHS += [(131, 5), (163, 5), (195, 5), (227, 5), (258, 0)]
_DISTANCES = [(1, 0), (2, 0)] + [((2 + (i & 1) << (i >> 1) - 1) + 1, (i >> 1) - 1) for i in range(2, 30)]
_ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)


class error(Exception):
    pass


def adler32(data, value=1):
    low, high = value & 0xFFFF, value >> 16 & 0xFFFF
    data = bytes(memoryview(data))
    for start in range(0, len(data), 4096):
        for b in data[start : start + 4096]:
            low += b
            high += low
        low %= 65521
        high %= 65521
    return high << 16 | low


class _Codes(object):
    """A set of Huffman codes: short ones by the next bits, longer ones by their length and value."""

    def __init__(self, lengths):
        counts = [0] * 16
        for size in lengths:
            counts[size] += 1
        counts[0] = 0
        first, code, room = [0] * 16, 0, 1
        for size in range(1, 16):
            code = code + counts[size - 1] << 1
            first[size] = code
            room = (room << 1) - counts[size]
            if room < 0:
                raise error("Error -3 while decompressing data: invalid code lengths set")
        self.fast, self.long, self.longest = [0] * (1 << _FAST), {}, 0
        for symbol, size in enumerate(lengths):
            if not size:
                continue
            code = first[size]
            first[size] += 1
            turned = int(bin(code)[2:].rjust(size, "0")[::-1], 2)
            self.longest = max(self.longest, size)
            if size <= _FAST:
                for i in range(turned, 1 << _FAST, 1 << size):
                    self.fast[i] = symbol << 4 | size
            else:
                self.long[size, turned] = symbol << 4 | size

    def find(self, hold):
        """The symbol that the bits begin with, shifted by four, and how many bits that are."""
        entry = self.fast[hold & (1 << _FAST) - 1]
        if entry:
            return entry
        for size in range(_FAST + 1, self.longest + 1):
            entry = self.long.get((size, hold & (1 << size) - 1))
            if entry is not None:
                return entry
        return 0


_fixed = []


def _fixed_codes():
    if not _fixed:
        _fixed.append(_Codes([8] * 144 + [9] * 112 + [7] * 24 + [8] * 8))
        _fixed.append(_Codes([5] * 30))
    return _fixed


class _Inflater(object):
    """Decompress what comes, as far as it is there. out is what came of it, and the window before."""

    def __init__(self, wbits, window):
        self.data, self.at = b"", 0
        self.hold = self.bits = 0
        self.out = bytearray(window[-_WINDOW:])
        self.given = len(self.out)  # of out
        self.eof = False
        self.dictionary = window
        self._wbits = wbits
        self._sum, self._summed = None, 0
        self._steps = self._run()

    def feed(self, data):
        self.data, self.at = self.data[self.at :] + data, 0
        if not self.eof:
            next(self._steps, None)

    def take(self, size):
        """Up to size bytes of what is there."""
        piece = bytes(self.out[self.given : self.given + size])
        self.given += len(piece)
        if self.given > 4 * _WINDOW:
            self._checked()
            excess = self.given - _WINDOW
            del self.out[:excess]
            self.given -= excess
            self._summed -= excess
        return piece

    def left(self):
        return len(self.out) - self.given

    def _checked(self):
        """Take what is there into the check sum."""
        if self._sum is not None:
            self._sum = self._check(bytes(self.out[self._summed :]), self._sum)
        self._summed = len(self.out)

    def _need(self, bits):
        while self.bits < bits:
            if self.at == len(self.data):
                yield
                continue
            self.hold |= self.data[self.at] << self.bits
            self.bits += 8
            self.at += 1

    def _number(self, bits):
        yield from self._need(bits)
        value = self.hold & (1 << bits) - 1
        self.hold >>= bits
        self.bits -= bits
        return value

    def _aligned(self, order, size):
        """A number of whole bytes, from the next byte on."""
        self.hold >>= self.bits & 7
        self.bits -= self.bits & 7
        value = yield from self._number(8 * size)
        return value if order == "little" else int.from_bytes(value.to_bytes(size, "little"), "big")

    def _run(self):
        kind = yield from self._header()
        self._summed = self.given
        last = 0
        while not last:
            last = yield from self._number(1)
            block = yield from self._number(2)
            if block == 0:
                yield from self._stored()
            elif block == 1:
                yield from self._coded(*_fixed_codes())
            elif block == 2:
                codes = yield from self._codes()
                yield from self._coded(*codes)
            else:
                raise error("Error -3 while decompressing data: invalid block type")
        self._checked()
        if kind == "zlib":
            if (yield from self._aligned("big", 4)) != self._sum:
                raise error("Error -3 while decompressing data: incorrect data check")
        elif kind == "gzip":
            if (yield from self._aligned("little", 4)) != self._sum:
                raise error("Error -3 while decompressing data: incorrect data check")
            yield from self._aligned("little", 4)
        back = self.bits >> 3  # bytes that were taken too early
        self.at -= back
        self.hold = self.bits = 0
        self.eof = True

    def _header(self):
        if self._wbits < 0:
            return "raw"
        first = yield from self._number(16)
        if self._wbits > 15 and first == 0x8B1F:
            yield from self._gzip_header()
            self._sum, self._check = 0, crc32
            return "gzip"
        if 15 < self._wbits < 32 or ((first & 255) << 8 | first >> 8) % 31:
            raise error("Error -3 while decompressing data: incorrect header check")
        if first & 15 != DEFLATED:
            raise error("Error -3 while decompressing data: unknown compression method")
        self._sum, self._check = 1, adler32
        if first >> 8 & 32:
            wanted = yield from self._aligned("big", 4)
            if not self.dictionary:
                raise error("Error 2 while decompressing data")
            if adler32(self.dictionary) != wanted:
                raise error("Error -3 while setting zdict: incorrect data check")
        return "zlib"

    def _gzip_header(self):
        method = yield from self._number(8)
        flags = yield from self._number(8)
        yield from self._number(48)
        if method != DEFLATED:
            raise error("Error -3 while decompressing data: unknown compression method")
        if flags & 4:
            for _ in range((yield from self._number(16))):
                yield from self._number(8)
        for flag in (8, 16):
            if flags & flag:
                while (yield from self._number(8)):
                    pass
        if flags & 2:
            yield from self._number(16)

    def _stored(self):
        size = yield from self._aligned("little", 2)
        if (yield from self._number(16)) != size ^ 0xFFFF:
            raise error("Error -3 while decompressing data: invalid stored block lengths")
        while size and self.bits:
            self.out.append((yield from self._number(8)))
            size -= 1
        while size:
            piece = self.data[self.at : self.at + size]
            if not piece:
                yield
                continue
            self.out += piece
            self.at += len(piece)
            size -= len(piece)

    def _codes(self):
        literals = 257 + (yield from self._number(5))
        distances = 1 + (yield from self._number(5))
        lengths = [0] * 19
        for i in range(4 + (yield from self._number(4))):
            lengths[_ORDER[i]] = yield from self._number(3)
        codes, lengths = _Codes(lengths), []
        while len(lengths) < literals + distances:
            while True:
                entry = codes.find(self.hold)
                if entry and entry & 15 <= self.bits:
                    break
                if self.bits >= 15:
                    raise error("Error -3 while decompressing data: invalid code lengths set")
                yield from self._need(self.bits + 1)
            self.hold >>= entry & 15
            self.bits -= entry & 15
            symbol = entry >> 4
            if symbol < 16:
                lengths.append(symbol)
                continue
            if symbol == 16 and not lengths:
                raise error("Error -3 while decompressing data: invalid bit length repeat")
            base, bits = ((3, 2), (3, 3), (11, 7))[symbol - 16]
            count = base + (yield from self._number(bits))
            lengths += [lengths[-1] if symbol == 16 else 0] * count
        if len(lengths) > literals + distances or literals > 286 or not lengths[256]:
            raise error("Error -3 while decompressing data: invalid bit length repeat")
        return _Codes(lengths[:literals]), _Codes(lengths[literals:])

    def _coded(self, literals, distances):
        fast, mask, out = literals.fast, (1 << _FAST) - 1, self.out
        data, at, hold, bits = self.data, self.at, self.hold, self.bits
        while True:
            if bits < 48:  # the longest pair of length and distance
                piece = data[at : at + 8]
                hold |= int.from_bytes(piece, "little") << bits
                bits += 8 * len(piece)
                at += len(piece)
            entry = fast[hold & mask] or literals.find(hold)
            used = entry & 15
            if entry and used <= bits and entry < 256 << 4:
                out.append(entry >> 4)
                hold >>= used
                bits -= used
                continue
            if entry and used <= bits and entry >> 4 == 256:
                self.at, self.hold, self.bits = at, hold >> used, bits - used
                return
            # A length and a distance, all of it or nothing.
            symbol = (entry >> 4) - 257
            if entry and 0 <= symbol < len(_LENGTHS):
                size, extra = _LENGTHS[symbol]
                size += hold >> used & (1 << extra) - 1
                used += extra
                entry = distances.find(hold >> used)
                if entry and entry >> 4 < len(_DISTANCES):
                    used += entry & 15
                    back, extra = _DISTANCES[entry >> 4]
                    back += hold >> used & (1 << extra) - 1
                    used += extra
                    if used <= bits:
                        hold >>= used
                        bits -= used
                        start = len(out) - back
                        if start < 0 or back > _WINDOW:
                            raise error("Error -3 while decompressing data: invalid distance too far back")
                        if back >= size:
                            out += out[start : start + size]
                        else:
                            out += (out[start:] * (size // back + 1))[:size]
                        continue
            if bits >= 48:
                raise error("Error -3 while decompressing data: invalid literal/length or distance code")
            self.at, self.hold, self.bits = at, hold, bits
            yield
            data, at, hold, bits, out = self.data, self.at, self.hold, self.bits, self.out


class _Decompress(object):
    """What decompressobj returns. All that came is consumed: what was not asked for yet is kept, decompressed."""

    def __init__(self, wbits, zdict):
        self._inflater = _Inflater(wbits, bytes(zdict))
        self.unused_data = self.unconsumed_tail = b""

    @property
    def eof(self):
        return self._inflater.eof and not self._inflater.left()

    def decompress(self, data, max_length=0):
        if max_length < 0:
            raise ValueError("max_length must be non-negative")
        data, inner = bytes(memoryview(data)), self._inflater
        if inner.eof:
            self.unused_data += data
        else:
            inner.feed(data)
            if inner.eof:
                self.unused_data += inner.data[inner.at :]
        return inner.take(max_length or inner.left())

    def flush(self, length=DEF_BUF_SIZE):
        if length <= 0:
            raise ValueError("length must be greater than zero")
        return self._inflater.take(self._inflater.left())


def decompressobj(wbits=MAX_WBITS, zdict=b""):
    return _Decompress(wbits, zdict)


def decompress(data, wbits=MAX_WBITS, bufsize=DEF_BUF_SIZE):
    inner = _Inflater(wbits, b"")
    inner.feed(bytes(memoryview(data)))
    if not inner.eof:
        raise error("Error -5 while decompressing data: incomplete or truncated stream")
    return inner.take(inner.left())


class _Compress(object):
    """What compressobj returns: blocks that are stored as they are."""

    def __init__(self, wbits, zdict):
        self._kind = "raw" if wbits < 0 else "gzip" if wbits > 15 else "zlib"
        self._sum, self._size = 0 if self._kind == "gzip" else 1, 0
        self._begun = self._ended = False
        self._kept = b""

    def _begin(self):
        if self._begun:
            return b""
        self._begun = True
        return {"raw": b"", "zlib": b"\x78\x01", "gzip": b"\x1f\x8b\x08" + bytes(6) + b"\xff"}[self._kind]

    def _block(self, data, last=0):
        size = len(data)
        return bytes((last,)) + size.to_bytes(2, "little") + (size ^ 0xFFFF).to_bytes(2, "little") + data

    def compress(self, data):
        data = bytes(memoryview(data))
        if self._kind != "raw":
            self._sum = (crc32 if self._kind == "gzip" else adler32)(data, self._sum)
        self._size += len(data)
        out, self._kept = [self._begin()], self._kept + data
        while len(self._kept) > 0xFFFF:
            out.append(self._block(self._kept[:0xFFFF]))
            self._kept = self._kept[0xFFFF:]
        return b"".join(out)

    def flush(self, mode=Z_FINISH):
        if self._ended:
            raise error("Error -2 while finishing compression: inconsistent stream state")
        if mode == Z_NO_FLUSH:
            return b""
        kept, self._kept = self._kept, b""
        if mode != Z_FINISH:
            return self._begin() + self._block(kept) if kept else self._begin()
        self._ended = True
        out = self._begin() + self._block(kept, last=1)
        if self._kind == "zlib":
            return out + self._sum.to_bytes(4, "big")
        if self._kind == "gzip":
            return out + self._sum.to_bytes(4, "little") + (self._size & 0xFFFFFFFF).to_bytes(4, "little")
        return out


def compressobj(level=-1, method=DEFLATED, wbits=MAX_WBITS, memLevel=DEF_MEM_LEVEL, strategy=0, zdict=b""):
    return _Compress(wbits, zdict)


def compress(data, level=-1, wbits=MAX_WBITS):
    c = _Compress(wbits, b"")
    return c.compress(data) + c.flush()
