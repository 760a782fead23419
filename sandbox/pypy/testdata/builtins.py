# Put before the first module that an ordinary PyPy imports: hide the built-in modules that a sandboxed build does not have.
import sys as _sys

_kept = set(
    "__exceptions__ __pypy__ __pypy__._pypydatetime __pypy__.bufferable __pypy__.builders __pypy__.intop __pypy__.os "
    "__pypy__.time _abc _ast _codecs _frozen_importlib _frozen_importlib_external _imp _io _locale _operator "
    "_pickle_support _random _sre _string _struct _warnings _weakref atexit builtins cmath errno gc itertools marshal math "
    "parser posix pypyjit symbol sys time token".split()
)
_hidden = set(_sys.builtin_module_names) - _kept
_sys.builtin_module_names = tuple(sorted(_kept.intersection(_sys.builtin_module_names)))
for _name in list(_sys.modules):
    if _name in _hidden:
        del _sys.modules[_name]
for _finder in _sys.meta_path:
    if getattr(_finder, "__name__", "") == "BuiltinImporter":

        def _find_spec(cls, fullname, path=None, target=None, _find=_finder.find_spec):
            return _find(fullname, path, target) if fullname in _kept else None

        _finder.find_spec = classmethod(_find_spec)
        _finder.find_module = classmethod(lambda cls, fullname, path=None: None)
