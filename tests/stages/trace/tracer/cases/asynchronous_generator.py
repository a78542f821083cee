# The StopAsyncIteration that ends an async for is shown: no opcode tells it from one by hand.
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
