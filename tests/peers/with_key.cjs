// A way to the node's /mcp for programs that can send no key: everything is passed on as it is, with the key.
//
//   node with_key.cjs PORT http://127.0.0.1:NODE KEY
const http = require('node:http');

const [port, target, key] = process.argv.slice(2);
const { hostname, port: at } = new URL(target);
http
  .createServer((asked, answer) => {
    const headers = { ...asked.headers, authorization: `Bearer ${key}` };
    const on = http.request({ hostname, port: at, path: asked.url, method: asked.method, headers }, (told) => {
      answer.writeHead(told.statusCode, told.headers);
      told.pipe(answer);
    });
    on.on('error', () => answer.writeHead(502).end());
    answer.on('close', () => on.destroy());
    asked.pipe(on);
  })
  .listen(Number(port), '127.0.0.1');
