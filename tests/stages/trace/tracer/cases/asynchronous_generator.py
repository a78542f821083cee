# async for: a yield shows its value; the StopAsyncIteration at the end is shown as one by hand is.
async def numbers():
    yield 1
    yield 2

async def top():
    return [n async for n in numbers()]

def main():
    try:
        top().send(None)
    except StopIteration as stop:
        return stop.value
