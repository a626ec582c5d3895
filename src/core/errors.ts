import { answerErrors } from './errors/answers.ts';
import { collectErrors } from './errors/collect.ts';
import type { ErrorEntry, Parameters } from './errors/entry.ts';
import { learnErrors } from './errors/learn.ts';
import { modelErrors } from './errors/models.ts';
import { processErrors } from './errors/process.ts';
import { queryErrors } from './errors/query.ts';
import { serverErrors } from './errors/server.ts';
import { simulateErrors } from './errors/simulate.ts';
import { storeErrors } from './errors/store.ts';
import { transferErrors } from './errors/transfer.ts';
import { visualizeErrors } from './errors/visualize.ts';
import { workspaceErrors } from './errors/workspace.ts';

/** The whole catalogue. Each stage keeps its entries in its own file under `errors/`; the code's prefix is the stage's word. */
export const catalogue = {
  ...answerErrors,
  ...collectErrors,
  ...learnErrors,
  ...modelErrors,
  ...processErrors,
  ...queryErrors,
  ...serverErrors,
  ...simulateErrors,
  ...storeErrors,
  ...visualizeErrors,
  ...transferErrors,
  ...workspaceErrors,
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof catalogue;

/** What a client sees of an error; the same shape over HTTP, in the CLI and in quarantine. */
export interface ErrorBody {
  readonly code: ErrorCode;
  readonly message: string;
  readonly remedy: string;
  readonly retryable: boolean;
  readonly params: Parameters;
}

/** The only error that Millrace throws on purpose. Everything else that is thrown is a defect and is reported as INTERNAL. */
export class MillraceError extends Error {
  readonly code: ErrorCode;
  readonly params: Parameters;
  constructor(code: ErrorCode, params: Parameters = {}, cause?: unknown) {
    super(catalogue[code].what(params), cause === undefined ? undefined : { cause });
    this.name = 'MillraceError';
    this.code = code;
    this.params = params;
  }
  get status(): number {
    return catalogue[this.code].status;
  }
  get retryable(): boolean {
    return catalogue[this.code].retryable;
  }
  get body(): ErrorBody {
    const entry = catalogue[this.code];
    return { code: this.code, message: this.message, remedy: entry.remedy, retryable: entry.retryable, params: this.params };
  }
}

/** Throws the catalogue's error of that code. */
export function fail(code: ErrorCode, params: Parameters = {}, cause?: unknown): never {
  throw new MillraceError(code, params, cause);
}

/** Any thrown value as a catalogue error: ours unchanged, a defect as INTERNAL with its message (never its stack) in the parameters. */
export function asMillraceError(thrown: unknown): MillraceError {
  if (thrown instanceof MillraceError) return thrown;
  return new MillraceError('INTERNAL', { detail: thrown instanceof Error ? thrown.message : String(thrown) }, thrown);
}

/** Rebuilds an error that crossed a process or network boundary as its body; an unknown code becomes INTERNAL. */
export function errorFromBody(body: { code?: unknown; message?: unknown; params?: unknown }): MillraceError {
  if (typeof body.code === 'string' && body.code in catalogue) {
    return new MillraceError(body.code as ErrorCode, (body.params ?? {}) as Parameters);
  }
  return new MillraceError('INTERNAL', { detail: String(body.message ?? body.code ?? 'unknown') });
}
