"""Rows of comma-separated values, in pure Python: what the csv module takes from C elsewhere."""

__version__ = "1.0"

QUOTE_MINIMAL, QUOTE_ALL, QUOTE_NONNUMERIC, QUOTE_NONE = range(4)

_dialects = {}
_limit = 128 * 1024  # characters of a field


class Error(Exception):
    pass


def _character(name, value, none=True):
    if value is None and none:
        return None
    if not isinstance(value, str):
        what = "string or None" if none else "string"
        raise TypeError('"%s" must be %s, not %s' % (name, what, type(value).__name__))
    if len(value) != 1:
        if none and name == "quotechar" and value == "":
            return None
        raise TypeError('"%s" must be a 1-character string' % name)
    return value


_DEFAULTS = {
    "delimiter": ",", "doublequote": True, "escapechar": None, "lineterminator": "\r\n", "quotechar": '"',
    "quoting": QUOTE_MINIMAL, "skipinitialspace": False, "strict": False,
}


class Dialect(object):
    """How rows are written, checked. It does not change."""

    __slots__ = ("delimiter", "doublequote", "escapechar", "lineterminator", "quotechar", "quoting", "skipinitialspace", "strict")

    def __new__(cls, dialect=None, **kwds):
        for name in kwds:
            if name not in _DEFAULTS:
                raise TypeError("'%s' is an invalid keyword argument for this function" % name)
        if isinstance(dialect, str):
            dialect = get_dialect(dialect)
        if type(dialect) is Dialect and not kwds:
            return dialect
        self = object.__new__(cls)
        values = {}
        for name, default in _DEFAULTS.items():
            values[name] = kwds[name] if name in kwds else getattr(dialect, name, default)
        values["delimiter"] = _character("delimiter", values["delimiter"], none=False)
        values["escapechar"] = _character("escapechar", values["escapechar"])
        values["quotechar"] = _character("quotechar", values["quotechar"])
        for name in ("doublequote", "skipinitialspace", "strict"):
            values[name] = bool(values[name])
        if not isinstance(values["lineterminator"], str):
            raise TypeError('"lineterminator" must be a string, not %s' % type(values["lineterminator"]).__name__)
        quoting = values["quoting"]
        if type(quoting) is not int:
            raise TypeError('"quoting" must be an integer, not %s' % type(quoting).__name__)
        if not QUOTE_MINIMAL <= quoting <= QUOTE_NONE:
            raise TypeError('bad "quoting" value')
        if quoting != QUOTE_NONE and values["quotechar"] is None:
            if "quoting" in kwds or hasattr(dialect, "quoting"):
                raise TypeError("quotechar must be set if quoting enabled")
            values["quoting"] = QUOTE_NONE
        for name, value in values.items():
            object.__setattr__(self, name, value)
        return self

    def __setattr__(self, name, value):
        if name in self.__slots__:
            raise AttributeError("attribute '%s' is read-only" % name)
        raise AttributeError(name)

    def __delattr__(self, name):
        self.__setattr__(name, None)


def register_dialect(name, dialect=None, **kwds):
    if not isinstance(name, str):
        raise TypeError("dialect name must be a string")
    _dialects[name] = Dialect(dialect, **kwds)


def unregister_dialect(name):
    try:
        del _dialects[name]
    except (KeyError, TypeError):
        raise Error("unknown dialect")


def get_dialect(name):
    try:
        return _dialects[name]
    except (KeyError, TypeError):
        raise Error("unknown dialect")


def list_dialects():
    return list(_dialects)


def field_size_limit(limit=None):
    global _limit
    old = _limit
    if limit is not None:
        if not isinstance(limit, int):
            raise TypeError("limit must be an integer")
        _limit = limit
    return old


# What a reader is at: before a row, before a field, in one, in a quoted one, behind a quote in such a one, behind an escape
# character (also in a quoted field), behind an escaped end of a line, and behind the end of a row.
_ROW, _FIELD, _PLAIN, _QUOTED, _QUOTE, _ESCAPE, _ESCAPE_QUOTED, _ESCAPED_END, _END = range(9)


class _Reader(object):
    def __init__(self, lines, dialect=None, **kwds):
        self._lines = iter(lines)
        self.dialect = Dialect(dialect, **kwds)
        self.line_num = 0

    def __iter__(self):
        return self

    def __next__(self):
        row = _Row(self.dialect)
        while True:
            try:
                line = next(self._lines)
            except StopIteration:
                if row.field or row.state == _QUOTED:
                    if self.dialect.strict:
                        raise Error("unexpected end of data")
                    row.save()
                    return row.fields
                if row.fields:
                    return row.fields
                raise
            if not isinstance(line, str):
                kind = type(line).__name__
                raise Error("iterator should return strings, not %s (did you open the file in text mode?)" % kind)
            self.line_num += 1
            if row.read(line):
                return row.fields


class _Row(object):
    """A row that is being read."""

    def __init__(self, dialect):
        self.dialect = dialect
        self.fields, self.field, self.size = [], [], 0
        self.state, self.number = _ROW, False

    def save(self):
        text = "".join(self.field)
        self.field, self.size = [], 0
        if self.number:
            self.number = False
            text = float(text)
        self.fields.append(text)

    def add(self, text):
        self.size += len(text)
        if self.size > _limit:
            raise Error("field larger than field limit (%d)" % _limit)
        self.field.append(text)

    def read(self, line):
        """Take a line, and report whether the row ends with it."""
        d = self.dialect
        if self.state == _ROW and d.quoting != QUOTE_NONNUMERIC and not d.skipinitialspace:
            if (d.quotechar or "\n") not in line[:-1] and (d.escapechar or "\n") not in line[:-1]:
                if self._read_plain(line):
                    return True
        for c in line:
            self._step(c)
        self._step(None)
        return self.state == _ROW

    def _read_plain(self, line):
        """Take a line that has nothing but fields and delimiters; else leave it."""
        d = self.dialect
        text = line[:-2] if line.endswith("\r\n") else line[:-1] if line.endswith(("\n", "\r")) else line
        special = (d.quotechar, d.escapechar, "\n", "\r")
        if not text or any(s in text for s in special if s) or d.delimiter in "\r\n":
            return not line
        fields = text.split(d.delimiter)
        if len(text) > _limit:
            for field in fields:
                self.add(field)
                self.field, self.size = [], 0
        self.fields = fields
        return True

    def _step(self, c):
        """Take a character, or the end of a line, which is None."""
        d, state, ends = self.dialect, self.state, c is None or c in "\n\r"
        if state == _ROW:
            if c is None:
                return
            if ends:
                self.state = _END
                return
            state = self.state = _FIELD
        if state == _ESCAPED_END:
            if c is None:
                return
            state = self.state = _PLAIN
        if state == _FIELD:
            self._begin(c, ends)
        elif state == _PLAIN:
            if ends:
                self._end(c)
            elif c == d.escapechar:
                self.state = _ESCAPE
            elif c == d.delimiter:
                self.save()
                self.state = _FIELD
            else:
                self.add(c)
        elif state == _QUOTED:
            if c is None:
                pass
            elif c == d.escapechar:
                self.state = _ESCAPE_QUOTED
            elif c == d.quotechar and d.quoting != QUOTE_NONE:
                self.state = _QUOTE if d.doublequote else _PLAIN
            else:
                self.add(c)
        elif state == _QUOTE:
            self._behind_quote(c, ends)
        elif state == _END:
            if c is None:
                self.state = _ROW
            elif not ends:
                raise Error("new-line character seen in unquoted field - do you need to open the file in universal-newline mode?")
        else:
            self.add("\n" if c is None else c)
            # A line whose end is escaped goes on with the next.
            self.state = _QUOTED if state == _ESCAPE_QUOTED else _PLAIN if c is None or not ends else _ESCAPED_END

    def _begin(self, c, ends):
        d = self.dialect
        if ends:
            self.save()
            self.state = _ROW if c is None else _END
        elif c == d.quotechar and d.quoting != QUOTE_NONE:
            self.state = _QUOTED
        elif c == d.escapechar:
            self.state = _ESCAPE
        elif c == " " and d.skipinitialspace:
            pass
        elif c == d.delimiter:
            self.save()
        else:
            self.number = d.quoting == QUOTE_NONNUMERIC
            self.add(c)
            self.state = _PLAIN

    def _end(self, c):
        self.save()
        self.state = _ROW if c is None else _END

    def _behind_quote(self, c, ends):
        d = self.dialect
        if d.quoting != QUOTE_NONE and c is not None and c == d.quotechar:
            self.add(c)
            self.state = _QUOTED
        elif c == d.delimiter:
            self.save()
            self.state = _FIELD
        elif ends:
            self._end(c)
        elif not d.strict:
            self.add(c)
            self.state = _PLAIN
        else:
            raise Error("'%s' expected after '%s'" % (d.delimiter, d.quotechar))


def reader(lines, dialect=None, **kwds):
    return _Reader(lines, dialect, **kwds)


class _Writer(object):
    def __init__(self, file, dialect=None, **kwds):
        self.dialect = Dialect(dialect, **kwds)
        self._write = file.write
        if not callable(self._write):
            raise TypeError('argument 1 must have a "write" method')

    def writerow(self, row):
        try:
            fields = list(row)
        except TypeError:
            raise Error("iterable expected, not %s" % type(row).__name__)
        d = self.dialect
        texts = [self._field(f, len(fields) == 1) for f in fields]
        return self._write(d.delimiter.join(texts) + d.lineterminator)

    def writerows(self, rows):
        for row in rows:
            self.writerow(row)

    def _field(self, field, alone):
        d = self.dialect
        number = isinstance(field, (int, float)) or type(field).__name__ == "Decimal"
        quoted = d.quoting == QUOTE_ALL or d.quoting == QUOTE_NONNUMERIC and not number
        text = "" if field is None else field if isinstance(field, str) else str(field)
        out = []
        for c in text:
            if c == d.delimiter or c == d.escapechar or c == d.quotechar or c in d.lineterminator:
                escape = False
                if d.quoting == QUOTE_NONE:
                    escape = True
                elif c == d.quotechar:
                    if d.doublequote:
                        out.append(c)
                    else:
                        escape = True
                elif c == d.escapechar:
                    escape = True
                if not escape:
                    quoted = True
                elif d.escapechar is None:
                    raise Error("need to escape, but no escapechar set")
                else:
                    out.append(d.escapechar)
            out.append(c)
        if not text and alone:
            if d.quoting == QUOTE_NONE:
                raise Error("single empty field record must be quoted")
            quoted = True
        text = "".join(out)
        return d.quotechar + text + d.quotechar if quoted else text


def writer(file, dialect=None, **kwds):
    return _Writer(file, dialect, **kwds)
