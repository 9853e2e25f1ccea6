# WebSockets from HTTP/1.1 to HTTP/2 (RFC 8441) and back, byte by byte.
#   bridge.py up LISTEN TARGET CA|-      takes an Upgrade, asks TARGET by an extended CONNECT
#   bridge.py down LISTEN TARGET         takes an extended CONNECT, asks TARGET by an Upgrade
#   bridge.py echo LISTEN                takes an Upgrade, sends back whatever comes
# Says `ready` when it listens.
import asyncio, base64, hashlib, os, socket, ssl, struct, sys

import h2.config, h2.connection, h2.events, h2.settings

CONNECT_PROTOCOL = h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
# What of a handshake is more than its form.
KEPT = ("sec-websocket-version", "sec-websocket-protocol", "sec-websocket-extensions", "origin", "user-agent")


def accept(key):
    return base64.b64encode(hashlib.sha1(key.encode() + GUID).digest()).decode()


async def head(reader):
    """A head of HTTP/1.1: its first line, its fields by their names in lower case."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
    return first, {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)}


def reset(writer):
    """As the other side has done it."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Session:
    """One connection of HTTP/2, its streams each with two ends of a WebSocket."""

    def __init__(self, reader, writer, client):
        config = h2.config.H2Configuration(client_side=client, header_encoding="utf-8")
        self.reader, self.writer, self.h2 = reader, writer, h2.connection.H2Connection(config)
        self.h2.local_settings = h2.settings.Settings(client, {CONNECT_PROTOCOL: 0 if client else 1})
        if client:
            del self.h2.local_settings[CONNECT_PROTOCOL]
        self.h2.initiate_connection()
        self.flush()
        self.changed = asyncio.Condition()
        self.heads, self.streams, self.settled = {}, {}, asyncio.Event()
        self.on_request = None
        self.over = False

    def flush(self):
        self.writer.write(self.h2.data_to_send())

    async def run(self):
        try:
            while data := await self.reader.read(65536):
                for event in self.h2.receive_data(data):
                    self.take(event)
                self.flush()
                async with self.changed:
                    self.changed.notify_all()
        except (OSError, h2.exceptions.ProtocolError):
            pass
        self.over = True
        for queue in self.streams.values():
            queue.put_nowait(None)
        async with self.changed:
            self.changed.notify_all()
        self.settled.set()
        self.writer.close()

    def take(self, event):
        if isinstance(event, h2.events.RemoteSettingsChanged):
            self.settled.set()
        elif isinstance(event, h2.events.RequestReceived):
            self.streams[event.stream_id] = asyncio.Queue()
            asyncio.ensure_future(self.on_request(self, event.stream_id, dict(event.headers)))
        elif isinstance(event, h2.events.ResponseReceived):
            self.heads[event.stream_id] = dict(event.headers)
        elif isinstance(event, h2.events.DataReceived):
            if event.flow_controlled_length:
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            self.streams[event.stream_id].put_nowait(event.data)
        elif isinstance(event, h2.events.StreamEnded):
            self.streams[event.stream_id].put_nowait(b"")
        elif isinstance(event, h2.events.StreamReset) and event.stream_id in self.streams:
            self.streams[event.stream_id].put_nowait(None)

    async def send(self, stream, data):
        while data:
            async with self.changed:
                await self.changed.wait_for(lambda: self.over or self.h2.local_flow_control_window(stream) > 0)
            if self.over:
                raise OSError("the connection has ended")
            size = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
            self.h2.send_data(stream, data[:size])
            data = data[size:]
            self.flush()
            await self.writer.drain()

    async def join(self, stream, reader, writer):
        """Carries the stream and the two halves of a TCP connection until both have ended."""
        async def up():
            try:
                while data := await reader.read(65536):
                    await self.send(stream, data)
                self.h2.end_stream(stream)
            except h2.exceptions.ProtocolError:
                return
            except OSError:
                if not self.over:
                    self.h2.reset_stream(stream, 8)
            self.flush()

        async def down():
            while data := await self.streams[stream].get():
                writer.write(data)
                await writer.drain()
            if data is None:
                reset(writer)
            elif writer.can_write_eof():
                writer.write_eof()

        await asyncio.gather(up(), down(), return_exceptions=True)
        writer.close()


async def up(reader, writer, target, ca):
    first, fields = await head(reader)
    path = first.split(" ")[1]
    context = None
    if ca != "-":
        context = ssl.create_default_context(cafile=ca)
        context.set_alpn_protocols(["h2"])
    host, port = target.rsplit(":", 1)
    name = {"server_hostname": "shop.test"} if context else {}
    session = Session(*await asyncio.open_connection(host, int(port), ssl=context, **name), True)
    running = asyncio.ensure_future(session.run())
    await session.settled.wait()
    assert session.h2.remote_settings.get(CONNECT_PROTOCOL) == 1, "no extended CONNECT"
    stream = session.h2.get_next_available_stream_id()
    session.streams[stream] = asyncio.Queue()
    session.h2.send_headers(stream, [
        (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "https" if context else "http"),
        (":path", path), (":authority", fields["host"]),
    ] + [(name, fields[name]) for name in KEPT if name in fields])
    session.flush()
    async with session.changed:
        await session.changed.wait_for(lambda: session.over or stream in session.heads)
    answer = session.heads.get(stream, {":status": "502"})
    if answer[":status"] == "200":
        lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
                 "Sec-WebSocket-Accept: " + accept(fields["sec-websocket-key"])]
        lines += [f"{name}: {answer[name]}" for name in KEPT if name in answer]
        writer.write("\r\n".join(lines + ["", ""]).encode())
        await session.join(stream, reader, writer)
    else:
        writer.write(f"HTTP/1.1 {answer[':status']} No\r\nContent-Length: 0\r\n\r\n".encode())
        writer.close()
    session.writer.close()
    await running


async def down(session, stream, fields, target):
    host, port = target.rsplit(":", 1)
    if fields.get(":protocol") != "websocket":
        session.h2.send_headers(stream, [(":status", "501")], end_stream=True)
        return session.flush()
    reader, writer = await asyncio.open_connection(host, int(port))
    key = base64.b64encode(os.urandom(16)).decode()
    lines = [f"GET {fields[':path']} HTTP/1.1", f"Host: {fields[':authority']}", "Upgrade: websocket",
             "Connection: Upgrade", f"Sec-WebSocket-Key: {key}"]
    lines += [f"{name}: {fields[name]}" for name in KEPT if name in fields]
    writer.write("\r\n".join(lines + ["", ""]).encode())
    first, answer = await head(reader)
    if first.split(" ")[1] != "101" or answer["sec-websocket-accept"] != accept(key):
        print("no WebSocket:", first, flush=True)
        session.h2.send_headers(stream, [(":status", "502")], end_stream=True)
        return session.flush()
    session.h2.send_headers(stream, [(":status", "200")] + [(name, answer[name]) for name in KEPT if name in answer])
    session.flush()
    await session.join(stream, reader, writer)


async def echo(reader, writer):
    _, fields = await head(reader)
    writer.write((
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept(fields['sec-websocket-key'])}\r\n\r\n"
    ).encode())
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


async def main(which, listen, target="", ca="-"):
    async def serve(reader, writer):
        try:
            if which == "up":
                return await up(reader, writer, target, ca)
            if which == "echo":
                return await echo(reader, writer)
            session = Session(reader, writer, False)
            session.on_request = lambda session, stream, fields: down(session, stream, fields, target)
            await session.run()
        except (OSError, EOFError, h2.exceptions.ProtocolError) as error:
            print("a connection broke:", repr(error), flush=True)

    host, port = listen.rsplit(":", 1)
    async with await asyncio.start_server(serve, host, int(port)) as server:
        print("ready", flush=True)
        await server.serve_forever()


asyncio.run(main(*sys.argv[1:]))
