# Modules come from where they say, with everything that tools ask of them.
import importlib, importlib.machinery, importlib.resources, importlib.util, inspect, linecache, os, pkgutil, runpy, sys, types

LIBRARY = os.path.dirname(os.__file__)


def below(value):
    """A path or a list of them without the place that the library is at."""
    if isinstance(value, (list, tuple)):
        return [below(v) for v in value]
    return value if value is None else os.path.relpath(value, LIBRARY)


def told(module):
    spec = module.__spec__
    return (
        module.__name__,
        module.__package__,
        below(module.__file__),
        below(module.__cached__),
        below(list(getattr(module, "__path__", []))),
        spec.name,
        spec.parent,
        below(spec.origin),
        below(spec.cached),
        spec.has_location,
        below(spec.submodule_search_locations),
        isinstance(spec.loader, importlib.machinery.SourceFileLoader),
        module.__loader__ is spec.loader,
        spec.loader.is_package(module.__name__),
        below(spec.loader.get_filename(module.__name__)),
        below(spec.loader.get_code(module.__name__).co_filename),
    )


for name in ("json", "json.decoder", "email.mime.text", "xml.etree.ElementTree", "fractions", "concurrent.futures", "encodings.idna"):
    print(*told(importlib.import_module(name)))

import fractions, json

print(inspect.getsource(json.loads).splitlines()[0], len(inspect.getsource(fractions)) > 1000, linecache.getline(fractions.__file__, 1).strip())
print(importlib.resources.files("json").joinpath("tool.py").read_text().splitlines()[0], pkgutil.get_data("json", "__main__.py")[:6])
print(sorted(m.name for m in pkgutil.iter_modules(json.__path__)), {m.name for m in pkgutil.iter_modules()} >= {"abc", "json", "zipfile"})
print([m.name for m in pkgutil.walk_packages(importlib.import_module("concurrent").__path__, "concurrent.")][:3])
print(importlib.reload(fractions) is fractions, runpy.run_module("this", alter_sys=True)["c"], importlib.util.find_spec("json.nothing"))
for name in ("nothing_of_that_name", "json.nothing", "fractions.nothing", "json-", "msvcrt", "encodings.nothing"):
    try:
        importlib.import_module(name)
    except ImportError as e:
        print(type(e).__name__, e, e.name, e.path)

# What the script itself brings comes first where sys.path says so.
os.makedirs("own/colorsys_package")
text("own/colorsys.py", "here = 'before the library'\n")
text("own/colorsys_package/__init__.py", "from . import part\n")
text("own/colorsys_package/part.py", "here = __name__, __package__\n")
sys.path.insert(0, os.path.abspath("own"))
import colorsys, colorsys_package

print(colorsys.here, colorsys_package.part.here)
sys.path.remove(os.path.abspath("own"))
del sys.modules["colorsys"]
importlib.invalidate_caches()
sys.path.append(os.path.abspath("own"))
print(below(importlib.import_module("colorsys").__file__))

# Who takes the finders away gets Python's own.
sys.path_importer_cache.clear()
print(below(importlib.import_module("sched").__file__))
sys.path_hooks[:] = [importlib.machinery.FileFinder.path_hook((importlib.machinery.SourceFileLoader, [".py"]))]
sys.path_importer_cache.clear()
print(below(importlib.import_module("timeit").__file__), type(sys.modules["timeit"].__loader__).__name__)

# Bytes of the module's own are what it runs, whoever loads it.
source = importlib.util.find_spec("statistics").loader
made = types.ModuleType("made")
exec(source.get_code("statistics"), made.__dict__)
print(made.mean([1, 3]), source.get_data(source.path) == open(source.path, "rb").read(), source.path_stats(source.path)["size"] == os.path.getsize(source.path))

text("elsewhere.py", "x = 'elsewhere'\n")
here = os.path.abspath("elsewhere.py")
spec = importlib.util.spec_from_file_location("elsewhere", here, loader=type(json.__loader__)("elsewhere", here))
made = importlib.util.module_from_spec(spec)
spec.loader.exec_module(made)
print(made.x)
