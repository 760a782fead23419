# list_directory: PATH LIMIT
import json, os, stat, sys, time

path, limit = sys.argv[1], int(sys.argv[2])
kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link", stat.S_IFIFO: "fifo",
         stat.S_IFSOCK: "socket", stat.S_IFCHR: "device", stat.S_IFBLK: "device"}
try:
    names = sorted(os.listdir(path))
except OSError as error:
    sys.exit(f"{path}: {error.strerror}")
entries = []
for name in names[:limit]:
    try:
        info = os.lstat(os.path.join(path, name))
    except OSError as error:
        entries.append({"name": name, "kind": error.strerror})
        continue
    entry = {"name": name, "kind": kinds.get(stat.S_IFMT(info.st_mode), "other"), "size": info.st_size,
             "mode": f"{stat.S_IMODE(info.st_mode):04o}", "modified": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(info.st_mtime))}
    if entry["kind"] == "link":
        try:
            entry["to"] = os.readlink(os.path.join(path, name))
        except OSError:
            pass
    entries.append(entry)
print(json.dumps({"entries": entries, "total": len(names)}))
