"""Write the byte code of a library's modules to one file: python bundle.py LIBRARY FILE.

The file is the size of an index as 8 bytes, low byte first; the index, as marshal writes a dict from the path of a
module's source below LIBRARY to where its code begins behind the index and how long that is, in bytes; and the codes.
sitecustomize.py reads it, and takes it for the whole library: one module without byte code makes this fail.
"""

import importlib.util
import marshal
import os
import sys

HEADER = 16  # bytes before the code in a .pyc file, PEP 552


def main(library, name):
    places, codes, at = {}, [], 0
    for directory, folders, files in os.walk(library):
        folders[:] = sorted(d for d in folders if d not in ("__pycache__", "site-packages"))
        for file in sorted(files):
            source = os.path.join(directory, file)
            if not file.endswith(".py"):
                continue
            with open(importlib.util.cache_from_source(source), "rb") as f:
                code = f.read()[HEADER:]
            places[os.path.relpath(source, library)] = at, len(code)
            codes.append(code)
            at += len(code)
    index = marshal.dumps(places)
    with open(name, "wb") as f:
        f.write(len(index).to_bytes(8, "little"))
        f.write(index)
        f.writelines(codes)


main(*sys.argv[1:])
