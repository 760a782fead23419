"""Ask the gateway: start a command, wait for descriptors.

The messages are lists of byte strings over the descriptor that opening /dev/shannot gives; see the engine's package
frames. Nothing here is a wall: this interpreter has no system call to start a process with.
"""

import os
import sys

DEVICE = "/dev/shannot"
MAX_REQUEST = 3 << 20  # bytes; E2BIG beyond, as execve has it
MAX_INPUT = 1 << 20  # bytes of input that a human can be shown before the command starts

_link = None
others = ()  # threads that were started and have not run


def connect():
    return os.open(DEVICE, os.O_RDWR)


def ask(*items):
    """Send a request and return the reply."""
    global _link
    if _link is None:
        _link = connect()
    fd = _link
    try:
        body = pack(items)
        data = len(body).to_bytes(4, "little") + body
        while data:
            data = data[os.write(fd, data) :]
        return unpack(_read(fd, int.from_bytes(_read(fd, 4), "little")))
    except BaseException:
        # A reply may be half read; the next request must not take it for its own.
        _link = None
        os.close(fd)
        raise


def _read(fd, size):
    data = b""
    while len(data) < size:
        more = os.read(fd, size - len(data))
        if not more:
            raise OSError(5, "the gateway refused the request")
        data += more
    return data


def pack(items):
    """Encode a list of byte strings and numbers."""
    out = [len(items).to_bytes(4, "little")]
    for item in items:
        if isinstance(item, int):
            item = item.to_bytes(8, "little", signed=True)
        out.append(len(item).to_bytes(4, "little"))
        out.append(item)
    return b"".join(out)


def unpack(data):
    """Decode a list of byte strings."""
    at, out = 4, []
    for _ in range(int.from_bytes(data[:4], "little")):
        size = int.from_bytes(data[at : at + 4], "little")
        out.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    return out


def _number(item):
    return int.from_bytes(item, "little", signed=True)


def line():
    """The line of the script itself that is running, for the human who decides."""
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__") == "__main__":
            return frame.f_lineno
        frame = frame.f_back
    return 0


def _failure(reply, name):
    errno = _number(reply[1])
    reason = reply[2].decode("utf-8", "backslashreplace") or os.strerror(errno)
    if name is None:
        return OSError(errno, reason)
    return OSError(errno, reason, os.fsdecode(name))


def start(argv, executables, env, cwd, stdin, stdout, stderr, known=None):
    """Start a command and return its process id, or raise the OSError that a start elsewhere would.

    Descriptors are -1 for none. known is everything that will be written to a pipe on stdin, where that is known.
    """
    argv = [os.fsencode(a) for a in argv]
    executables = [os.fsencode(e) for e in executables]
    directory = b"" if cwd is None else os.fsencode(cwd)
    size = len(known or b"")
    for item in argv + executables + [directory] + env:
        if b"\0" in item:
            raise ValueError("embedded null byte")
        size += len(item) + 8
    if size > MAX_REQUEST or len(argv) > 60000:
        raise OSError(7, os.strerror(7), os.fsdecode(argv[0]))
    reply = ask(
        b"start",
        line(),
        stdin,
        stdout,
        stderr,
        pack(argv),
        pack(executables),
        pack([pack(env)]),
        directory,
        pack([] if known is None else [known]),
        pack([]),
    )
    if reply[0] == b"ok":
        return _number(reply[1])
    # As the script gave it, not as PATH was searched for it.
    found_on_path = b"/" not in argv[0] and all(os.path.basename(e) == argv[0] for e in executables)
    raise _failure(reply, argv[0] if found_on_path else executables[-1])


def poll(reads, writes, timeout=None):
    """Wait until one of the descriptors is ready, and return those that are. The timeout is in seconds, None is none."""
    wait = -1 if timeout is None else max(0, int(timeout * 1000 + 0.999))
    reply = ask(b"poll", wait, pack(reads), pack(writes))
    if reply[0] == b"ok":
        return [_number(n) for n in unpack(reply[1])], [_number(n) for n in unpack(reply[2])]
    raise _failure(reply, None)


def blame(limit):
    """Say that an error of a limit ends the script."""
    ask(b"limit", limit)
