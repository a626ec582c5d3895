/** The least that can acknowledge durably: `node:http`, append the body, one fdatasync for all that has queued, answer. Prints its port. */
import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';

const NEWLINE = Buffer.from('\n');
const fd = openSync(process.argv[2]!, 'a');
let pieces: Buffer[] = [];
let waiting: ServerResponse[] = [];

function flush(): void {
  const group = Buffer.concat(pieces);
  const answered = waiting;
  pieces = [];
  waiting = [];
  for (let at = 0; at < group.length; ) at += writeSync(fd, group, at);
  fdatasyncSync(fd);
  for (const response of answered) {
    const body = '{"accepted":1}';
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
    response.end(body);
  }
}

const server = createServer((request, response) => {
  request.on('data', (piece: Buffer) => pieces.push(piece));
  request.on('end', () => {
    pieces.push(NEWLINE);
    if (waiting.push(response) === 1) setImmediate(flush);
  });
});
server.listen(0, '127.0.0.1', () => process.send!((server.address() as { port: number }).port));
process.once('disconnect', () => {
  server.close();
  server.closeAllConnections();
  closeSync(fd);
});
