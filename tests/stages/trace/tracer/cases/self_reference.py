# Cycles end.
def main():
    a = []
    a.append(a)
    d = {}
    d["d"] = d
    t = (a,)
    a.append(t)
    return d
