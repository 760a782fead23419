"""The socket module of a sandbox without a network: it imports, and refuses."""

import os

__all__ = [
    "socket", "error", "herror", "gaierror", "timeout", "create_connection", "getaddrinfo", "gethostname", "getfqdn",
    "gethostbyname", "getdefaulttimeout", "setdefaulttimeout", "inet_aton", "inet_ntoa", "htons", "ntohs", "htonl", "ntohl",
    "AF_UNIX", "AF_INET", "AF_INET6", "AF_UNSPEC", "SOCK_STREAM", "SOCK_DGRAM", "SOL_SOCKET", "SO_REUSEADDR", "IPPROTO_TCP",
]

AF_UNSPEC, AF_UNIX, AF_INET, AF_INET6 = 0, 1, 2, 10
SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_CLOEXEC, SOCK_NONBLOCK = 1, 2, 3, 0o2000000, 0o4000
SOL_SOCKET, SO_REUSEADDR, SO_TYPE, SO_ERROR, SO_BROADCAST, SO_KEEPALIVE = 1, 2, 3, 4, 6, 9
IPPROTO_IP, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_IPV6, TCP_NODELAY, IPV6_V6ONLY = 0, 6, 17, 41, 1, 26
SHUT_RD, SHUT_WR, SHUT_RDWR, SOMAXCONN = 0, 1, 2, 128
AI_PASSIVE, AI_CANONNAME, AI_NUMERICHOST, NI_NUMERICHOST, NI_NUMERICSERV = 1, 2, 4, 1, 2
INADDR_ANY, INADDR_LOOPBACK, INADDR_BROADCAST = 0, 0x7F000001, 0xFFFFFFFF
has_ipv6 = False

error = OSError


class herror(OSError):
    pass


class gaierror(OSError):
    pass


class timeout(OSError):
    pass


_GLOBAL_DEFAULT_TIMEOUT = object()
_default_timeout = None
_REASON = "there is no network in the Shannot sandbox; start a command, such as curl, with subprocess"


def _refuse(*args, **kwargs):
    raise PermissionError(1, _REASON)


class socket(object):
    """Any use of it is refused."""

    def __init__(self, *args, **kwargs):
        _refuse()


SocketType = socket
create_connection = create_server = socketpair = fromfd = _refuse


def getaddrinfo(host, port, family=0, type=0, proto=0, flags=0):
    raise gaierror(-3, _REASON)


def _resolve(name):
    raise gaierror(-3, _REASON)


def gethostbyname(hostname):
    return hostname if _numbers(hostname) else _resolve(hostname)


def gethostname():
    return os.uname()[1]


def getfqdn(name=""):
    return name.strip() or gethostname()


def gethostbyname_ex(hostname):
    return hostname, [], [gethostbyname(hostname)]


def gethostbyaddr(address):
    raise herror(1, _REASON)


def getservbyname(name, protocol=None):
    ports = {"ftp": 21, "ssh": 22, "smtp": 25, "domain": 53, "http": 80, "https": 443}
    if name not in ports:
        raise OSError("service/proto not found")
    return ports[name]


def getdefaulttimeout():
    return _default_timeout


def setdefaulttimeout(value):
    global _default_timeout
    _default_timeout = value


def _numbers(text):
    parts = text.split(".")
    return len(parts) == 4 and all(p.isdigit() and int(p) < 256 for p in parts)


def inet_aton(text):
    if not _numbers(text):
        raise OSError("illegal IP address string passed to inet_aton")
    return bytes(int(p) for p in text.split("."))


def inet_ntoa(packed):
    if len(packed) != 4:
        raise OSError("packed IP wrong length")
    return ".".join(str(b) for b in packed)


def inet_pton(family, text):
    if family != AF_INET:
        raise OSError(97, "Address family not supported by protocol")
    return inet_aton(text)


def inet_ntop(family, packed):
    if family != AF_INET:
        raise OSError(97, "Address family not supported by protocol")
    return inet_ntoa(packed)


def htons(value):
    return int.from_bytes(value.to_bytes(2, "little"), "big")


def htonl(value):
    return int.from_bytes(value.to_bytes(4, "little"), "big")


ntohs, ntohl = htons, htonl
