# What contains itself ends in dots, as repr has it.
def main():
    a = []
    a.append(a)
    d = {}
    d["d"] = d
    t = (a,)
    a.append(t)
    return d
