import { useCallback, useEffect, useRef, useState } from 'react';
import { isAbort, Trouble } from './api.ts';

export interface Live<T> {
  readonly data: T | null;
  readonly error: Trouble | null;
  readonly loading: boolean;
  /** When `data` came, in ms. */
  readonly at: number;
  refresh(): void;
}

/** What may be asked again is, after this many ms: the warehouse is just starting, say. */
const soon = 1500;

/**
 * Asks when `key` changes and, with `every`, again that many ms after each answer while the page is visible. What was there stays until the
 * new answer comes; after an error it stays too, beside the error. A null key asks nothing.
 */
export function useLive<T>(key: string | null, get: (signal: AbortSignal) => Promise<T>, every: number | null = null): Live<T> {
  const [state, setState] = useState<{ key: string | null; data: T | null; error: Trouble | null; loading: boolean; at: number }>({
    key: null,
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
    const again = (after: number | null) => {
      if (after === null || stop.signal.aborted) return;
      timer = setTimeout(() => (document.visibilityState === 'visible' ? attempt() : again(after)), after);
    };
    const attempt = async () => {
      setState((now) => (now.loading ? now : { ...now, loading: true }));
      try {
        const data = await getter.current(stop.signal);
        if (!stop.signal.aborted) setState({ key, data, error: null, loading: false, at: Date.now() });
      } catch (thrown) {
        if (stop.signal.aborted || isAbort(thrown)) return;
        if (!(thrown instanceof Trouble)) throw thrown;
        setState((now) => ({ ...now, key, error: thrown, loading: false }));
        return again(thrown.body.retryable ? Math.min(every ?? soon, soon) : thrown.status === 401 ? null : every);
      }
      again(every);
    };
    attempt();
    return () => {
      stop.abort();
      clearTimeout(timer);
    };
  }, [key, every, round]);
  const refresh = useCallback(() => setRound((now) => now + 1), []);
  return { ...state, refresh };
}
