import { useCallback, useEffect, useRef, useState } from 'react';
import { isAbort, Trouble } from './api.ts';

export interface Live<T> {
  readonly data: T | null;
  /** The key that `data` answers: while another is asked for, the one before. */
  readonly of: string | null;
  readonly error: Trouble | null;
  readonly loading: boolean;
  /** When `data` came, in ms. */
  readonly at: number;
  refresh(): void;
}

/** What may be asked again is, after this many ms: the warehouse is just starting, say. */
const soon = 1500;

/**
 * Asks when `key` or `again` changes and, with `every`, again that many ms after each answer while the page is visible. What was there stays
 * until the new answer comes; after an error it stays too, beside the error, unless it answers another key. A null key asks nothing.
 */
export function useLive<T>(
  key: string | null,
  get: (signal: AbortSignal) => Promise<T>,
  every: number | null = null,
  again: number | null = null,
): Live<T> {
  const [state, setState] = useState<Omit<Live<T>, 'refresh'>>({
    of: null,
    data: null,
    error: null,
    loading: key !== null,
    at: 0,
  });
  const [round, setRound] = useState(0);
  const getter = useRef(get);
  getter.current = get;
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new round asks again
  useEffect(() => {
    if (key === null) return;
    const stop = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const later = (after: number | null) => {
      if (after === null || stop.signal.aborted) return;
      timer = setTimeout(() => (document.visibilityState === 'visible' ? attempt() : later(after)), after);
    };
    const attempt = async () => {
      setState((now) => (now.loading ? now : { ...now, loading: true }));
      try {
        const data = await getter.current(stop.signal);
        if (!stop.signal.aborted) setState({ of: key, data, error: null, loading: false, at: Date.now() });
      } catch (thrown) {
        if (stop.signal.aborted || isAbort(thrown)) return;
        if (!(thrown instanceof Trouble)) throw thrown;
        setState(({ of, data, at }) => ({
          ...(of === key ? { of, data, at } : { of: null, data: null, at: 0 }),
          error: thrown,
          loading: false,
        }));
        return later(thrown.body.retryable ? Math.min(every ?? soon, soon) : thrown.status === 401 ? null : every);
      }
      later(every);
    };
    attempt();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [key, every, again, round]);
  const refresh = useCallback(() => setRound((now) => now + 1), []);
  return { ...state, refresh };
}
