# What a repr calls and raises inside is no part of the trace.
def helper():
    try:
        raise KeyError
    except KeyError:
        return "V"

class V:
    def __repr__(self):
        return helper()

def main():
    v = V()
    return v
