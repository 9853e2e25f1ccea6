# Python's server: what it reads of a connection, one answer for each request.
import http.client, http.server, sys

http.client._MAXHEADERS = 1000


class Reader(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __getattr__(self, name):
        if name.startswith("do_"):
            return self.read
        raise AttributeError(name)

    def read(self):
        coding = self.headers.get("Transfer-Encoding", "")
        body = self.chunks() if "chunked" in coding.lower() else self.exactly()
        target = self.requestline.split()[1]
        self.send_response(200)
        self.send_header("X-Read", f"{self.command} {target} {body}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def exactly(self):
        length = int(self.headers.get("Content-Length") or 0)
        if len(self.rfile.read(length)) < length:
            raise ConnectionError("cut")
        return length

    def chunks(self):
        whole = 0
        while True:
            line = self.rfile.readline()
            size = int(line.split(b";")[0], 16)
            if size == 0:
                break
            if len(self.rfile.read(size)) < size:
                raise ConnectionError("cut")
            whole += size
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return whole

    def handle_one_request(self):
        try:
            super().handle_one_request()
        except (ValueError, OverflowError, MemoryError):
            self.send_error(400)
            self.close_connection = True
        except OSError:
            self.close_connection = True

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 1000


Server((sys.argv[1], int(sys.argv[2])), Reader).serve_forever()
