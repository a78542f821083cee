# async with: each await that gives up control is a return, going on a call.
class Pause:
    def __await__(self):
        yield "pause"
        return 2

class Manager:
    async def __aenter__(self):
        return await Pause()

    async def __aexit__(self, *error):
        return error[0] is KeyError

async def top():
    async with Manager() as m:
        raise KeyError(m)
    return m

def main():
    co = top()
    a = co.send(None)
    try:
        co.send(None)
    except StopIteration as stop:
        return a, stop.value
