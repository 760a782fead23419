"""Say that text is UTF-8. The interpreter asks before the first text file is opened, and can look at no locale."""


def getpreferredencoding(do_setlocale=True):
    return "UTF-8"
