# Without a repr of its own an object shows its attributes.
class Node:
    def __init__(self, v):
        self.v = v

def main():
    a = Node(1)
    a.v = 2
    a.next = a
    return a
