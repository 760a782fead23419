# tries: a further interpreter with arguments and an environment beyond what the kernel takes
# layer: the supervisor refuses it before it starts anything
# prints: E2BIG E2BIG E2BIG
# bare: E2BIG E2BIG E2BIG
import subprocess
run = lambda *args, **options: outcome(subprocess.run, [sys.executable or "/bin/true", "-c", "1", *args], **options)
print(run("x" * 140_000), run(*["x" * 100_000] * 100), run(env={"A": "x" * 140_000}))
