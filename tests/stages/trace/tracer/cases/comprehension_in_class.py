# A comprehension in a class body whose variable is a name of the class too: they are two things.
def main():
    class K:
        for i in range(5, 7):
            y = [i for i in range(2)]
            z = i
    return K.i, K.z
