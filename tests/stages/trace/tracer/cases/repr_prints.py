# What a repr prints while the tracer asks it does not get among what the program prints.
import contextlib
import io

class V:
    def __repr__(self):
        print("asked")
        return "V"

def main():
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        v = V()
        print("said")
    return out.getvalue()
