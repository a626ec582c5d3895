import type { SessionAnswer } from '../src/server/api.ts';
import { call } from './api.ts';

let first: Promise<SessionAnswer> | null = null;

/** Who is signed in; the first answer is kept until `sessionAgain`. */
export function whoIsThere(): Promise<SessionAnswer> {
  first ??= call<SessionAnswer>('GET', '/v1/session');
  return first;
}

/** The next one who asks is told what is so then. */
export function sessionAgain(): void {
  first = null;
}
