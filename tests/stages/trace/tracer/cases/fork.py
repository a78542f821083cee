# A child of fork is not traced: it finds no trace function, and its lines are not among these.
import os
from sys import gettrace

def child():
    os._exit(3 if gettrace() is None else 4)

def main():
    global pid
    pid = os.fork()
    if pid == 0:
        child()
    status = os.waitpid(pid, 0)[1]
    return os.waitstatus_to_exitcode(status)
