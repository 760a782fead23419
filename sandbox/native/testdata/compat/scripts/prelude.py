import errno, os, stat, sys


def tried(f, *args, **options):
    """What a call gives, or the name of its error."""
    try:
        return f(*args, **options)
    except OSError as e:
        return errno.errorcode[e.errno]
    except NotImplementedError:
        return "not implemented"


def text(name, content=None):
    """A file's content, after it was written where that is given."""
    if content is not None:
        with open(name, "w") as f:
            f.write(content)
    with open(name) as f:
        return f.read()


def mode(name, **options):
    return stat.filemode(os.stat(name, **options).st_mode)


# What the directory holds when a script begins, where the host has not put it there.
if not os.path.exists("host.txt"):
    text("host.txt", "from the host\n")
    os.makedirs("hostdir/sub")
    text("hostdir/sub/deep.txt", "deep\n")
    text("hostdir/one", "1")
    os.symlink("host.txt", "hostlink")
    os.symlink("hostdir/sub", "hostway")
    os.symlink("nowhere", "dangling")
    os.symlink("loop", "loop")
    os.chmod("host.txt", 0o640)
    os.utime("host.txt", ns=(10**18 + 1, 2 * 10**18 + 2))
