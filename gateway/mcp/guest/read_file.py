# read_file: PATH OFFSET LIMIT
import json, sys

path, offset, limit = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
try:
    with open(path, "rb") as file:
        if offset:
            file.seek(offset)
        data = file.read(limit + 1)
except OSError as error:
    sys.exit(f"{path}: {error.strerror}")
sys.stdout.buffer.write(data[:limit])
sys.stderr.write(json.dumps({"more": len(data) > limit}))
