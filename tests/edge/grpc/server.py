# An endpoint of gRPC without generated code: messages are bytes. Says `ready` when it listens.
#   server.py ADDRESS[,ADDRESS] [CERTIFICATE KEY] [health=FILE]
# With a file it has a health service: the file says of each service what it is, in lines `SERVICE=NUMBER`.
import hashlib, sys, threading, time
from concurrent import futures

import grpc

SERVICE = "bed.Bed"
LIMITS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
cancelled = set()
changed = threading.Condition()


def told(context):
    """What the client said of itself comes back, before the answer and behind it."""
    asked = dict(context.invocation_metadata())
    first = [("x-told", asked.get("x-ask", "")), ("x-told-bin", asked.get("x-ask-bin", b""))]
    context.send_initial_metadata(first)
    context.set_trailing_metadata([("x-end", asked.get("x-ask", "")), ("x-end-bin", asked.get("x-ask-bin", b""))])


def echo(request, context):
    told(context)
    return request


def collect(requests, context):
    told(context)
    count, digest = 0, hashlib.sha256()
    for request in requests:
        count += 1
        digest.update(request)
    return b"%d %s" % (count, digest.hexdigest().encode())


def split(request, context):
    told(context)
    count, size = map(int, request.split())
    for number in range(count):
        yield bytes([number % 251]) * size


def talk(requests, context):
    told(context)
    for request in requests:
        yield request[::-1]


def fail(request, context):
    code, details = request.decode().split(" ", 1)
    context.abort(grpc.StatusCode[code], details)


def fail_late(request, context):
    yield b"first"
    fail(request, context)


def wait(request, context):
    """Until the client is gone, which is noted."""
    over = threading.Event()

    def gone():
        with changed:
            cancelled.add(request)
            changed.notify_all()
        over.set()

    if not context.add_callback(gone):
        gone()
    yield b"here"
    over.wait(60)


def seen(request, context):
    """Whether the call of that name was seen to be cancelled, within a while."""
    with changed:
        return b"yes" if changed.wait_for(lambda: request in cancelled, 10) else b"no"


def remaining(request, context):
    left = context.time_remaining()
    return b"none" if left is None or left > 10**6 else b"%d" % round(left * 1000)


UNARY = {"Echo": echo, "Fail": fail, "Seen": seen, "Remaining": remaining}
handlers = {name: grpc.unary_unary_rpc_method_handler(handler) for name, handler in UNARY.items()}
handlers["Collect"] = grpc.stream_unary_rpc_method_handler(collect)
handlers["Split"] = grpc.unary_stream_rpc_method_handler(split)
handlers["Wait"] = grpc.unary_stream_rpc_method_handler(wait)
handlers["FailLate"] = grpc.unary_stream_rpc_method_handler(fail_late)
handlers["Talk"] = grpc.stream_stream_rpc_method_handler(talk)


def check(request, context):
    """`grpc.health.v1.HealthCheckRequest` to `HealthCheckResponse`: each has one field."""
    service = request[2:].decode()
    lines = [line.rpartition("=") for line in open(health).read().splitlines()]
    for name, _, number in lines:
        if name == service:
            return b"\x08%c" % int(number)
    context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")


health = next((word[7:] for word in sys.argv if word.startswith("health=")), None)
words = [word for word in sys.argv if not word.startswith("health=")]
server = grpc.server(futures.ThreadPoolExecutor(32), options=LIMITS)
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
if health:
    checking = {"Check": grpc.unary_unary_rpc_method_handler(check)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("grpc.health.v1.Health", checking),))
if len(words) > 2:
    certificate, key = (open(path, "rb").read() for path in words[2:4])
    server.add_secure_port(words[1], grpc.ssl_server_credentials([(key, certificate)]))
else:
    for address in words[1].split(","):
        server.add_insecure_port(address)
server.start()
print("ready", flush=True)
while True:
    time.sleep(3600)
