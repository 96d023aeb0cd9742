"""The least that could do the job: aiohttp, orjson, a pool of workers, one line per answer.

``python bare_loop.py <test.jsonl> <base url> <results.jsonl> <concurrency>``
"""

from __future__ import annotations

import asyncio
import sys

import aiohttp
import orjson


async def main(dataset: str, base_url: str, results: str, concurrency: int) -> None:
    url = f"{base_url}/chat/completions"
    headers = {"Authorization": "Bearer key", "Content-Type": "application/json"}
    with open(dataset, "rb") as lines, open(results, "wb", buffering=0) as out:  # noqa: ASYNC230, PTH123
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, headers=headers) as session:

            async def work() -> None:
                for line in lines:
                    sample = orjson.loads(line)
                    body = orjson.dumps({"model": "fake", "messages": sample["messages"]})
                    async with session.post(url, data=body) as answer:
                        raw = orjson.loads(await answer.read())
                    result = {
                        "sample_id": sample["id"],
                        "request_messages": sample["messages"],
                        "response": {
                            "text": raw["choices"][0]["message"]["content"],
                            "tokens": raw["usage"],
                            "raw": raw,
                        },
                    }
                    out.write(orjson.dumps(result) + b"\n")

            await asyncio.gather(*(work() for _ in range(concurrency)))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4], int(sys.argv[4])))  # type: ignore[call-arg]
