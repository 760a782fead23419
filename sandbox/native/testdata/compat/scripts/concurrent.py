import asyncio, concurrent.futures as cf, contextvars, queue, select, selectors, socket, threading, time
total, lock = [], threading.Lock()
def add(i):
    with lock: total.append(i)
ts = [threading.Thread(target=add, args=(i,)) for i in range(20)]; [t.start() for t in ts]; [t.join() for t in ts]; print(sum(total))
with cf.ThreadPoolExecutor(4) as pool: print(list(pool.map(pow, range(5), range(5))), [f.result() for f in cf.wait([pool.submit(len, "abc")]).done])
e, b = threading.Event(), threading.Barrier(3); got = queue.Queue(); local = threading.local(); local.x = 1
def meet(): e.wait(); b.wait(); got.put(hasattr(local, "x"))
ts = [threading.Thread(target=meet, daemon=True) for _ in range(3)]; [t.start() for t in ts]; e.set(); [t.join() for t in ts]; print([got.get() for _ in ts], threading.active_count())
t = threading.Timer(0.01, got.put, ("rang",)); t.start(); print(got.get(timeout=20)); c = threading.Condition(); s = threading.Semaphore(2); print(s.acquire(), s.acquire(), s.acquire(timeout=0.01), threading.get_native_id() == os.getpid())
try: threading.stack_size(1 << 18); t = threading.Thread(target=print, args=("small stack",)); t.start(); t.join()
finally: threading.stack_size(0)
async def tick(n): await asyncio.sleep(0.001 * n); return n
async def main():
    print(await asyncio.gather(*map(tick, range(5))), await asyncio.to_thread(add, 1))
    try: await asyncio.wait_for(asyncio.sleep(60), 0.01)
    except TimeoutError: print("timeout")
    async with asyncio.TaskGroup() as g: a, b = g.create_task(tick(1)), g.create_task(tick(2))
    print(a.result() + b.result()); q = asyncio.Queue(); loop = asyncio.get_running_loop(); loop.call_soon_threadsafe(q.put_nowait, "soon"); print(await q.get())
    x, y = socket.socketpair(); reader, writer = await asyncio.open_connection(sock=x); y.send(b"line\n"); print(await reader.readline()); writer.close(); y.close()
    r, w = os.pipe(); loop.add_reader(r, lambda: q.put_nowait(os.read(r, 9))); os.write(w, b"pipe"); print(await q.get()); loop.remove_reader(r)
    async with asyncio.timeout(20): print(await loop.run_in_executor(None, sum, [1, 2]))
asyncio.run(main())
a, b = socket.socketpair(); p = select.poll(); p.register(b, select.POLLIN); print(p.poll(0)); a.send(b"x"); print(len(p.poll(1000)), select.select([b], [b], [], 0)[0] == [b])
ep = select.epoll(); ep.register(b, select.EPOLLIN | select.EPOLLET); print(len(ep.poll(1)), len(ep.poll(0))); ep.close(); print(b.recv(1)); a.shutdown(socket.SHUT_WR); print(b.recv(1))
with selectors.DefaultSelector() as s: s.register(a, selectors.EVENT_WRITE, "data"); print([k.data for k, _ in s.select(1)]) if a.close() else print("closed")
from concurrent.futures import ProcessPoolExecutor, InterpreterPoolExecutor
with InterpreterPoolExecutor(2) as pool: print(list(pool.map(abs, [-1, -2])))
