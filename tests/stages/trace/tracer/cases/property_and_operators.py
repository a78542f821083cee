# Calls that are not written as calls: properties, operators, indexing, truth, formatting.
class V:
    def __init__(self, x):
        self.x = x

    @property
    def double(self):
        return V(self.x * 2)

    def __add__(self, other):
        return V(self.x + other.x)

    def __getitem__(self, key):
        return key

    def __bool__(self):
        return False

    def __format__(self, spec):
        return f"<{self.x}>"

def main():
    a = V(1)
    b = a + a.double
    c = a[1:2]
    text = f"{b}" if not b else ""
    return text
