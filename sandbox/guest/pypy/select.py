"""Wait for descriptors through the gateway. There is select alone; sockets do not exist here."""

import _shannot

error = OSError
PIPE_BUF = 4096


def _number(item):
    fd = item if isinstance(item, int) else item.fileno()
    if fd < 0:
        raise ValueError("file descriptor cannot be a negative integer (%d)" % fd)
    return fd


def select(rlist, wlist, xlist, timeout=None):
    """Return those that can be read and written. None has an exceptional condition."""
    if timeout is not None and timeout < 0:
        raise ValueError("timeout must be non-negative")
    reads, writes = [_number(f) for f in rlist], [_number(f) for f in wlist]
    for f in xlist:
        _number(f)
    if not reads and not writes and timeout is not None:
        import time

        time.sleep(timeout)
        return [], [], []
    can_read, can_write = _shannot.poll(reads, writes, timeout)
    return [f for f in rlist if _number(f) in can_read], [f for f in wlist if _number(f) in can_write], []
