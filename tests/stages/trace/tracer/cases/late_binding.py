# Closures made in a loop share its variable; a default keeps the value of its turn.
def main():
    found = []
    for i in range(2):
        found.append(lambda: i)
        found.append(lambda i=i: i)
    return [f() for f in found]
