# An exception whose repr fails is named, in its frames and as the outcome.
class Bad(Exception):
    def __repr__(self):
        raise KeyError

def main():
    raise Bad(1)
