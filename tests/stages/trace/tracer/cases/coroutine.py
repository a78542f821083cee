# As generators; the loop of the standard library is stepped over.
import asyncio

async def child():
    await asyncio.sleep(0)
    return 3

async def top():
    x = await child()
    return x + 1

def main():
    return asyncio.run(top())
