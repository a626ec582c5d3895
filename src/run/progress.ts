import type { Writable } from 'node:stream';

export interface Progress {
  /** `done` is absolute, in the unit of `total`. Cheap enough to call for each record: it draws at most ten times a second. */
  update(done: number, note?: string): void;
  /** Draws the last state and leaves it standing. */
  end(note?: string): void;
}

export interface ProgressOptions {
  readonly stream?: Writable & { readonly isTTY?: boolean; readonly columns?: number };
  /** Milliseconds that only grow. */
  readonly clock?: () => number;
}

const drawEvery = 100;
const lineEvery = 5_000;
const barWidth = 24;

/**
 * Shows how far a long job is: a bar that redraws itself on a terminal, elsewhere one line every 5 s and one at the end.
 * `total` null means that the end is not known; then only count, rate and time are shown.
 */
export function progress(label: string, total: number | null, options: ProgressOptions = {}): Progress {
  const stream = options.stream ?? process.stderr;
  const clock = options.clock ?? (() => performance.now());
  const live = stream.isTTY === true;
  const started = clock();
  let drawn = started;
  let done = 0;
  let note = '';
  let ended = false;

  const line = () => describe({ label, total, done, note, seconds: (clock() - started) / 1000, ended });
  const draw = () => {
    drawn = clock();
    if (live) stream.write(`\r\x1b[2K${cut(line(), stream.columns || 80)}${ended ? '\n' : ''}`);
    else stream.write(`${line()}\n`);
  };

  return {
    update(now, said) {
      if (ended) return;
      done = now;
      note = said ?? note;
      if (clock() - drawn >= (live ? drawEvery : lineEvery)) draw();
    },
    end(said) {
      if (ended) return;
      ended = true;
      note = said ?? '';
      draw();
    },
  };
}

interface State {
  readonly label: string;
  readonly total: number | null;
  readonly done: number;
  readonly note: string;
  readonly seconds: number;
  readonly ended: boolean;
}

/** One line: label, bar and share where the end is known, count, rate, time left (or taken, at the end), note. */
export function describe({ label, total, done, note, seconds, ended }: State): string {
  const rate = seconds > 0 ? done / seconds : 0;
  const parts = [label];
  if (total !== null && !ended) {
    const share = total === 0 ? 1 : Math.min(done / total, 1);
    const full = Math.round(share * barWidth);
    parts.push(`[${'█'.repeat(full)}${'░'.repeat(barWidth - full)}]`, `${Math.floor(share * 100)} %`);
  }
  if (done > 0) parts.push(total === null || ended ? grouped(done) : `${grouped(done)}/${grouped(total)}`);
  if (done > 0 && seconds >= 0.5) parts.push(`${grouped(rate)}/s`);
  if (ended || total === null || rate === 0) parts.push(`${duration(seconds)}`);
  else parts.push(`${duration(Math.max(total - done, 0) / rate)} left`);
  if (note !== '') parts.push(`· ${note}`);
  return parts.join(' ');
}

function grouped(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: value < 10 ? 1 : 0 });
}

function duration(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/** A line that wraps can't be redrawn, so it is cut one short of the width. */
function cut(text: string, columns: number): string {
  return text.length < columns ? text : `${text.slice(0, Math.max(columns - 2, 1))}…`;
}
