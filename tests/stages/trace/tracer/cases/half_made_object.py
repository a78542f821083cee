# An object whose repr needs what is not there yet: named until it can say it.
class V:
    def __init__(self):
        x = 1
        self.v = x

    def __repr__(self):
        return f"V({self.v})"

def main():
    return V()
