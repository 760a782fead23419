"""The users of the target, as /etc/passwd says them."""

import os


class struct_passwd(tuple):
    """One user: name, password, uid, gid, comment, home directory, shell."""

    __slots__ = ()
    n_fields = 7

    pw_name = property(lambda self: self[0])
    pw_passwd = property(lambda self: self[1])
    pw_uid = property(lambda self: self[2])
    pw_gid = property(lambda self: self[3])
    pw_gecos = property(lambda self: self[4])
    pw_dir = property(lambda self: self[5])
    pw_shell = property(lambda self: self[6])

    def __repr__(self):
        return (
            "pwd.struct_passwd(pw_name=%r, pw_passwd=%r, pw_uid=%r, pw_gid=%r, pw_gecos=%r, pw_dir=%r, pw_shell=%r)" % self[:]
        )


def _myself():
    user = os.environ.get("USER") or os.environ.get("LOGNAME") or str(os.getuid())
    return struct_passwd((user, "x", os.getuid(), os.getgid(), "", os.environ.get("HOME", "/"), "/bin/sh"))


def getpwall():
    """All users; the session's own where the target does not show them."""
    out = []
    try:
        with open("/etc/passwd", encoding="utf-8", errors="surrogateescape") as lines:
            for line in lines:
                parts = line.rstrip("\n").split(":")
                if len(parts) == 7 and parts[2].isdigit() and parts[3].isdigit():
                    out.append(struct_passwd(parts[:2] + [int(parts[2]), int(parts[3])] + parts[4:]))
    except OSError:
        pass
    return out or [_myself()]


def getpwnam(name):
    if not isinstance(name, str):
        raise TypeError("getpwnam() argument must be str")
    for user in getpwall():
        if user.pw_name == name:
            return user
    raise KeyError("getpwnam(): name not found: %r" % name)


def getpwuid(uid):
    for user in getpwall():
        if user.pw_uid == uid:
            return user
    if uid == os.getuid():
        return _myself()
    raise KeyError("getpwuid(): uid not found: %r" % uid)
