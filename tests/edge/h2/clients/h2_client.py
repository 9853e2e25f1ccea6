# Python's h2: asks for everything on one connection and says what has come.
import socket, ssl, sys
import h2.config, h2.connection, h2.events

url, ca, length, raw, large = sys.argv[1], sys.argv[2], int(sys.argv[3]), *sys.argv[4:]
scheme = url.split(":")[0]
link = socket.create_connection(("192.168.1.2", 443 if scheme == "https" else 80), timeout=60)
if scheme == "https":
    context = ssl.create_default_context(cafile=ca)
    context.set_alpn_protocols(["h2", "http/1.1"])
    link = context.wrap_socket(link, server_hostname="app.test")
    assert link.selected_alpn_protocol() == "h2", link.selected_alpn_protocol()
connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
connection.initiate_connection()
answers = {}


def flush():
    link.sendall(connection.data_to_send())


def hear():
    data = link.recv(65536)
    assert data, "the end of the connection"
    for event in connection.receive_data(data):
        assert not isinstance(event, h2.events.ConnectionTerminated), event
        answer = answers.get(getattr(event, "stream_id", 0))
        if answer is None:
            continue
        assert not isinstance(event, h2.events.StreamReset), event
        if isinstance(event, h2.events.ResponseReceived):
            answer["status"] = dict(event.headers)[":status"]
        elif isinstance(event, h2.events.DataReceived):
            answer["body"] += event.data
            connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.TrailersReceived):
            answer["trailers"] = dict(event.headers)
        elif isinstance(event, h2.events.StreamEnded):
            answer["ended"] = True
    flush()


def begin(method, path, ends=True, *more):
    stream = connection.get_next_available_stream_id()
    answers[stream] = {"body": bytearray(), "ended": False, "trailers": {}}
    fields = [(":method", method), (":scheme", scheme), (":authority", "app.test"), (":path", path)]
    connection.send_headers(stream, fields + list(more), end_stream=ends)
    flush()
    return stream


def send(stream, data, ends=True):
    while data:
        room = min(connection.local_flow_control_window(stream), connection.max_outbound_frame_size)
        if room == 0:
            hear()
            continue
        part, data = data[:room], data[room:]
        connection.send_data(stream, part, end_stream=ends and not data)
        flush()


def end(stream):
    while not answers[stream]["ended"]:
        hear()
    return answers[stream]


answer = end(begin("GET", "/hello"))
print("get", 2, answer["status"], answer["body"].decode())
stream = begin("POST", "/length", False)
send(stream, b"b" * length)
answer = end(stream)
print("post", answer["status"], answer["body"].decode())
answer = end(begin("GET", large))
print("big", answer["body"].count(b"b"), len(answer["body"]))
answer = end(begin("GET", raw, True, ("te", "trailers")))
print("trailers", answer["body"].decode(), answer["trailers"].get("x-sum"))
streams = [begin("GET", f"/parallel-{number}") for number in range(20)]
right = [end(stream)["body"].decode() == f"/parallel-{number}" for number, stream in enumerate(streams)]
print("parallel", sum(right))
stream = begin("POST", "/length", False)
send(stream, b"abc", False)
connection.send_headers(stream, [("x-up", "h2")], end_stream=True)
flush()
print("upward", end(stream)["body"].decode())
