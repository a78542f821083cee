# exec is stepped over; __builtins__ in its namespace is left out.
def main():
    ns = {}
    exec("y = 3", ns)
    z = eval("y + 1", ns)
    return z
