"""What Unicode says of characters, but for their names, which are not here."""

import _unicode

unidata_version = _unicode.VERSION

_MISSING = object()
_LAST = 0x110000
_S, _L, _V, _T, _VS, _TS = 0xAC00, 0x1100, 0x1161, 0x11A7, 21, 28  # Hangul, chapter 3.12
_SYLLABLES = 19 * _VS * _TS


class _Runs(object):
    """A value for each character, as runs of characters that have the same."""

    def __init__(self, runs):
        self.starts, self.values, at = [], [], 0
        for value, count in runs:
            self.starts.append(at)
            self.values.append(value)
            at += count

    def __getitem__(self, code):
        low, high = 0, len(self.starts)
        while high - low > 1:
            middle = (low + high) // 2
            if self.starts[middle] <= code:
                low = middle
            else:
                high = middle
        return self.values[low]


def _once(make):
    """Make something when it is first asked for."""
    made = []

    def get():
        if not made:
            made.append(make())
        return made[0]

    return get


@_once
def _records():
    records = [tuple(r.split(",")) for r in _unicode.RECORDS.split()]
    return _Runs((records[int(at)], int(count)) for at, count in (r.split(",") for r in _unicode.RUNS.split()))


@_once
def _old():
    """What Unicode 3.2 said of a character: "-" unassigned, "=" as now, or its category and direction."""
    return _Runs((value, int(count)) for value, count in (word.split(":") for word in _unicode.OLD.split()))


@_once
def _corrected():
    """By character: the one that Unicode 3.2 normalized it to, which was a mistake."""
    return dict([int(part, 16) for part in word.split(",")] for word in _unicode.OLD_CORRECTED.split())


@_once
def _decompositions():
    """By character: a tag, "" for none, and the characters that it stands for."""
    tags, out, code = _unicode.TAGS.split(), {}, 0
    for word in _unicode.DECOMPOSITIONS.split():
        at = next(i for i, c in enumerate(word) if c == "=" or "G" <= c <= "V")
        code += int(word[:at], 16)
        tag = "" if word[at] == "=" else tags[ord(word[at]) - ord("G")]
        out[code] = tag, [int(part, 16) for part in word[at + 1 :].split(",")]
    return out


@_once
def _compositions():
    """By two characters: the one that they compose to."""
    excluded = set(int(word, 16) for word in _unicode.EXCLUDED.split())
    return {
        tuple(parts): code
        for code, (tag, parts) in _decompositions().items()
        if not tag and len(parts) == 2 and code not in excluded
    }


@_once
def _numbers():
    """By character: its number as a numerator and a denominator, and "D" for a decimal, "d" for another digit."""
    out = {}
    for word in _unicode.NUMBERS.split():
        first, count, value, kind = word.split(",")
        above, _, below = value.partition("/")
        for n in range(int(count)):
            out[int(first, 16) + n] = int(above) + n * int(below or 1), int(below or 1), kind
    return out


def _code(name, chr):
    if not isinstance(chr, str) or len(chr) != 1:
        what = "a string of length %d" % len(chr) if isinstance(chr, str) else type(chr).__name__
        raise TypeError("%s() argument must be a unicode character, not %s" % (name, what))
    return ord(chr)


def _record(name, chr):
    return _records()[_code(name, chr)]


def category(chr):
    return _record("category", chr)[0]


def bidirectional(chr):
    return _record("bidirectional", chr)[1].replace("-", "")


def east_asian_width(chr):
    return _record("east_asian_width", chr)[2]


def combining(chr):
    return int(_record("combining", chr)[3])


def mirrored(chr):
    return int(_record("mirrored", chr)[4])


def decomposition(chr):
    tag, parts = _decompositions().get(_code("decomposition", chr), ("", []))
    return ("<%s> " % tag if tag else "") + " ".join("%04X" % part for part in parts)


def _number(name, chr, default, kinds):
    above, below, kind = _numbers().get(_code(name, chr), (0, 1, None))
    if kind is None or kind not in kinds:
        if default is _MISSING:
            raise ValueError("not a %s" % {"numeric": "numeric character"}.get(name, name))
        return default
    return above / below if name == "numeric" else above


def decimal(chr, default=_MISSING):
    return _number("decimal", chr, default, ("D",))


def digit(chr, default=_MISSING):
    return _number("digit", chr, default, ("D", "d"))


def numeric(chr, default=_MISSING):
    return _number("numeric", chr, default, ("D", "d", ""))


def name(chr, default=_MISSING):
    _code("name", chr)
    if default is _MISSING:
        raise ValueError("no such name: the PyPy of the Shannot sandbox has no names of characters; see --engine native")
    return default


def lookup(name):
    raise KeyError("undefined character name %r: the PyPy of the Shannot sandbox has none; see --engine native" % name)


def _decompose(text, compatible, known):
    """The characters that the text stands for, in canonical order."""
    table, records, out = _decompositions(), _records(), []
    stack = [ord(c) for c in reversed(text)]
    while stack:
        code = stack.pop()
        if _S <= code < _S + _SYLLABLES:
            at = code - _S
            out.append(_L + at // (_VS * _TS))
            out.append(_V + at % (_VS * _TS) // _TS)
            if at % _TS:
                out.append(_T + at % _TS)
            continue
        tag, parts = table.get(code, ("", None)) if code >= 0xA0 else ("", None)
        if known is not None and code in _corrected():
            out.append(_corrected()[code])
        elif parts is None or tag and not compatible or known is not None and known[code] == "-":
            out.append(code)
        else:
            stack.extend(reversed(parts))
    at = 0
    while at < len(out):
        if out[at] < 0x300 or records[out[at]][3] == "0":
            at += 1
            continue
        end = at
        while end < len(out) and out[end] >= 0x300 and records[out[end]][3] != "0":
            end += 1
        out[at:end] = sorted(out[at:end], key=lambda code: int(records[code][3]))
        at = end
    return out


def _compose(codes, known):
    """The same text with as few characters as it takes."""
    table, records, out = _compositions(), _records(), []
    starter, last = -1, 0  # where the last starter is in out, and the class of what came after it
    for code in codes:
        kind = 0 if code < 0x300 else int(records[code][3])
        if starter >= 0 and (last < kind or last == 0 and starter == len(out) - 1):
            before = out[starter]
            both = table.get((before, code))
            if both is None and _L <= before < _L + 19 and _V <= code < _V + _VS:
                both = _S + ((before - _L) * _VS + code - _V) * _TS
            elif both is None and _S <= before < _S + _SYLLABLES and (before - _S) % _TS == 0 and _T < code < _T + _TS:
                both = before + code - _T
            if both is not None and (known is None or known[both] != "-"):
                out[starter] = both
                continue
        if kind == 0:
            starter = len(out)
        last = kind
        out.append(code)
    return out


def _normalize(form, text, known):
    if form not in ("NFC", "NFD", "NFKC", "NFKD"):
        raise ValueError("invalid normalization form")
    if not isinstance(text, str):
        raise TypeError("normalize() argument 2 must be str, not %s" % type(text).__name__)
    try:
        text.encode("ascii")
        return text
    except UnicodeEncodeError:
        pass
    codes = _decompose(text, "K" in form, known)
    if form[-1] == "C":
        codes = _compose(codes, known)
    return "".join(map(chr, codes))


def normalize(form, unistr):
    return _normalize(form, unistr, None)


def is_normalized(form, unistr):
    return normalize(form, unistr) == unistr


class UCD(object):
    """The characters of Unicode 3.2, for names of hosts (RFC 3490). Others are unassigned."""

    unidata_version = "3.2.0"

    def normalize(self, form, unistr):
        return _normalize(form, unistr, _old())

    def category(self, chr):
        old = _old()[_code("category", chr)]
        return category(chr) if old == "=" else "Cn" if old == "-" else old.split(",")[0]

    def bidirectional(self, chr):
        old = _old()[_code("bidirectional", chr)]
        return bidirectional(chr) if old == "=" else "" if old == "-" else old.split(",")[1]


def _then(function, unassigned):
    """A function that knows what was assigned then."""

    def asked(self, chr, *default):
        if _old()[_code(function.__name__, chr)] == "-":
            return unassigned if not default else default[0]
        return function(chr, *default)

    asked.__name__ = function.__name__
    return asked


for _function, _unassigned in ((east_asian_width, "N"), (combining, 0), (mirrored, 0), (decomposition, "")):
    setattr(UCD, _function.__name__, _then(_function, _unassigned))
for _function in (decimal, digit, numeric, name, lookup):
    setattr(UCD, _function.__name__, staticmethod(_function))
ucd_3_2_0 = UCD()
