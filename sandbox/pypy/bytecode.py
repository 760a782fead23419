"""Print the byte code of the modules that scripts import most, and of all that these import.

Each module is two byte strings, its name's and its own, behind four bytes of length each. The interpreter's own importer
decides what is in the files and what they are called.
"""

import sys

MODULES = """
argparse ast base64 bisect calendar codecs collections concurrent.futures configparser contextlib copy csv datetime decimal
difflib email email.message encodings.ascii encodings.idna encodings.latin_1 encodings.utf_8 enum errno fnmatch functools
getopt getpass glob grp gzip hashlib heapq hmac html http.client importlib inspect io ipaddress itertools json linecache
locale logging logging.handlers math mimetypes mmap multiprocessing.pool operator optparse os os.path pathlib pickle platform
pprint pwd queue random re resource secrets select shlex shutil signal socket stat statistics string struct subprocess tarfile
tempfile textwrap threading time timeit tokenize traceback types typing unittest urllib.parse urllib.request uuid warnings
weakref xml.dom.minidom xml.etree.ElementTree zipfile
"""


def main():
    from importlib.machinery import SourceFileLoader

    code = {}

    def keep(loader, source, target, data):
        code[target] = bytes(data)

    SourceFileLoader._cache_bytecode = keep
    sys.dont_write_bytecode = False
    for name in MODULES.split():
        try:
            __import__(name)
        except Exception:
            pass  # not in this library
    for module in list(sys.modules.values()):  # those that were there before
        spec = getattr(module, "__spec__", None)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            if getattr(spec, "cached", None) not in code:
                try:
                    spec.loader.get_code(spec.name)
                except Exception:
                    pass
    out = sys.stdout.buffer
    for target in sorted(code):
        for item in (target.encode("utf-8"), code[target]):
            out.write(len(item).to_bytes(4, "little"))
            out.write(item)
    out.flush()


main()
