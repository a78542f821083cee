# A repr is asked once for each event and variable.
class S:
    asked = 0

    def __repr__(self):
        S.asked += 1
        return f"S{S.asked}"

def main():
    s = S()
    x = 1
    x = 2
    return x
