import sqlite3, threading
c = sqlite3.connect("x.db", timeout=20); print(c.execute("pragma journal_mode=wal").fetchone()); c.execute("create table t (a integer primary key, b text)")
with c: c.executemany("insert into t (b) values (?)", [(str(i),) for i in range(1000)])
print(sorted(n for n in os.listdir(".") if n.startswith("x.db")))
def work(i):
    d = sqlite3.connect("x.db", timeout=20)
    with d: d.execute("insert into t (b) values (?)", (f"thread {i}",))
    d.close()
ts = [threading.Thread(target=work, args=(i,)) for i in range(6)]; [t.start() for t in ts]; [t.join() for t in ts]
print(c.execute("select count(*), max(a) from t").fetchone(), c.execute("pragma integrity_check").fetchone(), c.execute("pragma wal_checkpoint(truncate)").fetchone()[0])
try:
    with c: c.execute("insert into t (b) values ('lost')"); raise KeyError
except KeyError: print(c.execute("select count(*) from t where b='lost'").fetchone())
b = sqlite3.connect("backup.db"); c.backup(b); print(b.execute("select count(*) from t").fetchone()); b.close(); c.close(); print(sorted(n for n in os.listdir(".") if n.startswith("x.db")))
r = sqlite3.connect("file:x.db?mode=ro", uri=True); print(r.execute("select b from t where a = 7").fetchone())
try: r.execute("delete from t")
except sqlite3.OperationalError as e: print(e)
d = sqlite3.connect("d.db"); print(d.execute("pragma journal_mode=delete").fetchone()); d.execute("create virtual table f using fts5(x)"); d.execute("insert into f values ('full text search')"); d.commit(); print(d.execute("select * from f('text')").fetchall())
d.execute("vacuum"); d.execute("attach 'x.db' as other"); print(d.execute("select count(*) from other.t").fetchone()); print(sqlite3.connect(":memory:").execute("select 1").fetchone())
import dbm.dumb, shelve
with shelve.open("shelf", "c") as s: s["k"] = [1, {"a": 2}]
with shelve.open("shelf") as s: print(s["k"], list(s))
