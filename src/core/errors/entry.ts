/**
 * One entry of the error catalogue: what a person reads, what a program decides by.
 * `what` says what happened, with the value; `remedy` says what to do about it.
 * `retryable` is the only thing a client may base a retry on.
 */
export interface ErrorEntry {
  readonly status: number;
  readonly retryable: boolean;
  readonly what: (p: Parameters) => string;
  readonly remedy: string;
}

/** Typed parameters of an error: plain values, safe to show (never secrets). */
export type Parameters = Readonly<Record<string, string | number | boolean | null | undefined>>;
