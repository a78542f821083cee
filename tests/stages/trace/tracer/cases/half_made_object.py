# A repr that needs what is not there yet.
class V:
    def __init__(self):
        x = 1
        self.v = x

    def __repr__(self):
        return f"V({self.v})"

def main():
    return V()
