import { existsSync, readFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';

/** A measured value. `unit` is printed after it; keep ratios without a unit. */
export interface Figure {
  readonly value: number;
  readonly unit?: string;
  /** What was measured, in words a reader of the README understands. */
  readonly title: string;
}

/** What a figure must reach: at least or at most `value`, in the figure's unit. */
export interface Goal {
  readonly figure: string;
  readonly at: 'least' | 'most';
  readonly value: number;
}

export interface Report {
  readonly bench: string;
  readonly figures: Readonly<Record<string, Figure>>;
  readonly goals: readonly Goal[];
}

/**
 * Prints the machine, the figures and the goals; with `--json` among the process's arguments all of that goes to stderr and the last line of stdout
 * is `{"bench", "machine", "figures", "goals", "met"}`. Returns whether every goal is met, and sets the exit code to 1 where not
 * (not with `--quick`, whose figures are too short to judge by).
 */
export function report({ bench, figures, goals }: Report, args: readonly string[] = process.argv): boolean {
  const json = args.includes('--json');
  const judged = goals.map((goal) => ({ ...goal, met: reaches(figures[goal.figure]?.value, goal) }));
  const met = judged.every((goal) => goal.met);
  (json ? process.stderr : process.stdout).write(`${text(bench, figures, judged)}\n`);
  if (json) {
    const values = Object.fromEntries(Object.entries(figures).map(([name, figure]) => [name, figure.value]));
    process.stdout.write(`${JSON.stringify({ bench, machine: machine(), figures: values, goals: judged, met })}\n`);
  }
  if (!met && !args.includes('--quick')) process.exitCode = 1;
  return met;
}

function reaches(value: number | undefined, goal: Goal): boolean {
  return value !== undefined && (goal.at === 'least' ? value >= goal.value : value <= goal.value);
}

function text(bench: string, figures: Report['figures'], goals: readonly (Goal & { met: boolean })[]): string {
  const facts = machine();
  const rows = Object.entries(figures).map(([name, figure]) => {
    const judged = goals.filter((goal) => goal.figure === name);
    return [
      figure.title,
      shown(figure),
      judged.map((goal) => `${goal.met ? '✓' : '✗ NOT MET:'} ${goal.at === 'least' ? '≥' : '≤'} ${goal.value}`).join(', '),
    ];
  });
  const missing = goals.filter((goal) => !(goal.figure in figures)).map((goal) => [goal.figure, 'not measured', '✗ NOT MET:']);
  const all = [...rows, ...missing];
  const titles = Math.max(...all.map(([title]) => title!.length));
  const values = Math.max(...all.map(([, value]) => value!.length));
  return [
    `bench ${bench}`,
    `${facts.cpu}, ${facts.cores} cores, ${facts.memory_gb} GB memory; Node ${facts.node}, DuckDB ${facts.duckdb}`,
    ...all.map(([title, value, goal]) => `  ${title!.padEnd(titles)}  ${value!.padStart(values)}  ${goal}`.trimEnd()),
  ].join('\n');
}

function shown({ value, unit }: Figure): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 3;
  return `${value.toLocaleString('en-US', { maximumFractionDigits: digits })}${unit ? ` ${unit}` : ''}`;
}

/** The facts without which a figure means nothing. */
export function machine(): { cpu: string; cores: number; memory_gb: number; node: string; duckdb: string } {
  const processors = cpus();
  return {
    cpu: processors[0]?.model.trim() ?? 'unknown',
    cores: processors.length,
    memory_gb: Math.round(totalmem() / 2 ** 30),
    node: process.versions.node,
    duckdb: duckdbVersion(),
  };
}

function duckdbVersion(): string {
  const manifest = new URL('../node_modules/@duckdb/node-api/package.json', import.meta.url);
  return existsSync(manifest) ? (JSON.parse(readFileSync(manifest, 'utf8')) as { version: string }).version : 'not installed';
}
