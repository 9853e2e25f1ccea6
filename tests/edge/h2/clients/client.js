// Node's http2: asks for everything on one connection and says what has come.
const [url, ca, length, raw, large] = process.argv.slice(-5);
const https = url.startsWith("https");
const options = { ca: require("fs").readFileSync(ca), servername: "app.test" };
const socket = https
  ? require("tls").connect({ host: "192.168.1.2", port: 443, ALPNProtocols: ["h2"], ...options })
  : require("net").connect({ host: "192.168.1.2", port: 80 });
const session = require("http2").connect(url, { createConnection: () => socket });
session.on("error", (error) => { console.log("error", error.message); process.exit(1); });
const timer = setTimeout(() => { console.log("too long"); process.exit(1); }, 120000);

function ask(fields, body, trailers) {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ":authority": "app.test", ...fields }, { endStream: body === undefined, waitForTrailers: !!trailers });
    const answer = { parts: [] };
    stream.on("wantTrailers", () => stream.sendTrailers(trailers));
    stream.on("response", (head) => (answer.status = head[":status"]));
    stream.on("trailers", (found) => (answer.trailers = found));
    stream.on("data", (part) => answer.parts.push(part));
    stream.on("error", reject);
    stream.on("end", () => resolve({ ...answer, body: Buffer.concat(answer.parts) }));
    if (body !== undefined) stream.end(body);
  });
}

async function main() {
  let answer = await ask({ ":path": "/hello" });
  console.log("get", session.alpnProtocol === (https ? "h2" : "h2c") ? 2 : session.alpnProtocol, answer.status, answer.body.toString());
  answer = await ask({ ":path": "/length", ":method": "POST" }, Buffer.alloc(Number(length), "b"));
  console.log("post", answer.status, answer.body.toString());
  answer = await ask({ ":path": large });
  console.log("big", answer.body.equals(Buffer.alloc(answer.body.length, "b")) ? answer.body.length : 0, answer.body.length);
  answer = await ask({ ":path": raw, te: "trailers" });
  console.log("trailers", answer.body.toString(), (answer.trailers || {})["x-sum"]);
  const paths = Array.from({ length: 20 }, (_, number) => `/parallel-${number}`);
  const answers = await Promise.all(paths.map((path) => ask({ ":path": path })));
  console.log("parallel", answers.filter((answer, number) => answer.body.toString() === paths[number]).length);
  answer = await ask({ ":path": "/length", ":method": "POST" }, "abc", { "x-up": "node" });
  console.log("upward", answer.body.toString());
  clearTimeout(timer);
  session.close();
}
main().catch((error) => { console.log("error", error.message); process.exit(1); });
