# Prints what every way to read a file says, where files are read one after the other as they were listed. The working directory
# has "many" with files, a link and a FIFO among them.
import codecs, copy, fileinput, gc, hashlib, inspect, io, linecache, mmap, os, pathlib, pickle, sys, threading, warnings

if "_shannot_readdirplus" in sys.modules:
    sys.modules["_shannot_readdirplus"]._LIFETIME = 3600  # what is told ahead is used, however slow this machine is

events = []
sys.addaudithook(lambda name, args: events.append(args) if name == "open" and "many/" in str(args[0]) and "pyc" not in str(args[0]) else None)


def attempt(function, *args, **options):
    try:
        return function(*args, **options)
    except (OSError, ValueError, TypeError, LookupError) as e:
        return type(e).__name__, getattr(e, "errno", None), getattr(e, "filename", None), str(e)


names = []


def following(prefix="many/"):
    """The next files of a new listing, of which some were told ahead."""
    global names
    if len(names) < 4:
        names = sorted(n for n in os.listdir("many") if n[0].isdigit())
        for _ in range(6):
            with open("many/" + names.pop(0), "rb") as f:
                f.read(1)
    return prefix + names.pop(0)


def show(title, *values):
    print(title, *map(ascii, values))


show("all", sorted((n, attempt(lambda: open("many/" + n, "rb").read())) for n in sorted(os.listdir("many")) if n != "fifo"))
show("again", sorted((n, attempt(lambda: open("many/" + n).read())) for n in sorted(os.listdir("many")) if n != "fifo"))
show("bytes", [open(following(), mode).read() for mode in ("rb", "br", "rb", "rb")])
show("text", [open(following(), mode).read() for mode in ("r", "rt", "tr", "r")])
show("pathlib", pathlib.Path(following()).read_bytes(), pathlib.Path(following()).read_text(), repr(pathlib.Path(following()).open()))
show("others", codecs.open(following(), "r", "utf-8").read(), hashlib.file_digest(open(following(), "rb"), "sha256").hexdigest(), linecache.getline(following(), 1),
     list(fileinput.input([following(), following()])))
for options in ({"encoding": "latin-1"}, {"encoding": "ascii", "errors": "replace"}, {"newline": ""}, {"newline": "\r\n"}, {"encoding": "nonsense"}, {"newline": "x"},
                {"errors": "nonsense"}, {"buffering": 0}, {"buffering": 1}, {"closefd": False}, {"opener": os.open}, {"mode": "q"}, {"mode": "rb", "encoding": "utf-8"},
                {"mode": "rb", "newline": ""}, {"mode": "r+b"}, {"mode": "x"}):
    show("options", options, attempt(lambda: open(following(), **options).read()))
show("lines", list(open(following(), "rb")), list(open(following())), open(following()).readlines(), open(following(), "rb").readline(3))
with open(following(), "rb") as f:
    show("seek", f.tell(), f.read(2), f.tell(), f.seek(0, 2), f.read(), f.seek(1), f.peek(2)[:2], f.read1(2), f.seek(-1, 1), f.read(), attempt(f.seek, -5), f.seek(100), f.read())
with open(following(), "rb") as f:
    show("raw", isinstance(f.raw, io.FileIO), f.raw.name, f.raw.mode, f.raw.closefd, repr(f.raw)[:28], type(f.raw).__name__, type(f.raw).__module__, f.raw.read(2), f.raw.read(),
         f.raw.read(), f.raw.read(), f.raw.tell(), f.raw.seek(0), f.raw.readall(), f.raw.seek(1), f.raw.seek(1, 1), f.raw.seek(-1, 2), f.raw.readinto(bytearray(5)))
with open(following(), "rb") as f:
    show("may", f.readable(), f.writable(), f.seekable(), f.isatty(), attempt(f.raw.write, b"x"), attempt(f.write, b"x"), attempt(f.raw.truncate), f.raw.truncate.__name__)
with open(following(), "rb") as f:
    buffer = bytearray(4)
    show("readinto", f.readinto(buffer), buffer, f.raw.readinto(memoryview(buffer)[1:]), buffer, attempt(f.raw.readinto, b"x"))
with open(following(), "rb") as f:
    show("end", f.read(), f.read(), f.read(), f.read())
with open(following()) as f:
    show("wrapper", f.name, f.mode, f.encoding, f.errors, f.line_buffering, f.newlines, f.buffer.name, f.buffer.mode, type(f), type(f.buffer), repr(f))
with open(following(), "rb") as f:
    show("descriptor", f.fileno() > 2, os.fstat(f.fileno()).st_size, f.read(), os.lseek(f.fileno(), 0, 1))
with open(following(), "rb") as f:
    show("descriptor in the middle", f.raw.read(3), os.lseek(f.fileno(), 0, 1), os.read(f.fileno(), 3), f.read(), os.get_inheritable(f.fileno()), f.raw.mode, f.raw.name == f.name)
with open(following(), "rb") as f, mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ) as m:
    show("mapped", m[:])
f = open(following(), "rb")
raw = f.detach()
show("detached", raw.read(), raw.closed, raw.close(), raw.closed, attempt(raw.read), attempt(raw.fileno), repr(raw))
f = open(following())
f.close()
show("closed", f.closed, f.buffer.closed, f.buffer.raw.closed, attempt(f.read), attempt(f.fileno), attempt(f.buffer.raw.seek, 0), attempt(f.buffer.raw.readable), attempt(f.__enter__))
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    for mode in "r", "rb":
        f = open(following(), mode)
        f.read(1)
        del f
        gc.collect()
    open(following(), "rb").detach().close()
show("unclosed", [(w.category, str(w.message)) for w in told])
show("errors", [attempt(open, p) for p in ("missing", "many/missing", "many", "", "nul\0", b"many/missing", 99, -1, None, 7.5)])
show("function", open is io.open, open.__name__, open.__module__, open.__qualname__, open.__doc__ == io.open.__doc__, inspect.signature(open), copy.copy(open) is open or copy.copy(open) == open,
     pickle.loads(pickle.dumps(open)) == open, b"shannot" in pickle.dumps(open))


class Holder:
    reads = open  # no method


with Holder().reads(following()) as f:
    show("in a class", f.read())
before = following()
with open(before, "rb") as f:
    os.chdir("many")
    show("elsewhere", f.read())
    os.chdir("..")
# A file that is opened after all says so once more.
show("events", [e for e, before in zip(events, [None, *events]) if e != before or e[1] is None])
seen = []
threads = [threading.Thread(target=lambda: seen.append([open("many/" + n).read() for n in sorted(os.listdir("many")) if n[0].isdigit()])) for _ in range(4)]
for t in threads:
    t.start()
for t in threads:
    t.join()
show("threads", len(set(map(tuple, seen))), sum(len(s) for s in seen))
show("process", *(open(f"/proc/{p}/comm").read().count("\n") for p in [p for p in sorted(os.listdir("/proc")) if p == str(os.getpid())]))
