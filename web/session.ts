import type { SessionAnswer } from '../src/server/api.ts';
import { call } from './api.ts';

let first: Promise<SessionAnswer> | null = null;

/** Who is signed in: one answer for all who ask while the page is made. A failure is not kept. */
export function whoIsThere(): Promise<SessionAnswer> {
  first ??= call<SessionAnswer>('GET', '/v1/session').catch((thrown) => {
    first = null;
    throw thrown;
  });
  return first;
}
