import mmap
with open("m", "w+b") as f:
    f.write(b"0123456789" * 1000); f.flush()
    m = mmap.mmap(f.fileno(), 0); m[0:2] = b"AB"; m.flush(); f.seek(0); print(f.read(4), len(m), m.find(b"789"), m[-1:])
    f.seek(10); f.write(b"through"); f.flush(); print(m[10:17]); m.resize(20000); print(os.fstat(f.fileno()).st_size, m[19999:]); m.close()
with open("host.txt", "rb") as f:
    m = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ); print(m.readline(), m.rfind(b"host"))
    try: m[0] = 1
    except TypeError as e: print("read only")
    c = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_COPY); c[0:4] = b"COPY"; print(c[:8], m[:8])
    print(tried(mmap.mmap, f.fileno(), 0, mmap.MAP_SHARED, mmap.PROT_WRITE))
with open("host.txt", "r+b") as f:
    m = mmap.mmap(f.fileno(), 4); m.move(0, 1, 3); m.flush(); print(text("host.txt"))
f = open("gone", "w+b"); f.write(b"kept"); f.flush(); m = mmap.mmap(f.fileno(), 0); f.close(); os.unlink("gone"); print(m[:])
a = mmap.mmap(-1, 8192); a.write(b"anonymous"); a.seek(0); print(a.read(9)); print(a.madvise(mmap.MADV_DONTNEED), tried(mmap.mmap, os.open("/", os.O_RDONLY), 4096))
from multiprocessing import shared_memory
s = shared_memory.SharedMemory(create=True, size=64, track=False); s.buf[:3] = b"shm"; t = shared_memory.SharedMemory(s.name, track=False); print(bytes(t.buf[:3])); t.close(); s.close(); s.unlink()
