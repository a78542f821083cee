# The ident of a thread that runs is left out.
import threading

def main():
    t = threading.current_thread()
    return t
