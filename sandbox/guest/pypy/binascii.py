"""Binary data as text, in pure Python, which is what this interpreter has."""


class Error(ValueError):
    pass


class Incomplete(Exception):
    pass


_HEX = "0123456789abcdef"
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_VALUES = {c: i for i, c in enumerate(_BASE64)}
_PAIRS = [_BASE64[i >> 6 : (i >> 6) + 1] + _BASE64[i & 63 : (i & 63) + 1] for i in range(1 << 12)]


def _data(data):
    """The bytes of a text of ASCII, or of whatever has bytes."""
    if isinstance(data, str):
        try:
            return data.encode("ascii")
        except UnicodeEncodeError:
            raise ValueError("string argument should contain only ASCII characters")
    return bytes(memoryview(data))


def hexlify(data, *separators):
    if not separators:
        return bytes(memoryview(data)).hex().encode("ascii")
    data = bytes(memoryview(data))
    separator, every = separators[0], separators[1] if len(separators) > 1 else 1
    if isinstance(separator, str):
        separator = separator.encode("ascii")
    digits = [b"%02x" % b for b in data]
    if every == 0:
        return b"".join(digits)
    size = abs(every)
    first = len(digits) % size if every > 0 else 0
    groups = [digits[:first]] if first else []
    groups += [digits[i : i + size] for i in range(first, len(digits), size)]
    return separator.join(b"".join(g) for g in groups)


b2a_hex = hexlify


def unhexlify(text):
    text = _data(text)
    if len(text) % 2:
        raise Error("Odd-length string")
    if text.translate(None, b"0123456789abcdefABCDEF"):
        raise Error("Non-hexadecimal digit found")
    return bytes.fromhex(text.decode("ascii"))


a2b_hex = unhexlify


def b2a_base64(data, *, newline=True):
    data = bytes(memoryview(data))
    out = []
    whole = len(data) - len(data) % 3
    for i in range(0, whole, 3):
        n = data[i] << 16 | data[i + 1] << 8 | data[i + 2]
        out.append(_PAIRS[n >> 12])
        out.append(_PAIRS[n & 4095])
    rest = data[whole:]
    if len(rest) == 1:
        out.append(_PAIRS[rest[0] << 4] + b"==")
    elif rest:
        n = rest[0] << 8 | rest[1]
        out.append(_PAIRS[n >> 4] + _BASE64[(n & 15) << 2 : ((n & 15) << 2) + 1] + b"=")
    if newline:
        out.append(b"\n")
    return b"".join(out)


def a2b_base64(text, *, strict_mode=False):
    text = _data(text)
    lines = text if strict_mode else text.translate(None, b"\r\n")
    end = lines[-2:].count(b"=")
    if len(lines) % 4 == 0 and not lines[: len(lines) - end].translate(None, _BASE64):
        return _groups(lines, end)
    return _characters(text, strict_mode)


def _groups(text, pads):
    """What nobody has tampered with: groups of four characters, the last one filled up."""
    values, out = _VALUES, []
    if pads:
        text = text[:-pads] + b"A" * pads
    for i in range(0, len(text), 4):
        a, b, c, d = text[i : i + 4]
        out.append((values[a] << 18 | values[b] << 12 | values[c] << 6 | values[d]).to_bytes(3, "big"))
    data = b"".join(out)
    return data[: len(data) - pads]


def _characters(text, strict):
    """Anything else: what is no character of the alphabet is passed over, and padding ends where it is complete."""
    out = bytearray()
    bits = count = pads = characters = 0
    for c in text:
        value = _VALUES.get(c)
        if c == 61:  # "="
            pads += 1
            if count >= 2 and count + pads >= 4:
                if strict and not text.endswith(b"="):
                    raise Error("Excess data after padding")
                return bytes(out)
            continue
        if value is None:
            if strict:
                raise Error("Only base64 data is allowed")
            continue
        if pads and strict:
            raise Error("Discontinuous padding not allowed")
        pads = 0
        characters += 1
        bits, count = (bits << 6 | value) & 0xFFF, (count + 1) % 4
        if count != 1:  # the first character of a group completes no byte
            out.append(bits >> (4, 0, 4, 2)[count] & 255 if count else bits & 255)
    if count == 1:
        raise Error(
            "Invalid base64-encoded string: number of data characters (%d) cannot be 1 more than a multiple of 4" % characters
        )
    if count:
        raise Error("Incorrect padding")
    return bytes(out)


def _crc_table():
    table = []
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ 0xEDB88320 if n & 1 else n >> 1
        table.append(n)
    return table


_crc = []


def crc32(data, value=0):
    if not _crc:
        _crc.extend(_crc_table())
    table, value = _crc, value & 0xFFFFFFFF ^ 0xFFFFFFFF
    for b in bytes(memoryview(data)):
        value = table[(value ^ b) & 255] ^ value >> 8
    return value ^ 0xFFFFFFFF


def crc_hqx(data, value):
    value &= 0xFFFF
    for b in bytes(memoryview(data)):
        value ^= b << 8
        for _ in range(8):
            value = (value << 1 ^ 0x1021 if value & 0x8000 else value << 1) & 0xFFFF
    return value


def b2a_uu(data, *, backtick=False):
    data = bytes(memoryview(data))
    if len(data) > 45:
        raise Error("At most 45 bytes at once")
    zero = 96 if backtick else 32
    out = bytearray([len(data) + 32 if data else zero])
    for i in range(0, len(data), 3):
        n = int.from_bytes(data[i : i + 3].ljust(3, b"\0"), "big")
        out += bytes((n >> shift & 63) + 32 if n >> shift & 63 else zero for shift in (18, 12, 6, 0))
    return bytes(out) + b"\n"


def a2b_uu(text):
    text = _data(text)
    size = (text[0] - 32) & 63 if text else 0
    out = bytearray()
    line = text[1:].rstrip(b"\r\n")
    for c in line:
        if not 32 <= c <= 96:
            raise Error("Illegal char")
    line = line.ljust((size + 2) // 3 * 4, b" ")
    for i in range(0, (size + 2) // 3 * 4, 4):
        n = 0
        for c in line[i : i + 4]:
            n = n << 6 | (c - 32) & 63
        out += n.to_bytes(3, "big")
    if line[(size + 2) // 3 * 4 :].strip(b" `"):
        raise Error("Trailing garbage")
    return bytes(out[:size])


def b2a_qp(data, quotetabs=False, istext=True, header=False):
    data = bytes(memoryview(data))
    ending = b"\r\n" if b"\r\n" in data and data.index(b"\n") and data[data.index(b"\n") - 1] == 13 else b"\n"
    out, line = [], b""
    size = len(data)
    i = 0
    while i < size:
        c = data[i]
        if istext and (c == 10 or c == 13 and i + 1 < size and data[i + 1] == 10):
            if line[-1:] in (b" ", b"\t"):
                line = line[:-1] + b"=%02X" % line[-1]
            out.append(line + ending)
            line = b""
            i += 2 if c == 13 else 1
            continue
        last = i + 1 == size or data[i + 1] == 10
        if (
            c > 126
            or c == 61
            or header and c == 95
            or c == 46 and not line and (i + 1 == size or data[i + 1] in (10, 13, 0))
            or not istext and c in (10, 13)
            or c in (9, 32) and (quotetabs or i + 1 == size)
            or c < 33 and c not in (9, 10, 13, 32)
        ):
            item = b"=%02X" % c
        elif header and c == 32:
            item = b"_"
        else:
            item = bytes((c,))
        if len(line) + len(item) > (76 if last and len(item) == 1 else 75):
            out.append(line + b"=" + ending)
            line = b""
        line += item
        i += 1
    return b"".join(out) + line


def a2b_qp(data, header=False):
    data = _data(data)
    out = bytearray()
    i, size = 0, len(data)
    while i < size:
        c = data[i]
        i += 1
        if c == 61:  # "="
            if i >= size:
                break
            if data[i] in (10, 13):
                end = data.find(b"\n", i)
                i = size if end < 0 else end + 1
            elif data[i] == 61:
                out.append(61)
                i += 1
            else:
                try:
                    out += unhexlify(data[i : i + 2].ljust(2))
                    i += 2
                except Error:
                    out.append(61)
        elif header and c == 95:
            out.append(32)
        else:
            out.append(c)
    return bytes(out)
