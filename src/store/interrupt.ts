import type { DuckDBConnection } from '@duckdb/node-api';
import type { Millis } from '#core';

const AGAIN: Millis = 20;

/** Ends what runs on a connection, and is told what runs. */
export interface Interrupter {
  interrupt(): void;
  during<T>(work: () => Promise<T>): Promise<T>;
}

/** DuckDB forgets an interrupt that comes before a statement's thread has begun, or between two statements: so it is said again until the work is over. */
export function newInterrupter(connection: DuckDBConnection, onError: (cause: unknown) => void = () => {}): Interrupter {
  let under = 0;
  let again: NodeJS.Timeout | undefined;
  const over = () => {
    clearInterval(again);
    again = undefined;
  };
  return {
    interrupt() {
      connection.interrupt();
      if (under > 0) again ??= setInterval(() => connection.interrupt(), AGAIN);
    },
    async during(work) {
      under++;
      try {
        return await work();
      } catch (cause) {
        onError(cause);
        throw cause;
      } finally {
        if (--under === 0) over();
      }
    },
  };
}
