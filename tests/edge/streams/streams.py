# A WebSocket and a stream of events by one way: `ws ok` and `events ok`, or what went wrong.
import os, socket, ssl, sys

url, ca, size = sys.argv[1], sys.argv[2], int(sys.argv[3])
scheme, _, host, _ = url.split("/", 3)
host, _, port = host.partition(":")
port = int(port or (443 if scheme == "https:" else 80))


def connect():
    plain = socket.create_connection(("192.168.1.2", port), timeout=20)
    if scheme == "http:":
        return plain
    context = ssl.create_default_context(cafile=ca)
    return context.wrap_socket(plain, server_hostname=host)


def ask(path, *fields):
    connection = connect()
    lines = [f"GET {path} HTTP/1.1", f"Host: {host}", *fields, "", ""]
    connection.sendall("\r\n".join(lines).encode())
    reader = connection.makefile("rb")
    head = []
    while (line := reader.readline().decode().strip()) or not head:
        head.append(line)
    return connection, reader, head


# Frames of binary data as a client masks them (RFC 6455, section 5.2).
connection, reader, head = ask(
    "/socket", "Connection: Upgrade", "Upgrade: websocket",
    "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)
assert head[0].startswith("HTTP/1.1 101 "), head
for length in (5, 200, size):
    if length < 126:
        sizes = bytes([0x80 | length])
    elif length < 65536:
        sizes = bytes([0x80 | 126]) + length.to_bytes(2, "big")
    else:
        sizes = bytes([0x80 | 127]) + length.to_bytes(8, "big")
    frame = bytes([0x82]) + sizes + os.urandom(4 + length)
    connection.sendall(frame)
    assert reader.read(len(frame)) == frame, length
connection.close()
print("ws ok")

# The next event is sent only when it was asked for, after the one before was read.
connection, reader, head = ask("/stream")
assert "content-type: text/event-stream" in [line.lower() for line in head], head
for number in (1, 2, 3):
    ask("/turn")[0].close()
    while (line := reader.readline().strip()) != b"data: %d" % number:
        assert b"data" not in line, line
connection.close()
print("events ok")
