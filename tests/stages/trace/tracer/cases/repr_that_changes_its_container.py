# A repr may change what it is in.
class R:
    def __init__(self, items):
        self.items = items

    def __repr__(self):
        self.items.clear()
        return "R"

def main():
    items = [1, 2]
    items.append(R(items))
    items.append(5)
    x = 1
    return x
