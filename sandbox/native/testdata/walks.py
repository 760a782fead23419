# Prints what every way to look at a tree says, in an order of its own. The working directory is the tree.
import copy, errno, functools, glob, os, pathlib, pickle, posix, shutil, stat, sys, threading, warnings

if "_shannot_readdirplus" in sys.modules:
    sys.modules["_shannot_readdirplus"]._LIFETIME = 3600  # what is told ahead is used, however slow this machine is

events = []
sys.addaudithook(lambda name, args: events.append((name, args)) if name in ("os.scandir", "os.listdir") else None)


def fields(st):
    """All of a result but what looking at it changes."""
    if stat.S_ISDIR(st.st_mode) or stat.S_ISLNK(st.st_mode):  # to list or to follow is an access
        return tuple(st)[:7] + tuple(st)[8:10] + (st.st_mtime, st.st_mtime_ns, st.st_ctime_ns, st.st_blksize, st.st_blocks, st.st_rdev)
    return tuple(st) + (st.st_atime, st.st_mtime, st.st_ctime, st.st_atime_ns, st.st_mtime_ns, st.st_ctime_ns, st.st_blksize, st.st_blocks, st.st_rdev)


def attempt(function, *args, **options):
    try:
        return function(*args, **options)
    except (OSError, ValueError, TypeError) as e:
        return type(e).__name__, getattr(e, "errno", None), getattr(e, "filename", None), str(e)


def of(function, path, **options):
    st = attempt(function, path, **options)
    return fields(st) if isinstance(st, os.stat_result) else st


def entry(e):
    return (e.name, e.path, os.fspath(e), e.inode(), attempt(e.is_dir), e.is_dir(follow_symlinks=False), attempt(e.is_file), e.is_file(follow_symlinks=False),
            e.is_symlink(), e.is_junction(), of(lambda p: e.stat(follow_symlinks=False), 0), of(lambda p: e.stat(), 0),
            repr(e), isinstance(e, os.DirEntry))


@functools.singledispatch
def singled(value):
    return "something"


@singled.register
def _(value: os.DirEntry):
    return "an entry"


def show(title, rows):
    print(title)
    for row in sorted(map(repr, rows)) if isinstance(rows, (list, tuple, set)) else [repr(rows)]:
        print("   ", ascii(row))


def scan(path=None):
    def all():
        with os.scandir(path) as entries:
            return [entry(e) for e in entries]

    return attempt(all)


root = os.getcwd()
places = [root, ".", root + "/", "//" + root.lstrip("/"), "sub", "sub/", "./sub/../sub", "link-dir", "loop", "file", "missing", "closed", "", "nul\0", b"sub", b".",
          pathlib.Path("sub"), pathlib.Path(root), None, 7.5, "undecodable-\udcff", "surrogate-\ud800"]
for place in places:
    show(f"scandir {place!r}", scan(place))
    names = attempt(os.listdir, place)
    show(f"listdir {place!r}", names)
    if isinstance(names, list) and names and type(names[0]) is str:
        text = os.fspath(place) if place is not None else "."
        for joined in sorted(os.path.join(text, n) for n in names):
            print(ascii((joined, of(os.lstat, joined), of(os.stat, joined), of(os.stat, joined, follow_symlinks=False), of(os.lstat, joined),
                         os.path.exists(joined), os.path.lexists(joined), os.path.isdir(joined), os.path.isfile(joined), os.path.islink(joined))))
        if text == ".":
            show("as they are", [(n, of(os.stat, n), of(os.lstat, n)) for n in names])
fd = os.open("sub", os.O_RDONLY)
show("of a descriptor", attempt(lambda: sorted(os.listdir(fd))))
show("of a descriptor", attempt(lambda: [(e.name, e.path, e.is_dir()) for e in os.scandir(fd)]))
show("beside a descriptor", [(n, of(os.stat, n, dir_fd=fd), of(os.lstat, n, dir_fd=fd)) for n in os.listdir("sub")])
os.close(fd)
for topdown in True, False:
    show(f"walk {topdown}", [(d, sorted(ds), sorted(fs)) for d, ds, fs in os.walk(".", topdown=topdown)])
show("walk of bytes", [(d, sorted(ds), sorted(fs)) for d, ds, fs in os.walk(b".")])
show("walk of lstat", [(p, of(os.lstat, p)) for d, _, fs in os.walk(root) for p in (os.path.join(d, f) for f in fs)])
show("glob", glob.glob("*") + glob.glob("*/*") + glob.glob("many/[0-4]*") + glob.glob("many/**", recursive=True))
show("pathlib", [(p, attempt(p.is_dir), attempt(p.is_file), p.is_symlink(), of(os.stat, p), fields(p.lstat())) for p in pathlib.Path(root).iterdir()])
show("pathlib", sorted(map(str, pathlib.Path(".").rglob("*"))))
show("errors of a path", [of(os.stat, pathlib.Path("missing")), of(os.lstat, pathlib.Path("file/x")), of(os.stat, b"missing"), of(os.stat, 99), of(os.lstat, "a\0b")])
show("functions", [os.stat in os.supports_dir_fd, os.stat in os.supports_fd, os.stat in os.supports_follow_symlinks, os.scandir in os.supports_fd,
                   os.listdir in os.supports_fd, os.lstat in os.supports_dir_fd, os.stat.__name__, os.stat.__doc__, os.scandir.__doc__])

show("copies", [(attempt(lambda: pickle.loads(pickle.dumps(f, protocol)) == f), copy.copy(f) == f, copy.deepcopy(f) == f, b"shannot" in pickle.dumps(f))
                for f in (os.stat, os.lstat, os.scandir, os.listdir) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)])

# The type's own functions, of entries that the gateway listed and of those that Python did.
for place in "sub", b"sub":
    with os.scandir(place) as entries:
        entries = sorted(entries, key=os.fspath)
    show("by the type", [(e.name, os.DirEntry.is_dir(e), os.DirEntry.is_file(e, follow_symlinks=False), os.DirEntry.is_symlink(e), os.DirEntry.is_junction(e),
                          os.DirEntry.inode(e), os.fspath(e), os.DirEntry.__fspath__(e), fields(os.DirEntry.stat(e)), repr(e), isinstance(e, os.DirEntry),
                          issubclass(type(e), os.DirEntry), isinstance(e, os.PathLike), singled(e), e.__class__) for e in entries])
    show("by the type", list(map(os.DirEntry.is_file, entries)))
show("of the type", [isinstance("", os.DirEntry), issubclass(str, os.DirEntry), os.DirEntry, posix.DirEntry is os.DirEntry, attempt(os.DirEntry), os.DirEntry[str],
                     pickle.loads(pickle.dumps(os.DirEntry)) is os.DirEntry, attempt(os.DirEntry.is_dir.__get__, 7) is None])
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    it = os.scandir("sub")
    next(it)
    del it
show("unclosed", [(w.category, w.filename, str(w.message)[:54]) for w in told])

# An iterator that is closed, used up, and not used up.
it = os.scandir(".")
next(it)
it.close()
show("closed", [next(it, None)])
with os.scandir(".") as it:
    list(it)
    show("used up", [next(it, None)])
show("kinds", [type(it).__name__, type(it).__module__, type(next(os.scandir("."))).__name__])


class Holder:
    look = os.stat  # no method


show("in a class", [fields(Holder().look("file")) == fields(os.stat("file"))])

# The working directory is another one for names that were told before.
os.listdir()
os.lstat("file")
os.chdir("sub")
show("elsewhere", [of(os.lstat, n) for n in ("file", "deep")])
os.chdir("..")

# Several threads at once.
seen = []
threads = [threading.Thread(target=lambda: seen.append([(p, of(os.lstat, p)) for d, _, fs in os.walk(root) for p in (os.path.join(d, f) for f in fs)])) for _ in range(4)]
for t in threads:
    t.start()
for t in threads:
    t.join()
show("threads", [len({repr(sorted(map(repr, s))) for s in seen})])
show("events", events)
