from pathlib import Path
p = Path("hostdir"); print(sorted(str(x) for x in p.iterdir()), sorted(str(x) for x in p.rglob("*")), p.is_dir(), (p / "one").read_text(), Path("hostlink").is_symlink(), Path("loop").is_symlink())
q = Path("a/b/c"); q.mkdir(parents=True); q.mkdir(parents=True, exist_ok=True); print(tried(q.mkdir), (q / "f").write_text("text"), (q / "f").stat().st_size, (q / "f").exists(), q.stat().st_uid == q.parent.stat().st_uid)
f = q / "f"; print(f.rename("moved").read_text(), Path("moved").replace("again").name, Path("again").touch(), Path("again").unlink(), Path("again").unlink(missing_ok=True), tried(Path("again").unlink))
Path("l").symlink_to("host.txt"); print(Path("l").readlink(), Path("l").resolve().name, Path("l").samefile("host.txt"), Path("l").lstat().st_size); Path("h").hardlink_to("host.txt"); print(Path("h").stat().st_nlink)
print(tried(Path("loop").stat), Path("loop").exists(), Path("dangling").exists(), Path("dangling").exists(follow_symlinks=False), tried(Path("loop").resolve, strict=True) in ("ELOOP",), tried(Path("none").resolve, strict=True))
Path("h").chmod(0o600); print(oct(Path("h").stat().st_mode), Path("host.txt").is_mount(), Path("/dev/null").is_char_device(), Path("host.txt").is_fifo(), Path.cwd().name == Path(".").resolve().name)
print([(r.name, sorted(d), sorted(f)) for r, d, f in Path("hostdir").walk()], sorted(x.name for x in Path(".").glob("host*")), Path("hostdir").copy("copied").name, sorted(x.name for x in Path("copied").iterdir()), Path("copied").move("final").name)
print(Path("b.bin").write_bytes(b"\0\xff"), Path("b.bin").read_bytes(), Path("hostdir/sub/../one").resolve().relative_to(Path.cwd()), Path("~x").name, Path("final").info.is_dir())
