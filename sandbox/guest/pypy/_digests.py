"""SHA-3 (FIPS 202) and BLAKE2 (RFC 7693) in pure Python."""

_64 = (1 << 64) - 1


class _Digest(object):
    def update(self, data):
        if isinstance(data, str):
            raise TypeError("Unicode-objects must be encoded before hashing")
        data = self._kept + bytes(memoryview(data))
        at = 0
        while len(data) - at > self._hold:
            self._block(data[at : at + self.block_size])
            at += self.block_size
        self._kept = data[at:]

    def digest(self, *size):
        return self.copy()._finish(*size)

    def hexdigest(self, *size):
        return self.digest(*size).hex()

    def copy(self):
        other = object.__new__(type(self))
        other.__dict__.update(self.__dict__)
        other._state = list(self._state)
        return other

    def __repr__(self):
        return "<%s _digests object>" % self.name


def _rounds():
    """The constants of Keccak's rounds, by its feedback register."""
    bits, constants = 1, []
    for _ in range(24):
        constant = 0
        for j in range(7):
            if bits & 1:
                constant |= 1 << (1 << j) - 1
            bits <<= 1
            if bits & 0x100:
                bits ^= 0x171
        constants.append(constant)
    return constants


def _path():
    """Where Keccak moves each lane, and by how many bits it turns it on the way."""
    x, y, path = 1, 0, [(0, 0, 0)]
    for i in range(24):
        to = (y, (2 * x + 3 * y) % 5)
        path.append((x + 5 * y, to[0] + 5 * to[1], (i + 1) * (i + 2) // 2 % 64))
        x, y = to
    return path


_ROUNDS, _PATH = _rounds(), _path()


def _permute(state):
    for constant in _ROUNDS:
        columns = [state[x] ^ state[x + 5] ^ state[x + 10] ^ state[x + 15] ^ state[x + 20] for x in range(5)]
        for x in range(5):
            right = columns[(x + 1) % 5]
            change = columns[(x + 4) % 5] ^ (right << 1 | right >> 63) & _64
            for y in range(x, 25, 5):
                state[y] ^= change
        moved = [0] * 25
        for start, to, by in _PATH:
            lane = state[start]
            moved[to] = (lane << by | lane >> 64 - by) & _64
        for y in range(0, 25, 5):
            row = moved[y : y + 5]
            for x in range(5):
                state[y + x] = row[x] ^ ~row[(x + 1) % 5] & row[(x + 2) % 5]
        state[0] ^= constant


class _Keccak(_Digest):
    def __init__(self, data=b"", **ignored):
        self._state, self._kept, self._hold = [0] * 25, b"", self.block_size - 1
        self.update(data)

    def _block(self, block):
        for i in range(0, len(block), 8):
            self._state[i // 8] ^= int.from_bytes(block[i : i + 8], "little")
        _permute(self._state)

    def _finish(self, *size):
        if not self.digest_size and (len(size) != 1 or size[0] < 0):
            raise ValueError("%s needs a length" % self.name)
        if self.digest_size and size:
            raise TypeError("%s has one length" % self.name)
        size = self.digest_size or size[0]
        end = bytearray(self._kept.ljust(self.block_size, b"\0"))
        end[len(self._kept)] ^= self._suffix
        end[-1] ^= 0x80
        self._block(bytes(end))
        out = b""
        while True:
            out += b"".join(lane.to_bytes(8, "little") for lane in self._state[: self.block_size // 8])
            if len(out) >= size:
                return out[:size]
            _permute(self._state)


def _keccak(kind, size, capacity, suffix):
    return type(kind, (_Keccak,), {"name": kind, "digest_size": size, "block_size": 200 - capacity, "_suffix": suffix})


sha3_224, sha3_256, sha3_384, sha3_512 = [_keccak("sha3_%d" % n, n // 8, n // 4, 6) for n in (224, 256, 384, 512)]
shake_128, shake_256 = _keccak("shake_128", 0, 32, 31), _keccak("shake_256", 0, 64, 31)

# The order in which a round of BLAKE2 takes the words of a block.
_ORDER = [
    [int(c, 16) for c in line]
    for line in (
        "0123456789abcdef ea489fd61c02b753 b8c052fdae367194 7931dcbe265a40f8 905724afe1bc683d "
        "2c6a0b834d75fe19 c51fed4a0763928b db7ec13950f4862a 6fe9b308c2d714a5 a2847615fb9e3cd0"
    ).split()
]
_MIXED = [(0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15), (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)]


class _Blake(_Digest):
    def __init__(
        self, data=b"", *, digest_size=None, key=b"", salt=b"", person=b"", fanout=1, depth=1, leaf_size=0, node_offset=0,
        node_depth=0, inner_size=0, last_node=False, usedforsecurity=True
    ):
        most, half = self.MAX_DIGEST_SIZE, self.SALT_SIZE
        size = most if digest_size is None else digest_size
        if not 1 <= size <= most:
            raise ValueError("digest_size must be between 1 and %d bytes" % most)
        for name, value, limit in (("key", key, most), ("salt", salt, half), ("person", person, half)):
            if len(value) > limit:
                raise ValueError("maximum %s length is %d bytes" % (name, limit))
        offset_size = 8 if most == 64 else 6
        for name, value, limit in (
            ("fanout", fanout, 255), ("depth", depth, 255), ("leaf_size", leaf_size, (1 << 32) - 1), ("node_depth", node_depth, 255),
            ("node_offset", node_offset, (1 << 8 * offset_size) - 1), ("inner_size", inner_size, most),
        ):
            if not (name == "depth") <= value <= limit:
                raise ValueError("%s is out of range" % name)
        self.digest_size, self._hold, self._kept, self._count = size, self.block_size, b"", 0
        self._last_node = bool(last_node)
        block = bytes((size, len(key), fanout, depth)) + leaf_size.to_bytes(4, "little")
        block += node_offset.to_bytes(offset_size, "little") + bytes((node_depth, inner_size)) + bytes(14 if most == 64 else 0)
        block += bytes(salt).ljust(half, b"\0") + bytes(person).ljust(half, b"\0")
        word = most // 8
        self._state = [self._begin[i] ^ int.from_bytes(block[i * word : (i + 1) * word], "little") for i in range(8)]
        if key:
            self.update(bytes(key).ljust(self.block_size, b"\0"))
        self.update(data)

    def _block(self, block):
        self._count += self.block_size
        self._mix(block, 0, 0)

    def _mix(self, block, last, last_node):
        word, mask = self.block_size // 16, (1 << self.block_size // 2) - 1
        width, (a, b, c, d) = 8 * word, self._turns
        m = [int.from_bytes(block[i : i + word], "little") for i in range(0, self.block_size, word)]
        v = self._state + list(self._begin)
        v[12] ^= self._count & mask
        v[13] ^= self._count >> width
        v[14] ^= last and mask
        v[15] ^= last_node and mask
        for number in range(self._times):
            order = _ORDER[number % 10]
            for i in range(8):
                w, x, y, z = _MIXED[i]
                for word_, first, second in ((m[order[2 * i]], a, b), (m[order[2 * i + 1]], c, d)):
                    v[w] = v[w] + v[x] + word_ & mask
                    t = v[z] ^ v[w]
                    v[z] = (t >> first | t << width - first) & mask
                    v[y] = v[y] + v[z] & mask
                    t = v[x] ^ v[y]
                    v[x] = (t >> second | t << width - second) & mask
        for i in range(8):
            self._state[i] ^= v[i] ^ v[i + 8]

    def _finish(self):
        self._count += len(self._kept)
        self._mix(self._kept.ljust(self.block_size, b"\0"), 1, self._last_node)
        return b"".join(h.to_bytes(self.block_size // 16, "little") for h in self._state)[: self.digest_size]


def _roots(bits):
    """The fractions of the square roots of the first eight primes."""
    out = []
    for prime in (2, 3, 5, 7, 11, 13, 17, 19):
        low, high = 0, 5 << bits
        while high - low > 1:
            middle = low + high >> 1
            low, high = (middle, high) if middle * middle <= prime << 2 * bits else (low, middle)
        out.append(low & (1 << bits) - 1)
    return out


class blake2b(_Blake):
    name, block_size, MAX_DIGEST_SIZE, MAX_KEY_SIZE, SALT_SIZE, PERSON_SIZE = "blake2b", 128, 64, 64, 16, 16
    _turns, _times, _begin = (32, 24, 16, 63), 12, _roots(64)


class blake2s(_Blake):
    name, block_size, MAX_DIGEST_SIZE, MAX_KEY_SIZE, SALT_SIZE, PERSON_SIZE = "blake2s", 64, 32, 32, 8, 8
    _turns, _times, _begin = (16, 12, 8, 7), 10, _roots(32)
