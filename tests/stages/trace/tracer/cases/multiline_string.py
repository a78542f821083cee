# Of what goes over several lines the physical line is shown: strings, brackets, backslashes.
def main():
    text = """
    two
    """
    total = 1 + \
        len(text)
    pair = [
        total,
        text.strip(),
    ]
    return pair
