# Only the thread that called the entry; idents are left out.
import threading

def work(found):
    found.append(1)

def main():
    found = []
    t = threading.Thread(target=work, args=(found,), name="w")
    t.start()
    t.join()
    return found
