# tries: to take the guest's stand-ins away and start a program with the real fork_exec
# layer: the stand-ins confine nothing: the filter refuses fork(2)
# prints: EPERM
# bare: DONE
import importlib.util, subprocess
import _posixsubprocess
spec = importlib.util.find_spec("_posixsubprocess")
real = importlib.util.module_from_spec(spec) if spec.origin == "built-in" else None
spec.loader.exec_module(real)
fork_exec = getattr(sys.modules.get("_posixsubprocess"), "fork_exec")
import _imp
fresh = _imp.create_dynamic(spec) if spec.origin not in (None, "built-in") else _imp.create_builtin(spec)
subprocess._USE_POSIX_SPAWN = subprocess._USE_VFORK = False
subprocess._fork_exec = fresh.fork_exec
print(outcome(subprocess.run, ["/bin/true"]))
