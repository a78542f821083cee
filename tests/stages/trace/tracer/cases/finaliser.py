# __del__ runs where the last name is rebound.
class D:
    def __del__(self):
        x = 1

def main():
    d = D()
    d = None
    y = 2
    return y
