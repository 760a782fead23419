"""The groups of the target, as /etc/group says them."""


class struct_group(tuple):
    """One group: name, password, gid, members."""

    __slots__ = ()
    n_fields = 4

    gr_name = property(lambda self: self[0])
    gr_passwd = property(lambda self: self[1])
    gr_gid = property(lambda self: self[2])
    gr_mem = property(lambda self: self[3])

    def __repr__(self):
        return "grp.struct_group(gr_name=%r, gr_passwd=%r, gr_gid=%r, gr_mem=%r)" % self[:]


def getgrall():
    out = []
    try:
        with open("/etc/group", encoding="utf-8", errors="surrogateescape") as lines:
            for line in lines:
                parts = line.rstrip("\n").split(":")
                if len(parts) == 4 and parts[2].isdigit():
                    out.append(struct_group((parts[0], parts[1], int(parts[2]), parts[3].split(",") if parts[3] else [])))
    except OSError:
        pass
    return out


def getgrnam(name):
    for group in getgrall():
        if group.gr_name == name:
            return group
    raise KeyError("getgrnam(): name not found: %r" % name)


def getgrgid(gid):
    for group in getgrall():
        if group.gr_gid == gid:
            return group
    raise KeyError("getgrgid(): gid not found: %r" % gid)
