import type { ErrorBody } from '#core';
import type { QueryAnswer, StatusAnswer, ViewsAnswer } from '#server';
import { type Client, connect, workspaceOption } from '../client.ts';
import type { Command } from '../command.ts';

/** Records that have waited longer than this for the warehouse are a fault. */
const LAG_MS = 60_000;
/** The newest of what the auditor found; the rest stands in millrace.audit. */
const SHOWN = 10;

export const doctor: Command = {
  name: 'doctor',
  summary: 'Says what is not as it should be in a running Millrace, and what to do about it.',
  options: [workspaceOption],
  usage: '  Ends with 1 when something is wrong. Shows both results where the auditor found a view that differs from its query.',
  async run(input, io) {
    const client = connect(input, io);
    const status = await client.json<StatusAnswer>('GET', '/v1/status');
    const faults = [...deliveryFaults(status)];
    if (status.warehouse === 'ready')
      faults.push(
        ...viewFaults(await client.json<ViewsAnswer>('GET', '/v1/views')),
        ...(await auditFaults(client)),
        ...(await runFaults(client)),
      );
    for (const { where, what, remedy, evidence = [] } of faults)
      io.stdout.write(`${where}: ${what}\n${evidence.map((line) => `    ${line}\n`).join('')}    → ${remedy}\n`);
    if (faults.length === 0) io.stdout.write('nothing is wrong\n');
    return faults.length === 0 ? 0 : 1;
  },
};

interface Fault {
  readonly where: string;
  readonly what: string;
  readonly remedy: string;
  readonly evidence?: readonly string[];
}

function* deliveryFaults({ warehouse, topics }: StatusAnswer): Generator<Fault> {
  if (warehouse !== 'ready')
    yield {
      where: 'warehouse',
      what: `it is ${warehouse}; records are taken and wait in the log`,
      remedy: 'Wait a minute; then see the log of "millrace up".',
    };
  for (const { name, lag_ms } of topics) {
    if (lag_ms > LAG_MS)
      yield {
        where: name,
        what: `its oldest record has waited ${Math.round(lag_ms / 1000)} s for the warehouse`,
        remedy: 'See the log of "millrace up".',
      };
  }
}

function* viewFaults({ views, problems }: ViewsAnswer): Generator<Fault> {
  for (const problem of problems) yield faultOf(String(problem.params['file'] ?? 'views/'), problem);
  for (const { name, state, error, refreshed } of views) {
    const standing = refreshed === null ? 'it has no rows yet' : `its rows are those of ${refreshed}`;
    if (error !== null) yield { ...faultOf(name, error), evidence: [`${error.code}; ${standing}`] };
    else if (state === 'paused') yield { where: name, what: `it is paused; ${standing}`, remedy: `millrace view resume ${name}` };
  }
}

const faultOf = (where: string, { message, remedy }: ErrorBody): Fault => ({ where, what: message, remedy });

async function auditFaults(client: Client): Promise<Fault[]> {
  const rows = await asked(
    client,
    `SELECT view, strftime(found, '%Y-%m-%dT%H:%M:%SZ'), partitions, differences, kept::VARCHAR, computed::VARCHAR FROM millrace.audit WHERE mended IS NULL ORDER BY found DESC LIMIT ${SHOWN}`,
  );
  return rows.map(([view, found, partitions, differences, kept, computed]) => ({
    where: view!,
    what: `${differences} rows differ from its query in the partitions ${partitions}, the auditor found at ${found}`,
    evidence: [`the view has only:  ${kept}`, `the query has only: ${computed}`],
    remedy: `REFRESH MATERIALIZED VIEW ${view} computes it anew; please report it.`,
  }));
}

async function runFaults(client: Client): Promise<Fault[]> {
  const rows = await asked(
    client,
    `SELECT query, strftime(due, '%Y-%m-%dT%H:%M:%SZ'), code, error FROM millrace.query_run WHERE outcome IN ('done', 'failed')
     QUALIFY row_number() OVER (PARTITION BY query ORDER BY due DESC) = 1 AND outcome = 'failed' ORDER BY query`,
  );
  return rows.map(([query, due, code, error]) => ({
    where: query!,
    what: `its run of ${due} failed: ${error}`,
    evidence: [code!],
    remedy: `Mend it; RUN SCHEDULED QUERY ${query} tries at once.`,
  }));
}

async function asked(client: Client, sql: string): Promise<string[][]> {
  const { rows } = await client.json<QueryAnswer>('POST', '/v1/query', { sql });
  return rows.map((row) => row.map(String));
}
