"""Parse XML in pure Python, as the parsers of the standard library ask for it.

An entity that a document declares may stand for text alone, up to a bound for the whole document; others are refused. No
external part of a document is read.
"""

import re

version_info, EXPAT_VERSION, native_encoding = (2, 2, 8), "expat_2.2.8", "UTF-8"
features = []
XML_PARAM_ENTITY_PARSING_NEVER, XML_PARAM_ENTITY_PARSING_UNLESS_STANDALONE, XML_PARAM_ENTITY_PARSING_ALWAYS = range(3)

MOST_DEPTH = 10000  # open elements
MOST_EXPANDED = 1 << 20  # characters that entities of the document stand for, together


class ExpatError(Exception):
    pass


error = ExpatError


class _Names(object):
    """The submodules model and errors."""

    def __init__(self, name, **items):
        self.__name__ = name
        self.__dict__.update(items)


_MESSAGES = {
    2: "syntax error", 3: "no element found", 4: "not well-formed (invalid token)", 5: "unclosed token", 7: "mismatched tag",
    8: "duplicate attribute", 9: "junk after document element", 11: "undefined entity", 14: "reference to invalid character number",
    17: "XML or text declaration not at start of entity", 18: "unknown encoding", 23: "unclosed CDATA section",
    27: "unbound prefix", 28: "must not undeclare prefix", 36: "parsing finished",
}
_CONSTANTS = {
    "XML_ERROR_SYNTAX": 2, "XML_ERROR_NO_ELEMENTS": 3, "XML_ERROR_INVALID_TOKEN": 4, "XML_ERROR_UNCLOSED_TOKEN": 5,
    "XML_ERROR_TAG_MISMATCH": 7, "XML_ERROR_DUPLICATE_ATTRIBUTE": 8, "XML_ERROR_JUNK_AFTER_DOC_ELEMENT": 9,
    "XML_ERROR_UNDEFINED_ENTITY": 11, "XML_ERROR_BAD_CHAR_REF": 14, "XML_ERROR_MISPLACED_XML_PI": 17,
    "XML_ERROR_UNKNOWN_ENCODING": 18, "XML_ERROR_UNCLOSED_CDATA_SECTION": 23, "XML_ERROR_UNBOUND_PREFIX": 27,
    "XML_ERROR_FINISHED": 36,
}
errors = _Names("pyexpat.errors", messages=dict(_MESSAGES), codes={m: n for n, m in _MESSAGES.items()})
errors.__dict__.update({name: _MESSAGES[code] for name, code in _CONSTANTS.items()})
model = _Names("pyexpat.model", XML_CTYPE_EMPTY=1, XML_CTYPE_ANY=2, XML_CTYPE_MIXED=3, XML_CTYPE_NAME=4, XML_CTYPE_CHOICE=5, XML_CTYPE_SEQ=6)


def ErrorString(code):
    return _MESSAGES.get(code)


_NAME = r"[A-Za-z_:\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02ff\u0370-\u037d\u037f-\u1fff\u200c\u200d\u2070-\u218f\u2c00-\u2fef"
_NAME += r"\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff][-.0-9\u00b7\u0300-\u036f\u203f\u2040A-Za-z_:"
_NAME += r"\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02ff\u0370-\u037d\u037f-\u1fff\u200c\u200d\u2070-\u218f\u2c00-\u2fef"
_NAME += r"\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff]*"
_name = re.compile(_NAME)
_attribute = re.compile("[ \t\n]+(" + _NAME + ")[ \t\n]*=[ \t\n]*(?:\"([^<\"]*)\"|'([^<']*)')")
_tag = re.compile("(?:[^<>\"']+|\"[^\"]*\"|'[^']*')*")
_reference = re.compile("&(?:#([0-9]+)|#x([0-9A-Fa-f]+)|(" + _NAME + "));")
_forbidden = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_declared = re.compile(
    "<\\?xml[ \t\r\n]+version[ \t\r\n]*=[ \t\r\n]*[\"']1\\.[0-9][\"']"
    "(?:[ \t\r\n]+encoding[ \t\r\n]*=[ \t\r\n]*[\"']([A-Za-z][-A-Za-z0-9._]*)[\"'])?"
    "(?:[ \t\r\n]+standalone[ \t\r\n]*=[ \t\r\n]*[\"'](yes|no)[\"'])?[ \t\r\n]*\\?>"
)
_doctype = re.compile(
    "<!DOCTYPE[ \t\n]+(" + _NAME + ")(?:[ \t\n]+SYSTEM[ \t\n]+(\"[^\"]*\"|'[^']*')"
    "|[ \t\n]+PUBLIC[ \t\n]+(\"[^\"]*\"|'[^']*')[ \t\n]+(\"[^\"]*\"|'[^']*'))?[ \t\n]*"
)
_entity = re.compile("<!ENTITY[ \t\n]+(" + _NAME + ")[ \t\n]+(?:\"([^\"&<%]*)\"|'([^'&<%]*)')?")
_PREDEFINED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"', "apos": "'"}


class _More(Exception):
    """The document may go on here: what comes decides."""


class XMLParserType(object):
    buffer_text = ordered_attributes = specified_attributes = namespace_prefixes = False
    buffer_size, buffer_used = 8192, 0
    ErrorCode = 0
    _HANDLERS = (
        "StartElementHandler EndElementHandler CharacterDataHandler ProcessingInstructionHandler CommentHandler "
        "StartCdataSectionHandler EndCdataSectionHandler DefaultHandler DefaultHandlerExpand StartNamespaceDeclHandler "
        "EndNamespaceDeclHandler XmlDeclHandler StartDoctypeDeclHandler EndDoctypeDeclHandler EntityDeclHandler "
        "ElementDeclHandler AttlistDeclHandler NotationDeclHandler UnparsedEntityDeclHandler ExternalEntityRefHandler "
        "NotStandaloneHandler SkippedEntityHandler"
    ).split()

    def __init__(self, encoding=None, separator=None, intern=None):
        self.intern = {} if intern is None else intern
        for handler in self._HANDLERS:
            setattr(self, handler, None)
        self._encoding, self._separator = encoding, separator
        self._raw, self._decode = b"", None
        self._text, self._at = "", 0
        self._line, self._column, self._index = 1, 0, 0
        self._open, self._spaces = [], [{"xml": "http://www.w3.org/XML/1998/namespace"}]
        self._begun = self._root = self._ended = False
        self._entities, self._expanded, self._external, self._kept = {}, 0, False, []

    # What a caller may ask.

    CurrentLineNumber = ErrorLineNumber = property(lambda self: self._place()[0])
    CurrentColumnNumber = ErrorColumnNumber = property(lambda self: self._place()[1])
    CurrentByteIndex = ErrorByteIndex = property(lambda self: self._index + len(self._text[: self._at].encode("utf-8", "surrogatepass")))

    def _place(self):
        before = self._text[: self._at]
        lines = before.count("\n")
        return self._line + lines, len(before) - before.rfind("\n") - 1 if lines else self._column + len(before)

    def SetBase(self, base):
        self._base = base

    def GetBase(self):
        return getattr(self, "_base", None)

    def GetInputContext(self):
        return None

    def UseForeignDTD(self, flag=True):
        pass

    def SetParamEntityParsing(self, flag):
        return 1

    def ExternalEntityParserCreate(self, context, encoding=None):
        raise _failure(self, 11)

    def ParseFile(self, file):
        while True:
            data = file.read(2048)
            if not isinstance(data, (bytes, bytearray)):
                raise TypeError("read() did not return a bytes object (type=%s)" % type(data).__name__)
            if not data:
                return self.Parse(b"", True)
            self.Parse(data)

    def Parse(self, data, isfinal=False):
        if self._ended:
            raise _failure(self, 36)
        self._ended = bool(isfinal)
        if isinstance(data, str):
            data = data.encode("utf-8", "surrogatepass")
            self._encoding = "utf-8"
        self._raw += bytes(data)
        if not self._decoded(isfinal):
            return 1
        try:
            while self._at < len(self._text):
                self._step(isfinal)
        except _More:
            if isfinal:
                raise _failure(self, 23 if self._text.startswith("<![CDATA[", self._at) else 5)
        self._forget()
        if not self.buffer_text or isfinal:
            self._flush()
        if isfinal and (not self._root or self._open):
            self._flush()
            raise _failure(self, 3)
        return 1

    def _forget(self):
        """Drop what was parsed."""
        self._line, self._column = self._place()
        self._index = self.CurrentByteIndex
        self._text, self._at = self._text[self._at :], 0

    def _decoded(self, final):
        """Make text of the bytes, in the encoding that they say."""
        if self._decode is None:
            if len(self._raw) < 256 and b"?>" not in self._raw and not final:
                if not self._raw or b"<?xml"[: len(self._raw)] == self._raw[:5] or self._raw[0] in b"\xef\xfe\xff\0":
                    return False  # the declaration may be still to come
            name = self._encoding
            if name is None:
                for mark, known in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
                    if self._raw.startswith(mark):
                        name = known
            if name is None:
                found = _declared.match(self._raw[:256].decode("latin-1"))
                name = found.group(1) if found and found.group(1) else "utf-8"
            import codecs

            try:
                self._decode = codecs.getincrementaldecoder(name)("strict")
            except LookupError:
                raise _failure(self, 18)
        raw, self._raw = self._raw, b""
        try:
            text = self._decode.decode(raw, bool(final))
        except UnicodeDecodeError:
            raise _failure(self, 4)
        # A "\r" at the end may be half of an end of a line.
        text, self._return = getattr(self, "_return", "") + text, ""
        if text.endswith("\r") and not final:
            text, self._return = text[:-1], "\r"
        bad = _forbidden.search(text)
        self._text += text.replace("\r\n", "\n").replace("\r", "\n")
        if bad:
            self._at = len(self._text) - len(text) + bad.start()
            raise _failure(self, 4)
        return True

    # Parsing.

    def _step(self, final):
        text, at = self._text, self._at
        if text[at] == "<":
            self._markup(text, at)
        elif not self._open:
            end = at
            while end < len(text) and text[end] in " \t\n":
                end += 1
            if end < len(text) and text[end] != "<":
                self._at = end
                raise _failure(self, 9 if self._root else 2 if text[end] != "&" else 4)
            self._default(text[at:end])
            self._at, self._begun = end, True
        elif text[at] == "&":
            self._refer(text, at)
        else:
            end = at
            while end < len(text) and text[end] not in "<&":
                ends = [i for i in (text.find("<", end), text.find("&", end)) if i >= 0]
                end = min(ends) if ends else len(text)
            piece = text[at:end]
            if "]]>" in piece:
                self._at = at + piece.index("]]>")
                raise _failure(self, 4)
            if end == len(text) and piece[-2:].endswith("]") and not final:
                piece = piece.rstrip("]")
                if not piece:
                    raise _More
            self._characters(piece)
            self._at = at + len(piece)

    def _until(self, mark, start):
        end = self._text.find(mark, start)
        if end < 0:
            raise _More
        return end

    def _markup(self, text, at):
        for begin, parse in self._MARKUP:
            if text.startswith(begin, at):
                parse(self, text, at)
                self._begun = True
                return
            if begin.startswith(text[at:]):
                raise _More
        self._start(text, at)
        self._begun = True

    def _comment(self, text, at):
        end = self._until("--", at + 4)
        if len(text) < end + 3:
            raise _More
        if text[end + 2] != ">":
            self._at = end
            raise _failure(self, 4)
        self._event(self.CommentHandler, text[at : end + 3], text[at + 4 : end])
        self._at = end + 3

    def _instruction(self, text, at):
        end = self._until("?>", at + 2)
        found = _name.match(text, at + 2)
        if not found or found.end() > end or text[found.end()] not in " \t\n?":
            raise _failure(self, 4)
        if found.group().lower() == "xml":
            if self._begun or not _declared.match(text, at):
                raise _failure(self, 17 if self._begun else 4)
            version, encoding, standalone = "1.0", _declared.match(text, at).group(1), _declared.match(text, at).group(2)
            self._event(self.XmlDeclHandler, text[at : end + 2], version, encoding, {None: -1, "yes": 1, "no": 0}[standalone])
        else:
            self._event(
                self.ProcessingInstructionHandler, text[at : end + 2], found.group(), text[found.end() : end].lstrip(" \t\n")
            )
        self._at = end + 2

    def _cdata(self, text, at):
        if not self._open:
            raise _failure(self, 9 if self._root else 2)
        end = self._until("]]>", at + 9)
        self._event(self.StartCdataSectionHandler, "<![CDATA[")
        self._characters(text[at + 9 : end])
        self._event(self.EndCdataSectionHandler, "]]>")
        self._at = end + 3

    def _doctype(self, text, at):
        found = _doctype.match(text, at)
        if self._root or self._open:
            raise _failure(self, 4)
        if not found or found.end() == len(text) or text[found.end()] not in "[>":
            if ">" not in text[at:]:
                raise _More
            raise _failure(self, 2)
        end, inside = found.end(), text[found.end()] == "["
        if inside:
            end = self._subset(text, end + 1)
        if text[end] != ">":
            self._at = end
            raise _failure(self, 2)
        name, system, public, other = found.groups()
        system = (system or other or "")[1:-1] or None
        public = (public or "")[1:-1] or None
        self._external = self._external or system is not None
        if self.StartDoctypeDeclHandler or self.EndDoctypeDeclHandler:
            self._event(self.StartDoctypeDeclHandler, "", name, system, public, int(inside))
            self._event(self.EndDoctypeDeclHandler, "")
        else:
            self._default(text[at : end + 1])
        self._at = end + 1

    def _subset(self, text, at):
        """Find the end of an internal subset; of its declarations only the names of entities are kept."""
        while True:
            while at < len(text) and text[at] in " \t\n":
                at += 1
            if at >= len(text):
                raise _More
            if text.startswith("<!--", at):
                at = self._until("-->", at + 4) + 3
            elif text.startswith("<?", at):
                at = self._until("?>", at + 2) + 2
            elif text[at] == "]":
                at += 1
                while at < len(text) and text[at] in " \t\n":
                    at += 1
                if at >= len(text):
                    raise _More
                return at
            elif text[at] == "%":
                self._external = True
                at = self._until(";", at) + 1
            elif text.startswith("<!", at):
                entity, quote = _entity.match(text, at), None
                while True:
                    at += 1
                    if at >= len(text):
                        raise _More
                    if quote:
                        quote = None if text[at] == quote else quote
                    elif text[at] in "\"'":
                        quote = text[at]
                    elif text[at] == ">":
                        break
                at += 1
                if entity:
                    name, first, second = entity.groups()
                    self._entities.setdefault(name, second if first is None else first)
            elif "<!--".startswith(text[at:]):
                raise _More
            else:
                self._at = at
                raise _failure(self, 2)

    def _start(self, text, at):
        if self._root and not self._open:
            raise _failure(self, 9)
        tag = _tag.match(text, at + 1).end()
        if tag == len(text) or text[tag] in "\"'":
            raise _More
        found = _name.match(text, at + 1)
        if not found:
            raise _failure(self, 4)
        end, attributes = found.end(), []
        while True:
            more = _attribute.match(text, end)
            if not more:
                break
            value = more.group(2) if more.group(2) is not None else more.group(3)
            attributes.append((more.group(1), self._value(value)))
            end = more.end()
        closing = end
        while closing < len(text) and text[closing] in " \t\n":
            closing += 1
        empty = text.startswith("/>", closing)
        if not empty and not text.startswith(">", closing):
            self._at = closing
            raise _failure(self, 4)
        if len(self._open) >= MOST_DEPTH:
            raise _failure(self, 4)
        name, attributes = self._named(found.group(), attributes)
        self._flush()
        if self.ordered_attributes:
            given = [part for pair in attributes for part in pair]
        else:
            given = dict(attributes)
        self._root = True
        self._open.append((found.group(), name))
        end = closing + (2 if empty else 1)
        self._event(self.StartElementHandler, text[at:end], name, given)
        self._at = end
        if empty:
            self._end(name, "")

    def _close(self, text, at):
        end = self._until(">", at)
        found = _name.match(text, at + 2)
        if not found or text[found.end() : end].strip(" \t\n"):
            raise _failure(self, 4)
        if not self._open:
            raise _failure(self, 9 if self._root else 4)
        if self._open[-1][0] != found.group():
            self._at = at + 2
            raise _failure(self, 7)
        self._end(self._open[-1][1], text[at : end + 1])
        self._at = end + 1

    def _end(self, name, text):
        self._open.pop()
        self._event(self.EndElementHandler, text, name)
        if self._separator is not None:
            gone = self._spaces.pop()
            for prefix in reversed(gone.declared):
                self._event(self.EndNamespaceDeclHandler, "", prefix or None)

    _MARKUP = (
        ("<!--", _comment), ("<?", _instruction), ("<![CDATA[", _cdata), ("<!DOCTYPE", _doctype), ("</", _close),
    )

    # Names and values.

    def _named(self, name, attributes):
        seen = set()
        for key, _ in attributes:
            if key in seen:
                raise _failure(self, 8)
            seen.add(key)
        if self._separator is None:
            return self._one(name), [(self._one(k), v) for k, v in attributes]
        spaces = _Spaces(self._spaces[-1])
        spaces.declared, rest = [], []
        for key, value in attributes:
            prefix, colon, local = key.partition(":")
            if key == "xmlns" or colon and prefix == "xmlns":
                if colon and not value:
                    raise _failure(self, 28)
                spaces[local] = value
                spaces.declared.append(local)
                self._event(self.StartNamespaceDeclHandler, "", local or None, value or None)
            else:
                rest.append((key, value))
        self._spaces.append(spaces)
        name = self._spaced(name, spaces, spaces.get("", ""))
        out = [(self._spaced(k, spaces, ""), v) for k, v in rest]
        if len(set(k for k, _ in out)) < len(out):
            raise _failure(self, 8)
        return name, out

    def _spaced(self, name, spaces, default):
        prefix, colon, local = name.partition(":")
        if not colon:
            local, space = name, default
        elif prefix not in spaces or not local or ":" in local:
            raise _failure(self, 27)
        else:
            space = spaces[prefix]
        return self._one(space + self._separator + local if space else local)

    def _one(self, name):
        return self.intern.setdefault(name, name)

    def _value(self, value):
        value = value.replace("\n", " ").replace("\t", " ")
        if "&" not in value:
            return value
        rest, out = value, []
        while "&" in rest:
            before, _, rest = rest.partition("&")
            found = _reference.match("&" + rest)
            if not found:
                raise _failure(self, 4)
            text = self._meaning(found)
            if text is None:
                raise _failure(self, 11)
            out += [before, text]
            rest = rest[found.end() - 1 :]
        return "".join(out) + rest

    def _meaning(self, found):
        """What a reference stands for, or None."""
        decimal, hexadecimal, name = found.groups()
        if name in _PREDEFINED:
            return _PREDEFINED[name]
        if name:
            text = self._entities.get(name)
            if text is None and not self._external or name in self._entities and text is None:
                raise _failure(self, 11)
            self._expanded += len(text or "")
            if self._expanded > MOST_EXPANDED:
                raise _failure(self, 4)
            return text
        number = int(decimal, 10) if decimal else int(hexadecimal, 16)
        if number > 0x10FFFF or _forbidden.match(chr(number)):
            raise _failure(self, 14)
        return chr(number)

    def _refer(self, text, at):
        found = _reference.match(text, at)
        if not found:
            if ";" not in text[at : at + 1000] and len(text) < at + 1000 and re.match("&[#\\w.:-]*$", text[at:]):
                raise _More
            raise _failure(self, 4)
        meaning = self._meaning(found)
        if meaning is not None:
            self._characters(meaning)
        elif self.SkippedEntityHandler:
            self._event(self.SkippedEntityHandler, "", found.group(3), False)
        else:
            self._default(found.group())
        self._at = found.end()

    # Telling.

    def _characters(self, text):
        if not text:
            return
        if self.CharacterDataHandler is None:
            self._default(text)
        elif self.buffer_text:
            self._kept.append(text)
        else:
            for line in text.splitlines(True) if "\n" in text else (text,):
                self.CharacterDataHandler(line)

    def _flush(self):
        if self._kept:
            text, self._kept = "".join(self._kept), []
            if self.CharacterDataHandler is not None:
                self.CharacterDataHandler(text)

    def _event(self, handler, text, *args):
        self._flush()
        if handler is not None:
            handler(*args)
        else:
            self._default(text)

    def _default(self, text):
        handler = self.DefaultHandlerExpand or self.DefaultHandler
        if handler is not None and text:
            self._flush()
            handler(text)


class _Spaces(dict):
    """The prefixes that an element knows; declared are its own."""


def _failure(parser, code):
    line, column = parser._place()
    e = ExpatError("%s: line %d, column %d" % (_MESSAGES[code], line, column))
    e.code, e.lineno, e.offset = code, line, column
    parser.ErrorCode = code
    return e


def ParserCreate(encoding=None, namespace_separator=None, intern=None):
    if namespace_separator is not None and len(namespace_separator) > 1:
        raise ValueError("namespace_separator must be at most one character, omitted, or None")
    return XMLParserType(encoding, namespace_separator, intern)


import sys

sys.modules["pyexpat.errors"], sys.modules["pyexpat.model"] = errors, model
