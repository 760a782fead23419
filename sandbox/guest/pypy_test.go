package guest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// python runs a script of this machine's Python, with one of the guest's modules in place of its own for each name.
func python(t *testing.T, script string, modules ...string) string {
	t.Helper()
	name, err := exec.LookPath("/usr/bin/python3")
	if err != nil {
		if name, err = exec.LookPath("python3"); err != nil {
			t.Skip("this machine has no python3")
		}
	}
	dir := t.TempDir()
	files := PyPyFiles()
	for n, text := range files {
		if err := os.WriteFile(filepath.Join(dir, n), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	prelude := "import importlib.util, sys\nGUEST = " + "'" + dir + "'\n" + `
def take(name):
    spec = importlib.util.spec_from_file_location(name, GUEST + "/" + name + ".py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules[name] = module
    return module
`
	for _, m := range modules {
		prelude += m + " = take('" + m + "')\n"
	}
	cmd := exec.Command(name, "-I", "-S", "-X", "utf8=0", "-")
	cmd.Env = append(os.Environ(), "LC_ALL=C") // where names are ASCII, as a sandboxed PyPy has them
	cmd.Stdin = bytes.NewReader([]byte("exec(" + asciiLiteral(prelude+script) + ".decode())"))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, stderr.String())
	}
	return string(out) + stderr.String()
}

// asciiLiteral is text as a literal of bytes.
func asciiLiteral(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		fmt.Fprintf(&b, `\x%02x`, c)
	}
	return "b'" + b.String() + "'"
}

func TestPyPyModulesAreWrittenInItsPython(t *testing.T) {
	got := python(t, `
import ast, os
for name in sorted(os.listdir(GUEST)):
    ast.parse(open(GUEST + "/" + name).read(), name, feature_version=(3, 6))
    print(name, end=" ")
`)
	want := "_bootlocale.py _csv.py _digests.py _multiprocessing.py _names.py _pool.py _shannot.py _signal.py _thread.py _unicode.py array.py binascii.py fcntl.py grp.py " +
		"hashlib.py mmap.py pwd.py pyexpat.py resource.py select.py site.py socket.py ssl.py subprocess.py termios.py unicodedata.py zlib.py "
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestThreadsRunWhenTheyAreStarted(t *testing.T) {
	got := python(t, `
for name in ("threading", "queue", "_weakrefset"):
    sys.modules.pop(name, None)
_thread._excepthook = _thread._ExceptHookArgs = None
del _thread._excepthook, _thread._ExceptHookArgs
_thread._is_main_interpreter = lambda: True
_thread.daemon_threads_allowed = lambda: True
import threading, queue
found = []
threads = [threading.Thread(target=lambda i=i: found.append(i)) for i in range(5)]
for t in threads: t.start()
for t in threads: t.join()
print(found, [t.is_alive() for t in threads], threading.active_count())
lock = threading.Lock()
with lock: print(lock.locked(), lock.acquire(False), lock.acquire(timeout=0.1))
try:
    lock.acquire(); lock.acquire()
except RuntimeError as e: print("for ever" in str(e))
r = _thread.RLock()
with r, r: print(r._is_owned())
try: r.release()
except RuntimeError as e: print(e)
here = _thread._local(); here.x = 1
class Own(_thread._local):
    def __init__(self, n): self.n = n
own = Own(7)
def look(): print(hasattr(here, "x"), own.n); here.x = 2; own.n = 8
t = threading.Thread(target=look); t.start(); t.join(); print(here.x, own.n)
q = queue.Queue(); threading.Thread(target=lambda: q.put("from a thread")).start(); print(q.get())
def fail(): 1/0
_thread.start_new_thread(fail, ())
`, "_thread")
	want := "[0, 1, 2, 3, 4] [False, False, False, False, False] 1\nTrue False False\nTrue\nTrue\ncannot release un-acquired lock\n" +
		"False 7\n1 7\nfrom a thread\n"
	if !bytes.HasPrefix([]byte(got), []byte(want)) || !bytes.Contains([]byte(got), []byte("ZeroDivisionError")) {
		t.Errorf("got %q, want %q and a ZeroDivisionError", got, want)
	}
}

func TestSignalsAreKeptAndNeverSent(t *testing.T) {
	got := python(t, `
sys.modules.pop("signal", None)
import signal
print(signal.SIGTERM, signal.getsignal(signal.SIGTERM), signal.signal(signal.SIGTERM, print), signal.getsignal(15) is print)
for bad in ((9, print), (99, print), (15, "x")):
    try: _signal.signal(*bad); print("set")
    except (OSError, ValueError, TypeError) as e: print(type(e).__name__)
print(signal.alarm(0))
for f in (lambda: signal.alarm(1), _signal.pause, lambda: signal.setitimer(0, 1)):
    try: f(); print("set")
    except OSError as e: print(e.errno)
`, "_signal")
	want := "15 0 0 True\nOSError\nValueError\nTypeError\n0\n38\n38\n38\n"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestHashesAreThoseOfTheStandardLibrary(t *testing.T) {
	got := python(t, `
import importlib
theirs = importlib.import_module("hashlib")
try:
    for name in ("_md5", "_sha1", "_sha256", "_sha512"): importlib.import_module(name)
except ImportError:  # newer Pythons call them otherwise
    import types
    for name, kinds in {"_md5": ["md5"], "_sha1": ["sha1"], "_sha256": ["sha224", "sha256"], "_sha512": ["sha384", "sha512"]}.items():
        module = sys.modules[name] = types.ModuleType(name)
        for kind in kinds: setattr(module, kind, getattr(theirs, kind))
take("_digests"); hashlib = take("hashlib")
for name in sorted(hashlib.algorithms_available):
    size = [9] if "shake" in name else []
    for data in [b"x" * n for n in (0, 1, 63, 64, 65, 71, 72, 103, 104, 127, 128, 129, 135, 136, 137, 143, 144, 168, 300)]:
        want = getattr(theirs, name)(data)
        a, b = hashlib.new(name, data), getattr(hashlib, name)(data[:70])
        c = b.copy(); b.update(data[70:]); c.update(b"other")
        assert a.hexdigest(*size) == b.hexdigest(*size) == b.digest(*size).hex() == want.hexdigest(*size), (name, len(data))
        assert (a.digest_size, a.block_size, a.name) == (want.digest_size, want.block_size, want.name), name
for name, options in (("blake2b", dict(digest_size=20, key=b"k" * 64, salt=b"s" * 16, person=b"p")), ("blake2s", dict(key=b"x")),
                      ("blake2b", dict(fanout=0, node_offset=2**63, last_node=True)),
                      ("blake2s", dict(digest_size=3, fanout=2, depth=2, leaf_size=4096, node_offset=1, inner_size=32, last_node=True))):
    for n in (0, 1, 64, 65, 128, 129):
        assert getattr(hashlib, name)(b"a" * n, **options).hexdigest() == getattr(theirs, name)(b"a" * n, **options).hexdigest(), (name, options)
for bad in (dict(digest_size=65), dict(digest_size=0), dict(key=b"k" * 65), dict(depth=0), dict(salt=b"s" * 17), dict(node_offset=-1)):
    try: hashlib.blake2b(b"", **bad); print("accepted", bad)
    except ValueError: pass
for name, n, size in (("sha1", 3, None), ("sha256", 2, 70), ("sha512", 1, 5)):
    assert hashlib.pbkdf2_hmac(name, b"p" * 200, b"salt", n, size) == theirs.pbkdf2_hmac(name, b"p" * 200, b"salt", n, size)
for f in (lambda: hashlib.new("nope"), lambda: hashlib.shake_128().digest(-1), lambda: hashlib.sha3_256("text"), lambda: hashlib.sha3_256().digest(3)):
    try: f()
    except (ValueError, TypeError) as e: print(e)
`)
	want := "unsupported hash type nope\nshake_128 needs a length\nUnicode-objects must be encoded before hashing\nsha3_256 has one length\n"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNamesAreUTF8(t *testing.T) {
	got := python(t, `
import io, os
out = io.TextIOWrapper(sys.stdout.buffer, "utf-8", line_buffering=True)
dir = GUEST + "/d\u00e9"
try: os.mkdir(dir); print("names are UTF-8 without the module")
except UnicodeEncodeError: pass
_names.install(); import glob, pathlib, shutil, subprocess
os.mkdir(dir)
with open(dir + "/\u00fc", "w", encoding="utf-8") as f: f.write("x")
p = pathlib.Path(dir); (p / "neu").write_text("1"); os.rename(str(p / "neu"), p / "n\u00f6u"); os.symlink("\u00fc", dir + "/l")
print(sorted(os.listdir(dir)), os.readlink(dir + "/l"), os.path.exists(dir + "/\u00fc"), os.path.getsize(str(p / "\u00fc")), file=out)
print(sorted((e.name, e.path == dir + "/" + e.name, e.is_file(), os.stat(e).st_size) for e in os.scandir(dir)), file=out)
print([[os.path.basename(x[0])] + x[1] + sorted(x[2]) for x in os.walk(dir)], sorted(os.path.basename(n) for n in glob.glob(GUEST + "/d*/*")), file=out)
os.chdir(dir); print(os.path.basename(os.getcwd()), sorted(os.listdir()), os.listdir(os.fsencode(dir))[0].__class__.__name__, file=out); os.chdir("/")
for f in (lambda: open(dir + "/a\u00e9"), lambda: os.rename(dir + "/a\u00e9", dir + "/b"), lambda: os.stat("/no/a")):
    try: f()
    except OSError as e: print(e.errno, [n and n.replace(dir, "") for n in (e.filename, e.filename2)], file=out)
os.environ["Y"] = "\u00e4"; print(os.environ["Y"], os.environb[b"Y"], os.fsencode("\u00e9"), os.fsdecode(b"\xc3\xa9\xff") == "\u00e9\udcff", file=out)
out.flush(); os.system("echo $Y \u00e9")
with open(os.fsencode(dir) + b"/raw\xff", "w"): pass
print([ascii(n) for n in os.listdir(dir) if "raw" in n], [os.path.exists(dir + "/" + n) for n in os.listdir(dir) if "raw" in n], file=out)
class Has: stat = os.stat; open = open
print(Has().stat(dir) == os.stat(dir), Has().open(dir + "/\u00fc").read(), os.open in os.supports_dir_fd, sys.getfilesystemencoding(), file=out)
for bad in (lambda: os.stat("\ud800"), lambda: os.stat(1.5), lambda: open("a\0"), lambda: os.environ.__setitem__("a", 1)):
    try: bad()
    except Exception as e: print(type(e).__name__, file=out)
shutil.rmtree(dir); print(os.path.exists(dir), _names.widen("own \u00e9"), _names.widen(None), file=out)
`, "_names")
	want := `['l', 'nöu', 'ü'] ü True 1
[('l', True, True, 1), ('nöu', True, True, 1), ('ü', True, True, 1)]
[['dé', 'l', 'nöu', 'ü']] ['l', 'nöu', 'ü']
dé ['l', 'nöu', 'ü'] bytes
2 ['/aé', None]
2 ['/aé', '/b']
2 ['/no/a', None]
ä b'\xc3\xa4' b'\xc3\xa9' True
ä é
["'raw\\udcff'"] [True]
True x True utf-8
UnicodeEncodeError
TypeError
ValueError
TypeError
False own é None
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestBinaryTextIsThatOfTheStandardLibrary(t *testing.T) {
	got := python(t, `
import random, binascii as theirs
ours, R = take("binascii"), random.Random(1)
def compare(name, *args, **kwds):
    found = []
    for module in (theirs, ours):
        try: found.append(getattr(module, name)(*args, **kwds))
        except Exception as e: found.append(type(e).__name__)
    assert found[0] == found[1], (name, args, kwds, found)
for i in range(400):
    data = bytes(R.randrange(256) for _ in range(R.randrange(100)))
    text = bytes(R.choice(b"abcXYZ019+/==\n \xff=_. \t\r\n") for _ in range(R.randrange(160)))
    digits = bytes(R.choice(b"0123456789abcdefABCDEF" + b" g" * (i % 5 == 0)) for _ in range(R.randrange(30)))
    for name, args in (("hexlify", [data]), ("unhexlify", [digits]), ("b2a_base64", [data]), ("a2b_base64", [text]), ("crc32", [data, i << 22]),
                       ("crc_hqx", [data, i << 7]), ("b2a_uu", [data[:45]]), ("a2b_qp", [text]), ("b2a_qp", [text]), ("b2a_qp", [data]),
                       ("a2b_base64", [theirs.b2a_base64(data)]), ("a2b_base64", [theirs.b2a_base64(data).decode()]), ("a2b_uu", [theirs.b2a_uu(data[:45])])):
        compare(name, *args)
    compare("b2a_qp", text, i % 2, i % 3, i % 5); compare("a2b_qp", text, True); compare("b2a_base64", data, newline=False); compare("b2a_uu", data[:45], backtick=True)
for bad in ("\u00e9", None, 1): compare("a2b_base64", bad); compare("unhexlify", bad); compare("hexlify", bad)
sys.modules["binascii"] = ours; sys.modules.pop("base64", None)
import base64
print(base64.b64encode(b"a" * 7), base64.b64decode("YWFhYWFhYQ=="), base64.urlsafe_b64decode("_-8="), base64.b16decode("0F"))
`)
	if want := "b'YWFhYWFhYQ==' b'aaaaaaa' b'\\xff\\xef' b'\\x0f'\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRowsAreThoseOfTheStandardLibrary(t *testing.T) {
	got := python(t, `
import random, io, _csv as theirs
ours, R = take("_csv"), random.Random(1)
def run(f, module):
    try: return f(module)
    except Exception as e: return type(e).__name__
def compare(f, *shown):
    found = [run(f, theirs), run(f, ours)]
    assert found[0] == found[1], (shown, found)
for i in range(3000):
    o = {}
    if R.random() < .3: o["delimiter"] = R.choice(";\t|")
    if R.random() < .2: o["quotechar"] = R.choice(["'", None])
    if R.random() < .3: o["quoting"] = R.randrange(4)
    if R.random() < .3: o["doublequote"] = R.random() < .5
    if R.random() < .3: o["skipinitialspace"] = R.random() < .5
    if R.random() < .2: o["strict"] = True
    elif R.random() < .3: o["escapechar"] = R.choice("\\/")
    text = "".join(R.choice('ab,;"\'\\/ \n\r\t|12') for _ in range(R.randrange(30)))
    lines = text.splitlines(True) if i % 3 else io.StringIO(text, newline="").readlines() if i % 2 else text.split("!")
    def read(module):
        out, reader = [], module.reader(lines, **o)
        try:
            for row in reader: out.append((row, reader.line_num))
        except module.Error: out.append("error")
        return out
    compare(read, o, lines)
    rows = [[R.choice(["a", "", "b,c", 'q"q', "x\ny", " s", 1, 2.5, None, "a!b", "r\r"]) for _ in range(R.randrange(4))] for _ in range(2)]
    def write(module):
        out = io.StringIO(newline="")
        module.writer(out, lineterminator=("\r\n", "\n", "!", "")[i % 4], **o).writerows(rows)
        return out.getvalue()
    compare(write, o, rows)
for bad in (dict(delimiter=""), dict(delimiter=None), dict(quotechar="ab"), dict(quoting=9), dict(quoting="x"), dict(lineterminator=1), dict(nope=1), dict(quotechar=None, quoting=1)):
    compare(lambda m: m.reader([], **bad), bad)
compare(lambda m: next(m.reader([b"a"]))); compare(lambda m: m.writer(io.StringIO()).writerow(1)); compare(lambda m: m.get_dialect("none"))
ours.field_size_limit(10)
for line in ("a," + "b" * 11, '"' + "b" * 11 + '"'):
    try: next(ours.reader([line])); print("no limit")
    except ours.Error as e: print(e)
sys.modules["_csv"] = ours; sys.modules.pop("csv", None)
import csv
out = io.StringIO(); w = csv.DictWriter(out, ["a", "b"], dialect="unix"); w.writeheader(); w.writerow({"a": 1, "b": "x y"})
print(repr(out.getvalue()), [dict(r) for r in csv.DictReader(io.StringIO("a,b\n1,2\n"))], csv.list_dialects(), csv.Sniffer().sniff("a;b\n1;2\n").delimiter)
d = csv.get_dialect("excel-tab")
try: d.delimiter = ","
except AttributeError: print(repr(d.delimiter))
`)
	want := "field larger than field limit (10)\nfield larger than field limit (10)\n" +
		`'"a","b"\n"1","x y"\n' [{'a': '1', 'b': '2'}] ['excel', 'excel-tab', 'unix'] ;` + "\n'\\t'\n"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestCompressedIsReadAsByTheStandardLibrary(t *testing.T) {
	got := python(t, `
import random, zlib as theirs
ours, R = take("zlib"), random.Random(1)
texts = [b"", b"a", b"abc" * 5000, bytes(R.randrange(256) for _ in range(70000)), bytes(R.choice(b"ab c") for _ in range(40000)), bytes(100000)]
for text in texts:
    assert ours.adler32(text) == theirs.adler32(text) and ours.adler32(text, 77777) == theirs.adler32(text, 77777)
    for level, strategy, wbits in ((0, 0, 15), (1, 0, -15), (6, 0, 31), (9, 0, 15), (6, 2, -15), (6, 4, 31), (9, 0, -9), (9, 0, 9)):
        c = theirs.compressobj(level, 8, wbits, 8, strategy)
        data = c.compress(text) + c.flush()
        assert ours.decompress(data, wbits) == text and (wbits != 31 or ours.decompress(data, 47) == text)
        step, at, out = R.choice([1, 7, 100]) if len(data) < 2000 else 3001, 0, b""
        d = ours.decompressobj(wbits)
        while at < len(data) + 4:
            out += d.decompress((data + b"rest")[at : at + step], R.choice([0, 1, 50, 100000])); at += step
        while not d.eof: out += d.decompress(b"", 1000)
        assert out == text and d.unused_data == b"rest" and d.unconsumed_tail == d.flush() == b""
    for wbits in (15, -15, 31): assert theirs.decompress(ours.compress(text, wbits=wbits), wbits) == text
def run(module, data):
    try: return module.decompress(data)
    except module.error: return "error"
good, wrong = theirs.compress(texts[4][:3000]), 0
for i in range(600):
    bad = bytearray(good[: R.randrange(2, len(good))] if i % 3 == 0 else good)
    for _ in range(R.randrange(1, 4)): bad[R.randrange(len(bad))] = R.randrange(256)
    found = run(theirs, bytes(bad)), run(ours, bytes(bad))
    assert found[0] == found[1], (i, found)
    wrong += found[0] == "error"
known = b"hello world dictionary"; c = theirs.compressobj(zdict=known); data = c.compress(b"hello world hello") + c.flush()
print(wrong > 500, ours.decompressobj(zdict=known).decompress(data), run(ours, data), run(ours, b""))
c = ours.compressobj(); data = c.compress(b"a" * 70000) + c.flush(ours.Z_SYNC_FLUSH)
print(len(theirs.decompressobj().decompress(data)), theirs.decompress(data + c.flush()) == b"a" * 70000)
`, "binascii")
	if want := "True b'hello world hello' error error\n70000 True\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestXMLIsParsedAsByExpat(t *testing.T) {
	got := python(t, `
import random, pyexpat as theirs
ours, R = take("pyexpat"), random.Random(1)
def events(module, pieces, separator, buffered, rest=None):
    found, p = [], module.ParserCreate(None, separator)
    p.buffer_text, p.ordered_attributes = buffered, True
    def add(kind): return lambda *args: found.append((kind,) + args)
    def text(data):
        if found and found[-1][0] == "text": found[-1] = ("text", found[-1][1] + data)
        else: found.append(("text", data))
    p.CharacterDataHandler = text
    for name in ("StartElement", "EndElement", "Comment", "ProcessingInstruction", "StartNamespaceDecl", "EndNamespaceDecl", "StartCdataSection",
                 "EndCdataSection", "XmlDecl", "StartDoctypeDecl"): setattr(p, name + "Handler", add(name))
    try:
        for i, piece in enumerate(pieces): p.Parse(piece, i == len(pieces) - 1)
    except (module.error, LookupError): return "error"
    return found
documents = [b"<a/>", b"<?xml version='1.0' encoding='latin-1'?><a b='1' c=\"&lt;x&#65;&#x42;\">t\xe9xt &amp; more<b>x</b><!-- c --><?pi data?><![CDATA[<raw>&]]></a>\n",
    "<?xml version=\"1.0\"?>\r\n<!DOCTYPE a [<!ENTITY e 'v'><!ELEMENT a (b)>]>\r\n<a xmlns='u:1' xmlns:p='u:2' p:q='r' s='t\n &e;u'><p:b>\u00e9\u65e5&e;</p:b></a>".encode(),
    b"<a>\r\nx\ry</a>", b"<a", b"<a></b>", b"<a>&undefined;</a>", b"<a b='1' b='2'/>", b"<a/><b/>", b"", b"  ", b"text", b"<a>]]></a>", b"<a>x]]y]</a>",
    b"<p:a/>", b"<a>&#0;</a>", b"<a b=<>/>", b"\xff\xfe<\0a\0/\0>\0", b"<a>\x01</a>", b"<a><!-- a -- b --></a>", b"<!-- x --><a/><!-- y --> <?z?>", b"<a b='x>y'/>",
    b"<a b = 'x' c='&quot;&apos;&gt;'></a >", b"<a>\xff</a>", b"<?xml version='1.0' encoding='none'?><a/>"]
for document in documents:
    for separator in (None, "}", " "):
        for k in range(8):
            data = bytearray(document)
            if k > 1 and data and b"DOCTYPE" not in document and data[0] != 255:
                for _ in range(R.randrange(1, 3)): data[R.randrange(len(data))] = R.choice(b"<>&;'\"/ab!?-[]= \n:#x1")
            data = bytes(data); cuts = sorted(R.randrange(len(data) + 1) for _ in range(R.randrange(5)))
            pieces = [data[i:j] for i, j in zip([0] + cuts, cuts + [len(data)])]
            want = events(theirs, [data], separator, k % 2)
            for given in ([data], pieces): assert events(ours, given, separator, k % 2) == want, (given, separator, want)
def code(document):
    p = ours.ParserCreate()
    try: p.Parse(document, True)
    except ours.error as e: return e.code, e.lineno, e.offset
print(code(b"<a>\n <b></c></a>"), code(b"<a>&e;</a>"), code(b"<a/>x"), code(b""))
bomb = b"<!DOCTYPE a [<!ENTITY e '%s'><!ENTITY f '&e;&e;'><!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>%%s</a>" % (b"e" * 2000)
print([code(bomb % inside) for inside in (b"&e;" * 1000, b"&f;", b"&x;")], code(b"<a>" * 20000)[0])
`)
	if want := "(7, 2, 6) (11, 1, 3) (9, 1, 4) (3, 1, 0)\n[(4, 1, 3663), (11, 1, 2091), (11, 1, 2091)] 4\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestArraysAreThoseOfTheStandardLibrary(t *testing.T) {
	got := python(t, `
import array as theirs, copy, io, pickle
ours = take("array")
def use(module, code, items, bad):
    found, A = [], module.array
    def note(f):
        try: found.append(repr(f()))
        except Exception as e: found.append(type(e).__name__)
    a = A(code, items)
    for f in (lambda: a, lambda: a.itemsize, lambda: a.append(items[0]), lambda: a.tolist(), lambda: a.tobytes(), lambda: A(code, a.tobytes()) == a,
              lambda: a[1:], lambda: a[-1], lambda: a.index(items[1]), lambda: a.count(items[0]), lambda: a.pop(0), lambda: a.insert(1, items[0]), lambda: a + a,
              lambda: 2 * a, lambda: items[0] in a, lambda: a < A(code, items), lambda: a.append(bad), lambda: a.extend([bad]), lambda: a.__setitem__(0, items[1]),
              lambda: a.__setitem__(slice(0, 1), A(code, items)), lambda: a.__delitem__(0), lambda: a.reverse(), lambda: a.byteswap(), lambda: a.tobytes(),
              lambda: a.byteswap(), lambda: copy.deepcopy(a), lambda: a.extend(A("b" if code != "b" else "h")), lambda: a.__iadd__([1]), lambda: a.frombytes(b"x" * (a.itemsize + 1) if a.itemsize > 1 else b""),
              lambda: a.fromfile(io.BytesIO(items_bytes), 99), lambda: a, lambda: len(a), lambda: A("w"), lambda: A("b", "text"), lambda: A(code), lambda: hash(a), lambda: a.remove(object())):
        items_bytes = A(code, items).tobytes()
        note(f)
    return found
for code, items, bad in [(c, [1, 2, 3], 1 << 80) for c in "bBhHiIlLqQ"] + [("b", [-1, 127], 128), ("B", [0, 255], -1), ("f", [1.5, 2.5], "x"), ("d", [1.5, 1e300], None), ("i", [1, 2], 1.5)]:
    a, b = use(theirs, code, items, bad), use(ours, code, items, bad)
    assert a == b, (code, [x for x in zip(a, b) if x[0] != x[1]])
sys.modules["array"] = ours
print(pickle.loads(pickle.dumps(ours.array("i", [1, 2]))), ours.array("u", "ab").tounicode())
try: take("ssl")
except ImportError as e: print(e)
`)
	if want := "array('i', [1, 2]) ab\nssl is not in the PyPy of the Shannot sandbox, which has no network: --engine native has the module\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestUnicodeDataIsWhatIsGenerated(t *testing.T) {
	if testing.Short() {
		t.Skip("looks at every character several times")
	}
	out, err := exec.Command("/usr/bin/python3", "-I", "unicode.py").Output()
	if err != nil {
		t.Skip("this machine has no python3:", err)
	}
	if version := strings.SplitN(string(out), "\n", 4)[2]; version != `VERSION = "14.0.0"` {
		t.Skip("this machine's Python has another Unicode:", version)
	}
	if string(out) != string(PyPyFiles()["_unicode.py"]) {
		t.Error("pypy/_unicode.py is not what unicode.py writes")
	}
}

func TestUnicodeIsThatOfTheStandardLibrary(t *testing.T) {
	rounds := 10_000
	if testing.Short() {
		rounds = 1000
	}
	got := python(t, fmt.Sprintf("rounds = %d", rounds)+`
import unicodedata as real, random
took = [real, real.ucd_3_2_0]
take("_unicode"); ours = take("unicodedata")
same = ours.unidata_version == real.unidata_version
bad = set()
codes = set(range(0x3000)) | set(range(0x3000, 0x110000, 61)) | set(n for n in range(0x110000) if real.decomposition(chr(n)) and n % 3 == 0)
for n in codes:
    c = chr(n)
    if same:
        for f in "category bidirectional east_asian_width combining mirrored decomposition".split():
            if getattr(real, f)(c) != getattr(ours, f)(c): bad.add(f)
        for f in "decimal digit numeric".split():
            if getattr(real, f)(c, None) != getattr(ours, f)(c, None): bad.add(f)
    for f in "category bidirectional".split(): # never changes
        if getattr(real.ucd_3_2_0, f)(c) != getattr(ours.ucd_3_2_0, f)(c): bad.add("old " + f)
chosen = [chr(n) for n in codes if real.decomposition(chr(n)) or real.combining(chr(n)) and ours.combining(chr(n))]
chosen += [chr(n) for n in range(0x1100, 0x1200)] + [chr(n) for n in range(0xac00, 0xd7a4, 97)] + list("aB")
r = random.Random(1)
for text in chosen + ["".join(r.choice(chosen) for _ in range(r.randrange(2, 9))) for _ in range(rounds)]:
    for form in "NFC NFD NFKC NFKD".split():
        if same and real.normalize(form, text) != ours.normalize(form, text): bad.add(form)
        if real.ucd_3_2_0.normalize(form, text) != ours.ucd_3_2_0.normalize(form, text): bad.add("old " + form)
print(sorted(bad))
for wrong in (lambda: ours.category("ab"), lambda: ours.category(1), lambda: ours.normalize("NFX", "a"), lambda: ours.digit("x"), lambda: ours.lookup("SPACE")):
    try: wrong(); print("taken")
    except (TypeError, ValueError, KeyError) as e: print(type(e).__name__)
print(ours.digit("x", 7), ours.name("x", 8), ours.is_normalized("NFC", "e\u0301"))
`)
	if want := "[]\nTypeError\nTypeError\nValueError\nValueError\nKeyError\n7 8 False\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
