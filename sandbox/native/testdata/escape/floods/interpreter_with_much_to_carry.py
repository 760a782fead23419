# tries: a further interpreter with as much as the kernel takes
# layer: none
# prints: 1000000 200000
# itself: it counts what arrived
# bare: not run: it is about further interpreters
import subprocess
code = "import os, sys; print(sum(map(len, sys.argv[1:])), sum(len(v) for k, v in os.environ.items() if k[0] == 'K'))"
p = subprocess.run([sys.executable, "-c", code, *["x" * 100_000] * 10], env={f"K{i}": "x" * 1000 for i in range(200)}, capture_output=True, text=True)
print(p.stdout, end="")
