# Calls to an endpoint of gRPC, a line of JSON for what came of each, in the order of the calls.
#   client.py ADDRESS CA|- calls COUNT SEED     calls of every kind
#   client.py ADDRESS CA|- soak SECONDS         calls that should be answered: those that were not, then how many
#   client.py ADDRESS CA|- hang                 `waiting`, then what came of a call that was not answered
#   client.py ADDRESS CA|- one                  one call
import hashlib, json, random, sys, threading, time
from concurrent import futures

import grpc

SERVICE = "/bed.Bed/"
LIMITS = [
    ("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1),
    ("grpc.ssl_target_name_override", "grpc.test"), ("grpc.default_authority", "grpc.test"),
    # Who was refused once asks again at once.
    ("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 100),
    ("grpc.enable_http_proxy", 0),
]
MIB = 1 << 20
# The longest that a call may take that should be answered.
PATIENCE = 30


def channel(address, ca):
    if ca == "-":
        return grpc.insecure_channel(address, options=LIMITS)
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(open(ca, "rb").read()), options=LIMITS)


def digest(parts):
    whole = hashlib.sha256()
    for part in parts:
        whole.update(b"%d:" % len(part))
        whole.update(part)
    return "%d %s" % (len(parts), whole.hexdigest()[:16])


def plain(metadata):
    pairs = [(key, value if isinstance(value, str) else value.hex()) for key, value in metadata or ()]
    return sorted(pair for pair in pairs if pair[0].startswith("x-"))


def message(dice, large):
    size = dice.choice([MIB, 3 * MIB, 4 * MIB - 64, 4 * MIB]) if large else dice.choice([0, 1, 100, 5_000, 70_000])
    return dice.randbytes(size)


class Calls:
    def __init__(self, way):
        ask = {"request_serializer": None, "response_deserializer": None}
        self.unary = lambda name: way.unary_unary(SERVICE + name, **ask)
        self.collecting = way.stream_unary(SERVICE + "Collect", **ask)
        self.stream = lambda name: way.unary_stream(SERVICE + name, **ask)
        self.talking = way.stream_stream(SERVICE + "Talk", **ask)

    def told(self, call):
        return [plain(call.initial_metadata()), plain(call.trailing_metadata())]

    def one(self, number, seed, run):
        dice = random.Random(seed * 1_000_003 + number)
        kind = ["echo", "collect", "split", "talk", "echo", "fail", "fail_late", "cancel", "deadline", "remaining"][number % 10]
        # Few of them, or nothing else would be measured.
        if kind in ("cancel", "deadline") and number % 100 >= 50:
            kind = "echo"
        large = number % 40 == 0 or number % 200 == 3
        metadata = [("x-ask", "value %d" % number), ("x-ask-bin", dice.randbytes(dice.choice([0, 1, 2, 3, 200])))]
        return [number, kind] + getattr(self, kind)(dice, metadata, large, "%s %d" % (run, number))

    def echo(self, dice, metadata, large, name):
        sent = message(dice, large)
        heard, call = self.unary("Echo").with_call(sent, metadata=metadata, timeout=PATIENCE)
        return [digest([heard]), heard == sent, self.told(call)]

    def collect(self, dice, metadata, large, name):
        parts = [message(dice, large and number == 0) for number in range(dice.randrange(8))]
        heard, call = self.collecting.with_call(iter(parts), metadata=metadata, timeout=PATIENCE)
        return [heard.decode(), self.told(call)]

    def split(self, dice, metadata, large, name):
        request = b"%d %d" % ((2, 2 * MIB) if large else (dice.randrange(20), dice.choice([0, 10, 20_000])))
        call = self.stream("Split")(request, metadata=metadata, timeout=PATIENCE)
        return [digest(list(call)), self.told(call)]

    def talk(self, dice, metadata, large, name):
        """Each message only when the one before was answered."""
        turns, answers = threading.Semaphore(1), []
        parts = [message(dice, large and number == 0) for number in range(1 + dice.randrange(6))]

        def say():
            for part in parts:
                turns.acquire()
                yield part

        call = self.talking(say(), metadata=metadata, timeout=PATIENCE)
        for answer in call:
            answers.append(answer)
            turns.release()
        return [digest(answers), answers == [part[::-1] for part in parts], self.told(call)]

    def fail(self, dice, metadata, large, name):
        code = dice.choice(["NOT_FOUND", "PERMISSION_DENIED", "INTERNAL", "RESOURCE_EXHAUSTED", "UNAUTHENTICATED"])
        return self.broken(lambda: self.unary("Fail")(b"%s because: %% \xc3\xa4 %d" % (code.encode(), dice.randrange(9)), timeout=PATIENCE))

    def fail_late(self, dice, metadata, large, name):
        return self.broken(lambda: list(self.stream("FailLate")(b"DATA_LOSS late", timeout=PATIENCE)))

    def cancel(self, dice, metadata, large, name):
        """The endpoint learns of it."""
        call = self.stream("Wait")(name.encode(), timeout=PATIENCE)
        here = next(call)
        call.cancel()
        seen = self.unary("Seen")(name.encode(), timeout=PATIENCE)
        return [here.decode(), call.code().name, seen.decode()]

    def deadline(self, dice, metadata, large, name):
        """It ends a call that the endpoint has begun to answer; a busy machine may need several tries for that."""
        for turn in range(6):
            named = b"%s %d" % (name.encode(), turn)
            call = self.stream("Wait")(named, timeout=0.2 * 2**turn)
            begun = self.broken(lambda: next(call))
            if begun[0] == "OK":
                outcome = self.broken(lambda: list(call))
                seen = self.unary("Seen")(named, timeout=PATIENCE)
                # Who noticed first has other words for it.
                return [outcome[0], seen.decode()]
        return begun

    def remaining(self, dice, metadata, large, name):
        left = self.unary("Remaining")(b"", timeout=20)
        return [10_000 < int(left) <= 20_500]

    def broken(self, ask):
        try:
            return ["OK", str(ask())]
        except grpc.RpcError as error:
            return [error.code().name, error.details()]


def calls(way, count, seed, run):
    kinds = Calls(way)

    def one(number):
        try:
            return kinds.one(number, seed, run)
        except grpc.RpcError as error:
            return [number, "failed", error.code().name, error.details()]

    with futures.ThreadPoolExecutor(8) as pool:
        for line in pool.map(one, range(count)):
            print(json.dumps(line))


def soak(way, seconds):
    kinds, end = Calls(way), time.monotonic() + seconds

    def lane(lane):
        wrong, asked = [], 0
        while time.monotonic() < end:
            number = 4 * asked + lane
            # The first five kinds; few large messages.
            number = number // 5 * 10 + number % 5
            asked += 1
            try:
                came = kinds.one(number, lane, "soak")
                if any(part is False for part in came):
                    wrong.append(came)
            except grpc.RpcError as error:
                wrong.append([number, error.code().name, error.details()])
            time.sleep(0.02)
        return asked, wrong

    with futures.ThreadPoolExecutor(4) as pool:
        lanes = list(pool.map(lane, range(4)))
    for _, wrong in lanes:
        for line in wrong:
            print(json.dumps(line))
    print(json.dumps(["asked", sum(asked for asked, _ in lanes)]))


def hang(way):
    call = Calls(way).stream("Wait")(b"hang", timeout=PATIENCE)
    next(call)
    print("waiting", flush=True)
    print(json.dumps(Calls(way).broken(lambda: next(call))), flush=True)


def one(way):
    print(json.dumps(Calls(way).broken(lambda: Calls(way).unary("Echo")(b"one", timeout=5))))


address, ca, what = sys.argv[1:4]
with channel(address, ca) as way:
    if what == "calls":
        calls(way, int(sys.argv[4]), int(sys.argv[5]), address)
    elif what == "soak":
        soak(way, float(sys.argv[4]))
    else:
        {"hang": hang, "one": one}[what](way)
