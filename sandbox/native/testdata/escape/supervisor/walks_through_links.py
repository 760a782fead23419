# tries: to keep the supervisor walking after the end of its session, by links that lead a short path far
# layer: a long walk asks whether its session is over, and counts as many calls
# prints: walking
# ends: wall
# slow
# bare: not run: it would work for ever
import threading
os.chdir(HERE); os.mkdir("d"); os.symlink("d/.." + "/d/.." * 600, "l0")
for i in range(1, 38): os.symlink(f"l{i - 1}/" + "d/.." + "/d/.." * 600, f"l{i}")
def walk():
    while True: os.path.exists("l37")
print("walking", flush=True)
for _ in range(8): threading.Thread(target=walk).start()
