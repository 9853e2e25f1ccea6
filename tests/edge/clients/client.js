// Node's client: what it reads of each answer.
const [address, port, count] = process.argv.slice(-3);
const http = require("http");
function ask(number) {
  if (number === Number(count)) return;
  let told = false;
  const tell = (words) => {
    if (told) return;
    told = true;
    console.log(words);
    request.destroy();
    ask(number + 1);
  };
  const options = { host: address, port, path: `/${number}`, agent: false, maxHeaderSize: 1 << 17 };
  const request = http.get(options, (answer) => {
    let length = 0;
    answer.on("data", (part) => (length += part.length));
    answer.on("end", () => tell(answer.complete ? `${answer.statusCode} ${length}` : "error"));
    answer.on("error", () => tell("error"));
  });
  request.on("upgrade", (answer) => tell(`${answer.statusCode} upgraded`));
  request.on("error", () => tell("error"));
  request.on("close", () => tell("error"));
}
ask(0);
