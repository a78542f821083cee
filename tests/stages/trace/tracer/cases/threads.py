# Another thread's frames are absent, what it changed is seen; idents and addresses are left out.
import threading

def work(found, go):
    go.wait()
    found.append(1)

def main():
    found = []
    go = threading.Event()
    t = threading.Thread(target=work, args=(found, go), name="w", daemon=True)
    t.start()
    go.set(), t.join()
    return found
