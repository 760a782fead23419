import logging, logging.config, logging.handlers, queue, threading
log = logging.getLogger("x"); log.setLevel(logging.DEBUG); log.propagate = False
def using(handler, *lines):
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s")); log.addHandler(handler)
    for line in lines: log.warning(line)
    log.removeHandler(handler); handler.close()
using(logging.FileHandler("f.log"), "one", "two"); using(logging.FileHandler("f.log", "a"), "three"); print(text("f.log"))
using(logging.handlers.RotatingFileHandler("r.log", maxBytes=40, backupCount=2), *[f"line {i}" for i in range(9)]); print(sorted(n for n in os.listdir(".") if n.startswith("r.log")), text("r.log"), text("r.log.1"))
h = logging.handlers.TimedRotatingFileHandler("t.log", when="S", backupCount=3); h.rolloverAt = 0; using(h, "rolled"); print(len([n for n in os.listdir(".") if n.startswith("t.log")]), text("t.log"))
w = logging.handlers.WatchedFileHandler("w.log"); log.addHandler(w); log.error("before"); os.rename("w.log", "w.old"); log.error("after"); log.removeHandler(w); w.close(); print(text("w.old"), text("w.log"))
q = queue.Queue(); listener = logging.handlers.QueueListener(q, logging.FileHandler("q.log")); listener.start(); using(logging.handlers.QueueHandler(q), "queued"); listener.stop(); print(text("q.log"))
m = logging.handlers.MemoryHandler(10, target=logging.FileHandler("m.log")); using(m, "kept"); print(text("m.log"))
logging.config.dictConfig({"version": 1, "handlers": {"c": {"class": "logging.FileHandler", "filename": "c.log"}}, "root": {"handlers": ["c"], "level": "INFO"}}); logging.info("configured"); print(text("c.log"))
ts = [threading.Thread(target=logging.info, args=(f"t{i}",)) for i in range(20)]; [t.start() for t in ts]; [t.join() for t in ts]; print(len(text("c.log").splitlines()))
