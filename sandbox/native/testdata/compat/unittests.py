"""Run modules of CPython's own tests and tell what became of each test, one JSON list a line.

Arguments: the directory of the test package, names of tests to leave out ("Class.method", * for any) with commas between
them, and modules.
"""

import fnmatch
import json
import os
import sys
import traceback
import unittest

TREE, LEFT_OUT, MODULES = sys.argv[1], [p for p in sys.argv[2].split(",") if p], sys.argv[3:]
OUT = os.dup(1)
os.dup2(2, 1)  # tests print


def tell(*what):
    os.write(OUT, (json.dumps(what) + "\n").encode())


def name_of(test):
    """Class.method, or the name of what was to be set up."""
    return ".".join(test.id().split(".")[-2:])


class Result(unittest.TestResult):
    def startTest(self, test):
        super().startTest(test)
        self.worst = ("ok", "")
        tell(name_of(test), "unfinished", "")

    def stopTest(self, test):
        super().stopTest(test)
        tell(name_of(test), *self.worst)

    def note(self, test, outcome, why):
        if not isinstance(test, unittest.TestCase):
            tell(name_of(test), outcome, why)  # a class or module, which is never started
        elif self.worst[0] != "failed":
            self.worst = (outcome, why)

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.note(test, "failed", "".join(traceback.format_exception_only(error[1])).strip())

    def addError(self, test, error):
        super().addError(test, error)
        self.note(test, "failed", "".join(traceback.format_exception_only(error[1])).strip())

    def addSubTest(self, test, subtest, error):
        super().addSubTest(test, subtest, error)
        if error is not None:
            self.note(test, "failed", "".join(traceback.format_exception_only(error[1])).strip())

    def addSkip(self, test, why):
        super().addSkip(test, why)
        self.note(test, "skipped", why)

    def addUnexpectedSuccess(self, test):
        super().addUnexpectedSuccess(test)
        self.note(test, "failed", "unexpected success")


def drop(suite):
    kept = []
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            kept.append(drop(test))
        elif not any(fnmatch.fnmatchcase(name_of(test), pattern) for pattern in LEFT_OUT):
            kept.append(test)
    return type(suite)(kept)


sys.path.append(os.path.dirname(TREE))  # last: the interpreter's own library goes before the package's
import ctypes

ctypes.__path__.append(os.path.dirname(TREE) + "/ctypes")  # its tests are there
from test.support import socket_helper

# Else modules that have tests for sockets with paths make one while they are imported, where there may be none.
socket_helper._bind_nix_socket_error = OSError("left out")

for module in MODULES:
    drop(unittest.defaultTestLoader.loadTestsFromName(module)).run(Result())
tell("", "end", "")
os._exit(0)  # threads that a test has left behind would be waited for
