# except* takes a group apart.
def main():
    found = []
    try:
        raise ExceptionGroup("g", [ValueError(1), TypeError(2)])
    except* ValueError as e:
        found.append("v")
    except* TypeError as e:
        found.append("t")
    return found
