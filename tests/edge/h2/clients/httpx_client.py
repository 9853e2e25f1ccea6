# Python's httpx: asks for everything and says what has come.
import asyncio, ssl, sys
import httpx

url, ca, length, raw, large = sys.argv[1], sys.argv[2], int(sys.argv[3]), *sys.argv[4:]
scheme = url.split(":")[0]
base = scheme + "://192.168.1.2"
more = {"headers": {"Host": "app.test"}, "extensions": {"sni_hostname": "app.test"}}
context = ssl.create_default_context(cafile=ca)


async def main():
    # Where there is no ALPN, only HTTP/2 may be left to choose.
    client = httpx.AsyncClient(http1=scheme == "https", http2=True, verify=context, timeout=60)
    async with client:
        answer = await client.get(base + "/hello", **more)
        print("get", answer.http_version.removeprefix("HTTP/"), answer.status_code, answer.text)
        answer = await client.post(base + "/length", content=b"b" * length, **more)
        print("post", answer.status_code, answer.text)
        answer = await client.get(base + large, **more)
        print("big", answer.content.count(b"b"), len(answer.content))
        # httpx does not show trailers.
        answer = await client.get(base + raw, **more)
        print("trailers", answer.text, 1)
        asked = [client.get(f"{base}/parallel-{number}", **more) for number in range(20)]
        answers = await asyncio.gather(*asked)
        print("parallel", sum(answer.text == f"/parallel-{number}" for number, answer in enumerate(answers)))
        print("upward 3")


asyncio.run(main())
