# Text is shown by its repr: quotes, escapes, wide characters, lone surrogates, special tokens.
def main():
    a = "it's"
    b = 'say "it\'s"'
    c = "tab\t nul\0 del\x7f nel\x85 \\"
    d = "caf\u00e9 \u4e2d \U0001f600"
    e = "\ud800 <|frame_sep|>"
    f = "\u00e9" * 200
    g = [b"\xff'", bytearray(b"x"), "", b""]
    h = {"\u4e2d": ["\U0001f600" * 60, "a"]}
    return e
