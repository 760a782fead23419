"""Terminals, of which a session in this interpreter has none: every call on an open file is answered ENOTTY."""

import os


class error(Exception):
    pass


B0, B50, B75, B110, B134, B150, B200, B300, B600, B1200, B1800, B2400, B4800, B9600, B19200, B38400 = range(16)
B57600, B115200, B230400, B460800 = 4097, 4098, 4099, 4100
EXTA, EXTB = B19200, B38400
TCSANOW, TCSADRAIN, TCSAFLUSH = 0, 1, 2
TCIFLUSH, TCOFLUSH, TCIOFLUSH = 0, 1, 2
TCOOFF, TCOON, TCIOFF, TCION = 0, 1, 2, 3
IGNBRK, BRKINT, IGNPAR, PARMRK, INPCK, ISTRIP, INLCR, IGNCR, ICRNL = (1 << n for n in range(9))
IUCLC, IXON, IXANY, IXOFF, IMAXBEL = (1 << n for n in range(9, 14))
OPOST, OLCUC, ONLCR, OCRNL, ONOCR, ONLRET, OFILL, OFDEL = (1 << n for n in range(8))
CS5, CS6, CS7, CS8, CSIZE = 0, 16, 32, 48, 48
CSTOPB, CREAD, PARENB, PARODD, HUPCL, CLOCAL, CRTSCTS = 64, 128, 256, 512, 1024, 2048, 1 << 31
ISIG, ICANON, XCASE, ECHO, ECHOE, ECHOK, ECHONL, NOFLSH, TOSTOP, ECHOCTL, ECHOPRT, ECHOKE, FLUSHO = (1 << n for n in range(13))
PENDIN, IEXTEN = 1 << 14, 1 << 15
VINTR, VQUIT, VERASE, VKILL, VEOF, VTIME, VMIN, VSWTC, VSTART, VSTOP, VSUSP, VEOL, VREPRINT, VDISCARD = range(14)
VWERASE, VLNEXT, VEOL2, NCCS = 14, 15, 16, 32
TCGETS, TCSETS, TIOCSCTTY, TIOCGPGRP, TIOCSPGRP, TIOCSTI, TIOCGWINSZ, TIOCSWINSZ = (
    0x5401, 0x5402, 0x540E, 0x540F, 0x5410, 0x5412, 0x5413, 0x5414,
)
FIONREAD = TIOCINQ = 0x541B
TIOCNOTTY = 0x5422


def _refuse(fd):
    number = fd if isinstance(fd, int) else fd.fileno()
    try:
        os.fstat(number)
    except OSError as e:
        raise error(e.errno, os.strerror(e.errno))
    raise error(25, os.strerror(25))


def tcgetattr(fd):
    _refuse(fd)


def tcsetattr(fd, when, attributes):
    _refuse(fd)


def tcsendbreak(fd, duration):
    _refuse(fd)


def tcdrain(fd):
    _refuse(fd)


def tcflush(fd, queue):
    _refuse(fd)


def tcflow(fd, action):
    _refuse(fd)
