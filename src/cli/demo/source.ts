import { createReadStream, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fail } from '#core';
import { progress } from '#run';
import type { CatalogAnswer } from '#server';
import {
  type Dataset,
  type ExportKind,
  recogniseExport,
  type Shop,
  type ShopDataset,
  type ShopOptions,
  shopDataset,
  simulateShop,
  stagingTable,
} from '#simulate';
import type { Workspace } from '#workspace';
import type { Client } from '../client.ts';
import type { Io } from '../command.ts';
import { batches } from '../records.ts';
import { ask, execute, figures, query } from './answer.ts';
import { loadTable, ndjson, patiently, type Sent, sendBatch } from './send.ts';

/** What a source sent, by topic, and the dataset that says what to ask of it. */
export interface Filled<D extends Dataset> {
  readonly dataset: D;
  readonly sent: ReadonlyMap<string, Sent>;
}

export interface Place {
  readonly client: Client;
  readonly workspace: Workspace;
  readonly io: Io;
}

const batchLimits = { records: 1000, bytes: 4 * 2 ** 20 };
const nothing = (): Sent => ({ accepted: 0, rejected: 0, firstRejection: null });

/** Sends the simulated shop's records and loads its orders table. */
export async function fillFromShop(
  { client, workspace, io }: Place,
  options: ShopOptions,
): Promise<Filled<ShopDataset> & { readonly shop: Shop }> {
  const dataset = shopDataset(options.timeZone, options.currency);
  await defineTopics(client, workspace, dataset);
  const shop = simulateShop(options);
  const sent = await sendShop(client, shop, io);
  await loadOrders(client, shop, dataset, io);
  return { dataset, sent, shop };
}

async function loadOrders(client: Client, shop: Shop, { ordersTable: { table, sql } }: ShopDataset, io: Io): Promise<void> {
  const shown = progress(`load ${table}`, null, { stream: io.stderr });
  await execute(client, 'CREATE SCHEMA IF NOT EXISTS shop');
  await execute(client, sql);
  const sold = shop.orders[Symbol.iterator]().next().done !== true;
  if (sold) shown.update((await loadTable(client, { table, format: 'ndjson', mode: 'append', body: () => ndjson(shop.orders) })).rows);
  shown.end();
}

async function sendShop(client: Client, shop: Shop, io: Io): Promise<Map<string, Sent>> {
  const { events, refunds, retried, malformed } = shop.truth.records;
  const total = events + refunds + retried + Object.values(malformed).reduce((sum, count) => sum + count, 0);
  const shown = progress('send records', total, { stream: io.stderr });
  const sent = new Map<string, Sent>();
  const waiting = new Map<string, string[]>();
  let done = 0;
  const flush = async (topic: string, lines: string[]) => {
    const outcome = sent.get(topic) ?? nothing();
    sent.set(topic, outcome);
    await sendBatch(client, topic, Buffer.from(lines.join('\n')), outcome);
    shown.update((done += lines.length));
    waiting.delete(topic);
  };
  for (const { topic, json } of shop.records) {
    const lines = waiting.get(topic) ?? [];
    if (lines.push(json) === 1) waiting.set(topic, lines);
    if (lines.length === batchLimits.records) await flush(topic, lines);
  }
  for (const [topic, lines] of [...waiting]) await flush(topic, lines);
  shown.end();
  return sent;
}

/**
 * Loads the export's files into the staging table, sees by their columns what they are, and sends each record that SQL makes of them.
 * Errors: EXPORT_MISSING, EXPORT_UNKNOWN, LOAD_* (a file of another kind does not fit the staging table), DEMO_REFUSED, DEMO_CUT.
 */
export async function fillFromExport({ client, workspace, io }: Place, path: string): Promise<Filled<ExportKind>> {
  const dataset = await stage(client, parquetFiles(path), io);
  await defineTopics(client, workspace, dataset);
  const outcome = await sendExport(client, dataset, io);
  if (outcome.firstRejection !== null)
    fail('DEMO_REFUSED', {
      topic: dataset.topic,
      rejected: outcome.rejected,
      code: outcome.firstRejection.code,
      reason: outcome.firstRejection.reason,
    });
  return { dataset, sent: new Map([[dataset.topic, outcome]]) };
}

/** The Parquet files at a path: itself, or those in the folder, by name. */
export function parquetFiles(path: string): string[] {
  const root = resolve(path);
  const kind = statSync(root, { throwIfNoEntry: false });
  if (kind === undefined) fail('EXPORT_MISSING', { path: root });
  if (kind.isFile()) return [root];
  const found = readdirSync(root).sort();
  const files = found.filter((name) => name.endsWith('.parquet')).map((name) => join(root, name));
  if (files.length === 0) fail('EXPORT_MISSING', { path: root, found: found.slice(0, 10).join(', ') });
  return files;
}

async function stage(client: Client, files: readonly string[], io: Io): Promise<ExportKind> {
  let kind: ExportKind | undefined;
  for (const file of files) {
    const shown = progress(`load ${basename(file)}`, statSync(file).size, { stream: io.stderr });
    const { rows, columns } = await loadTable(client, {
      table: stagingTable,
      format: 'parquet',
      mode: kind === undefined ? 'replace' : 'append',
      body: () => createReadStream(file),
      onBytes: (bytes) => shown.update(bytes),
    });
    shown.end(`${rows.toLocaleString('en-US')} rows`);
    kind ??= recogniseExport(file, columns);
  }
  return kind!;
}

async function sendExport(client: Client, kind: ExportKind, io: Io): Promise<Sent> {
  const count = await ask(client, { name: 'count', title: 'records', sql: `SELECT count(*) AS records FROM (${kind.records})` });
  const total = Number(figures(count)['records']);
  const shown = progress(`send ${kind.topic}`, total, { stream: io.stderr });
  const response = await query(client, { sql: kind.records, format: 'ndjson' });
  const sent = nothing();
  for await (const { body } of batches(response, batchLimits)) {
    await sendBatch(client, kind.topic, body, sent);
    shown.update(sent.accepted + sent.rejected);
  }
  shown.end();
  if (sent.accepted + sent.rejected !== total) fail('DEMO_CUT', { topic: kind.topic, sent: sent.accepted + sent.rejected, total });
  return sent;
}

/** Writes the definitions into the workspace, as a person with an editor would, and waits until Millrace has seen them. */
async function defineTopics(client: Client, workspace: Workspace, dataset: Dataset): Promise<void> {
  const names = Object.keys(dataset.topics);
  for (const name of names) workspace.saveTopic(name, dataset.topics[name]!);
  const folder = join(workspace.path, 'dashboards');
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of Object.entries(dataset.dashboards)) writeFileSync(join(folder, `${name}.yaml`), text);
  const deadline = performance.now() + 10_000;
  for (;;) {
    const { topics } = await patiently(() => client.json<CatalogAnswer>('GET', '/v1/catalog'));
    const missing = names.find((name) => !topics.some((topic) => topic.name === name));
    if (missing === undefined) return;
    if (performance.now() > deadline) fail('TOPIC_UNKNOWN', { topic: missing });
    await sleep(50);
  }
}
