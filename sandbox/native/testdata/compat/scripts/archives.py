import bz2, gzip, io, lzma, tarfile, zipfile, zlib
with zipfile.ZipFile("z.zip", "w", zipfile.ZIP_DEFLATED) as z: z.write("host.txt"); z.writestr("made/x", "in memory"); z.mkdir("dir")
with zipfile.ZipFile("z.zip", "a") as z: z.write("hostdir/one", compress_type=zipfile.ZIP_LZMA)
with zipfile.ZipFile("z.zip") as z: print(z.namelist(), z.testzip(), z.read("made/x"), z.getinfo("host.txt").file_size, z.open("host.txt").readline()); z.extractall("unzipped")
print(sorted(os.listdir("unzipped")), text("unzipped/made/x"), zipfile.is_zipfile("z.zip"), zipfile.is_zipfile("host.txt"))
for kind in ("gz", "bz2", "xz", "zst"):
    with tarfile.open("t.tar." + kind, "w:" + kind) as t: t.add("hostdir"); t.add("hostlink"); t.add("host.txt")
    with tarfile.open("t.tar." + kind) as t: print([(m.name, m.isdir(), m.issym(), m.size) for m in t.getmembers()]); t.extractall("un-" + kind, filter="data")
    st = os.stat(f"un-{kind}/host.txt"); print(text(f"un-{kind}/hostlink"), st.st_mtime, mode(f"un-{kind}/host.txt"), sorted(os.listdir(f"un-{kind}/hostdir")))
with tarfile.open("h.tar", "w") as t: os.link("hostdir/one", "two"); t.add("hostdir/one"); t.add("two")
with tarfile.open("h.tar") as t: print([m.islnk() for m in t.getmembers()])
for module in (gzip, bz2, lzma):
    with module.open("c", "wt") as f: f.write("line\n" * 1000)
    with module.open("c", "rt") as f: print(sum(1 for _ in f), os.stat("c").st_size < 300)
print(zlib.decompress(zlib.compress(b"x" * 100)) == b"x" * 100, gzip.decompress(gzip.compress(b"y")))
