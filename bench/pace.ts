/** Sends records at a given rate whatever the answers take: a program that stalls is not given a rest, and its waits count in full. */
import { Agent, request } from 'node:http';
import { quantile } from './load.ts';
import type { Running } from './program.ts';

export interface Paced {
  /** Records acknowledged, and answers other than 200. */
  readonly accepted: number;
  readonly refused: number;
  /** ms from sending a request to its answer. */
  wait(share: number): number;
  /** Stops sending and waits for the answers that are due. */
  stop(): Promise<void>;
}

/** `make` gives the next request's path and its body with how many records that is; `acknowledged` hears each answer of 200. */
export function pace<Note>(
  to: Running,
  perSecond: number,
  make: () => { path: string; body: string; records: number; note: Note },
  acknowledged: (note: Note, at: number) => void = () => {},
): Paced {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const waits: number[] = [];
  const under = new Set<Promise<void>>();
  let accepted = 0;
  let refused = 0;
  let sent = 0;
  const began = performance.now();

  function one(): void {
    const { path, body, records, note } = make();
    const at = performance.now();
    const answered = new Promise<void>((resolve) => {
      const headers = {
        authorization: `Bearer ${to.token}`,
        'content-type': 'application/json',
        'content-length': Buffer.byteLength(body),
      };
      const asked = request(`${to.address}${path}`, { agent, method: 'POST', headers }, (answer) => {
        answer.resume();
        answer.once('end', () => {
          waits.push(performance.now() - at);
          if (answer.statusCode === 200) {
            accepted += records;
            acknowledged(note, performance.now());
          } else refused++;
          resolve();
        });
      });
      asked.once('error', () => {
        refused++;
        resolve();
      });
      asked.end(body);
    });
    under.add(answered);
    void answered.then(() => under.delete(answered));
  }

  const timer = setInterval(() => {
    const due = ((performance.now() - began) / 1000) * perSecond;
    for (; sent < due; sent++) one();
  }, 5);
  return {
    get accepted() {
      return accepted;
    },
    get refused() {
      return refused;
    },
    wait: (share) =>
      quantile(
        [...waits].sort((a, b) => a - b),
        share,
      ),
    async stop() {
      clearInterval(timer);
      await Promise.all(under);
      agent.destroy();
    },
  };
}
