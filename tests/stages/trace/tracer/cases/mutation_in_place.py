# What a callee changes shows under every name.
def g(x):
    x.append(1)

def main():
    a = []
    b = a
    g(a)
    return b
