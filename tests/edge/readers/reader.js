// Node's server: what it reads of a connection, one answer for each request.
const [address, port] = process.argv.slice(-2);
const options = { maxHeaderSize: 1 << 17, requestTimeout: 0, headersTimeout: 0 };
const server = require("http").createServer(options, (request, answer) => {
  let length = 0;
  request.on("data", (part) => (length += part.length));
  request.on("error", () => {});
  request.on("end", () => {
    answer.setHeader("X-Read", `${request.method} ${request.url} ${length}`);
    answer.setHeader("Content-Length", 0);
    answer.end();
  });
});
server.httpAllowHalfOpen = true;
server.maxHeadersCount = 0;
server.keepAliveTimeout = 60000;
server.listen(Number(port), address, 1000);
