import ctypes, ctypes.util, importlib, importlib.metadata, importlib.resources, runpy, subprocess, zipapp, zipfile
libc = ctypes.CDLL(None, use_errno=True); print(libc.abs(-3), ctypes.CDLL("libc.so.6").strlen(b"four"), ctypes.CDLL("libm.so.6").labs(-2))
@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
def compare(a, b): return a[0] - b[0]
v = (ctypes.c_int * 5)(5, 1, 4, 2, 3); libc.qsort(v, 5, ctypes.sizeof(ctypes.c_int), compare); print(list(v))
class Point(ctypes.Structure): _fields_ = [("x", ctypes.c_int), ("y", ctypes.c_double)]
print(ctypes.sizeof(Point), Point(1, 2.5).y, ctypes.string_at(ctypes.create_string_buffer(b"buffer"), 3)); libc.open(b"none", 0); print(errno.errorcode[ctypes.get_errno()])
fd = libc.open(b"host.txt", os.O_RDONLY); print(os.read(fd, 4)); buffer = ctypes.create_string_buffer(4096); libc.getcwd.restype = ctypes.c_char_p; print(libc.getcwd(buffer, 4096).decode() == os.getcwd())
# A wheel is a zip file that is put on the path, or unpacked there.
with zipfile.ZipFile("pure-1.0-py3-none-any.whl", "w") as z:
    z.writestr("pure/__init__.py", "from .part import value\n"); z.writestr("pure/part.py", "value = 42\n"); z.writestr("pure/data.txt", "resource")
    z.writestr("pure-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: pure\nVersion: 1.0\n"); z.writestr("pure-1.0.dist-info/RECORD", "")
sys.path.insert(0, os.path.abspath("pure-1.0-py3-none-any.whl")); import pure; print(pure.value, importlib.resources.files(pure).joinpath("data.txt").read_text(), importlib.metadata.version("pure"))
for name in [n for n in sys.modules if n.startswith("pure")]: del sys.modules[name]
zipfile.ZipFile("pure-1.0-py3-none-any.whl").extractall("lib"); sys.path[0] = os.path.abspath("lib"); importlib.invalidate_caches(); import pure; print(pure.value, "whl" in pure.__file__, os.path.exists("lib/pure/__pycache__") or sys.dont_write_bytecode)
text("lib/late.py", "x = 1"); importlib.invalidate_caches(); import late; print(late.x); text("lib/late.py", "x = 22"); print(importlib.reload(late).x)
text("run.py", "import sys; print(__name__, sys.argv[1:])"); sys.argv = ["run.py", "a"]; runpy.run_path("run.py", run_name="__main__")
print(subprocess.run([sys.executable, "-c", "import sys, pure; print(pure.value, sys.argv)", "arg"], env={**os.environ, "PYTHONPATH": sys.path[0]}, capture_output=True, text=True).stdout, end="")
print(subprocess.run([sys.executable, "run.py", "x"], capture_output=True, text=True).stdout, end=""); zipapp.create_archive("lib", "app.pyz", main="late:x.bit_length"); print(subprocess.run([sys.executable, "app.pyz"]).returncode)
