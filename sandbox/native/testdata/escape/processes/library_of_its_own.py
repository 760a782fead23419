# tries: to start an interpreter with libraries and options of the dynamic loader's that the script chose
# layer: the loader runs behind the layers: what it tells names nothing of the host
# prints: True False
# itself: it says that the loader told what it did
# bare: not run: it is about further interpreters
import subprocess
p = subprocess.run([sys.executable, "-c", "1"], env={"LD_DEBUG": "libs", "LD_LIBRARY_PATH": "/tmp", "LD_PRELOAD": "/tmp/x.so"}, capture_output=True, text=True)
print("/tmp" in p.stderr, "shannot-gateway" in p.stderr)
