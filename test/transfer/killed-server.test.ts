/** A server that is killed while a run copies from it: what stands here, what the run says, and how it goes on. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Transfer } from '#core';
import { transferStates } from '#store';
import { connectionTo, type Ground, openGround, type Reached, tableOf } from './harness.ts';
import { absent as mysqlAbsent, startMariaDb } from './mariadb.ts';
import { absent as postgresAbsent, startPostgres } from './postgres-server.ts';

interface Server extends Reached {
  readonly source: string;
  /** All numbers from one to another, as `k`. */
  readonly numbers: (from: number, to: number) => string;
  ask(sql: string): Promise<Record<string, unknown>[]>;
  killAll(): Promise<void>;
  restart(): Promise<void>;
  stop(): Promise<void>;
}

// What was committed before the kill is to be there after it: neither server may keep it to itself.
async function mariadb(): Promise<Server> {
  const db = await startMariaDb(['--innodb-flush-log-at-trx-commit=1']);
  const numbers = (from: number, to: number) => `(SELECT seq AS k FROM seq_${from}_to_${to}) n`;
  return { ...db, source: 'mysql', numbers, killAll: async () => db.kill() };
}

async function postgres(): Promise<Server> {
  const db = await startPostgres(['synchronous_commit = on']);
  return { ...db, source: 'postgres', numbers: (from, to) => `generate_series(${from}, ${to}) k` };
}

const SERVERS = [
  ['MariaDB', mariadb, mysqlAbsent ?? (process.env['MILLRACE_TEST_MYSQL'] === undefined ? null : 'that server is not to be killed')],
  ['PostgreSQL', postgres, postgresAbsent],
] as const;

/** Rows before, and those that come after: 96 MB, far more than three slices, the one that waits and what lies in sockets on its way. */
const FORMER = 5_000;
const LATER = 120_000;

for (const [name, open, absent] of SERVERS)
  describe(`${name} killed while a run copies`, { skip: absent ?? false }, () => {
    let server: Server;
    let ground: Ground;
    before(async () => {
      server = await open();
      ground = await openGround({ PW: server.password });
    });
    after(async () => {
      await ground?.close();
      await server?.stop();
    });

    for (const mode of ['full', 'append', 'merge'] as const)
      test(`mode ${mode}: a coded error, whole rows here, and after its start a rerun brings the rest`, async () => {
        const table = `t_${mode}`;
        const { source, numbers } = server;
        const fill = (from: number, to: number) =>
          server.ask(`INSERT INTO ${table} SELECT k, k * 7, repeat('x', 800) FROM ${numbers(from, to)}`);
        const definition = tableOf({ source: table, mode, key: ['id'], cursor: mode === 'full' ? null : 'id' });
        const transfer: Transfer = {
          name: table,
          source,
          connection: connectionTo(server),
          tables: [definition],
        };
        const stands = async () => {
          const states = await transferStates((sql) => ground.store.rows(sql));
          return states.find((state) => state.transfer === table)!.cursor;
        };
        const here = async () =>
          (await ground.rows(`SELECT count(*), count(DISTINCT id), max(id), sum(v), min(length(s)) FROM ${definition.target}`))[0]!;
        /** All rows up to a key, once each. */
        const upTo = (key: number) => [key, key, key, (7 * key * (key + 1)) / 2, 800];

        await server.ask(`CREATE TABLE ${table} (id BIGINT PRIMARY KEY, v BIGINT, s TEXT)`);
        await fill(1, FORMER);
        const first = await ground.run(transfer);
        assert.deepEqual([first.error, first.tables[0]?.parity?.equal], [null, true]);
        const before = await stands();
        await fill(FORMER + 1, FORMER + LATER);

        let slices = 0;
        const killed = await ground.run(transfer, {
          warehouse: {
            ...ground.warehouse,
            async apply(target, slice) {
              if (++slices === 3) await server.killAll();
              return ground.warehouse.apply(target, slice);
            },
          },
        });
        assert.ok(slices >= 3, `${slices} slices`);
        assert.equal(killed.outcome, 'failed');
        assert.ok(['TRANSFER_READ', 'TRANSFER_CONNECT'].includes(killed.error!.code), JSON.stringify(killed.error));
        assert.equal(killed.error!.retryable, true);
        assert.ok(killed.tables[0]!.read < LATER, `all ${killed.tables[0]!.read} rows had come before the kill`);

        const cursor = await stands();
        if (mode === 'full') {
          assert.equal(cursor, before);
          assert.deepEqual(await here(), upTo(FORMER));
        } else {
          assert.ok(Number(cursor) > FORMER && Number(cursor) < FORMER + LATER, `${cursor}`);
          const [, , most] = await here();
          assert.deepEqual(await here(), upTo(most as number));
          assert.equal(killed.tables[0]!.rows, Number(most) - FORMER, 'what the report counts is what stands here');
          assert.ok(Number(cursor) <= Number(most), `the state is at ${cursor}, beyond ${most}`);
        }

        const between = await here();
        await assert.rejects(ground.run(transfer), { code: 'TRANSFER_CONNECT', retryable: true });
        assert.deepEqual([await here(), await stands()], [between, cursor]);

        await server.restart();
        const again = await ground.run(transfer);
        assert.deepEqual([again.error, again.tables[0]?.parity?.equal, again.tables[0]?.parity?.differences], [null, true, []]);
        assert.deepEqual(await here(), upTo(FORMER + LATER));
        assert.equal(again.tables[0]!.read, mode === 'full' ? FORMER + LATER : FORMER + LATER - Number(cursor));
      });
  });
