/** HTTP clients as they should be: they keep connections, and send a request again until it is answered, the same bytes with the same ids. */
import { Agent, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Made {
  readonly id: string;
  readonly json: string;
  /** Whether the topic takes it, under every definition that it has in the course of the run. */
  readonly good: boolean;
}

/** What the program has said of each record. */
export interface Ledger {
  readonly accepted: Map<string, string>;
  readonly rejected: Map<string, string>;
  /** Answers that are no answer to what was sent. */
  readonly wrong: string[];
  /** Requests that were refused for now, by code. */
  readonly refusals: Map<string, number>;
  requests: number;
  retries: number;
}

export function newLedger(): Ledger {
  return { accepted: new Map(), rejected: new Map(), wrong: [], refusals: new Map(), requests: 0, retries: 0 };
}

export interface Client {
  /** Sends until `stop`, then until the request under way is answered. */
  readonly done: Promise<void>;
  stop(): void;
}

export function startClient(input: {
  readonly port: number;
  readonly path: string;
  readonly token: string;
  readonly random: () => number;
  /** The records of the next request. */
  readonly next: () => readonly Made[];
  readonly ledger: Ledger;
  /** The longest that it waits between two requests. */
  readonly pause: number;
}): Client {
  const { ledger, random } = input;
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  let stopped = false;

  async function run(): Promise<void> {
    while (!stopped) {
      const records = input.next();
      const body = records.length === 1 ? records[0]!.json : `[${records.map(({ json }) => json).join(',')}]`;
      ledger.requests++;
      note(ledger, records, await untilAnswered(body));
      await sleep(random() * input.pause);
    }
    agent.destroy();
  }

  async function untilAnswered(body: string): Promise<{ status: number; text: string }> {
    for (;;) {
      const answer = await send(agent, input, body).catch(() => null);
      if (answer !== null && answer.status !== 429 && answer.status < 500) return answer;
      if (answer !== null) countRefusal(ledger, answer.text);
      ledger.retries++;
      await sleep(5 + random() * 40);
    }
  }

  return {
    done: run(),
    stop() {
      stopped = true;
    },
  };
}

function countRefusal({ refusals }: Ledger, text: string): void {
  const code = /"code":"(\w+)"/.exec(text)?.[1] ?? 'no code';
  refusals.set(code, (refusals.get(code) ?? 0) + 1);
}

function send(agent: Agent, to: { port: number; path: string; token: string }, body: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const asked = request(
      {
        agent,
        host: '127.0.0.1',
        port: to.port,
        path: to.path,
        method: 'POST',
        timeout: 5_000,
        headers: { authorization: `Bearer ${to.token}`, 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) },
      },
      (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (piece: string) => (text += piece));
        answer.once('end', () => resolve({ status: answer.statusCode!, text }));
        answer.once('error', reject);
      },
    );
    asked.once('timeout', () => asked.destroy(new Error('no answer in 5 s')));
    asked.once('error', reject);
    asked.end(body);
  });
}

/** Enters an answer into the ledger; records that it says nothing of, or says wrong things of, are noted. */
function note(ledger: Ledger, records: readonly Made[], answer: { status: number; text: string }): void {
  const said = answer.text.startsWith('{') ? (JSON.parse(answer.text) as { accepted?: number; rejections?: { index: number }[] }) : {};
  const { accepted, rejections } = said;
  if (accepted === undefined || rejections === undefined || accepted + rejections.length !== records.length) {
    ledger.wrong.push(`${answer.status} ${answer.text.slice(0, 300)}`);
    return;
  }
  const rejected = new Set(rejections.map(({ index }) => index));
  records.forEach(({ id, json, good }, index) => {
    if (rejected.has(index) === good) ledger.wrong.push(`${good ? 'rejected' : 'accepted'}: ${json.slice(0, 300)}`);
    (rejected.has(index) ? ledger.rejected : ledger.accepted).set(id, json);
  });
}
