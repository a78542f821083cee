# Each resume of a coroutine is a call, each await that gives up control a return; no event loop.
import asyncio

async def child():
    await asyncio.sleep(0)
    return 3

async def top():
    x = await child()
    return x + 1

def main():
    return asyncio.run(top())
