import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import fc from 'fast-check';
import { MillraceError } from '#core';
import { initWorkspace, openWorkspace, type Settings } from '#workspace';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-settings-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const named = 'name: Shop\ntime_zone: Asia/Seoul\ncurrency: KRW\n';

function settingsOf(yaml: string): Settings {
  writeFileSync(join(folder, 'millrace.yaml'), yaml);
  const workspace = openWorkspace(folder);
  workspace.close();
  return workspace.settings;
}

const defaults: Settings = {
  name: 'Shop',
  timeZone: 'Asia/Seoul',
  currency: 'KRW',
  weekStart: 'monday',
  memory: 1_000_000_000,
  limits: { recordBytes: 1_048_576, bodyBytes: 16_777_216, batchRecords: 10_000, depth: 64, diskReserve: 268_435_456 },
  topicsCreate: 'never',
  retention: { log: 30 * 86_400_000, quarantine: 30 * 86_400_000 },
  transfer: {
    uploadBytes: 17_179_869_184,
    downloadBytes: 17_179_869_184,
    downloadTime: 3_600_000,
    privateAddresses: [],
    env: null,
    files: null,
  },
  roles: {
    admin: { seconds: 600, rows: 10_000_000, concurrency: 8 },
    editor: { seconds: 300, rows: 10_000_000, concurrency: 4 },
    viewer: { seconds: 60, rows: 1_000_000, concurrency: 4 },
    write: { seconds: 0, rows: 0, concurrency: 0 },
  },
};

test('a millrace.yaml with name, zone and currency has the defaults for all else', () => {
  assert.deepEqual(settingsOf(named), defaults);
});

test('every setting can be set', () => {
  const settings = settingsOf(`${named}week_start: sunday
memory: 2GiB
topics: { create: on_first_use }
limits: { record_bytes: 16MiB, body_bytes: 64MB, batch_records: 500, depth: 8, disk_reserve: 1GB }
retention: { log: 90d, quarantine: 7d }
transfer: { upload_bytes: 1GB, download_bytes: 2GB, download_time: 5m, private_addresses: [10.0.0.0/8, '::1'], env: [SHOP_*], files: [secrets] }
roles:
  admin: { seconds: 1, rows: 2, concurrency: 3 }
  editor: { rows: 5 }
  viewer: { concurrency: 1 }
`);
  assert.deepEqual(settings, {
    ...defaults,
    weekStart: 'sunday',
    memory: 2_147_483_648,
    limits: { recordBytes: 16_777_216, bodyBytes: 64_000_000, batchRecords: 500, depth: 8, diskReserve: 1_000_000_000 },
    topicsCreate: 'on_first_use',
    retention: { log: 90 * 86_400_000, quarantine: 7 * 86_400_000 },
    transfer: {
      uploadBytes: 1e9,
      downloadBytes: 2e9,
      downloadTime: 300_000,
      privateAddresses: ['10.0.0.0/8', '::1'],
      env: ['SHOP_*'],
      files: ['secrets'],
    },
    roles: {
      ...defaults.roles,
      admin: { seconds: 1, rows: 2, concurrency: 3 },
      editor: { ...defaults.roles.editor, rows: 5 },
      viewer: { ...defaults.roles.viewer, concurrency: 1 },
    },
  });
});

const refusals: readonly [string, string, number, string][] = [
  ['an offset for a zone', named.replace('Asia/Seoul', '"+09:00"'), 2, 'is not an IANA time zone'],
  ['a misspelt zone', named.replace('Asia/Seoul', 'Asia/Soeul'), 2, 'Asia/Seoul is near'],
  ['an unknown currency', named.replace('KRW', 'WON'), 3, 'ISO 4217'],
  ['a currency in small letters', named.replace('KRW', 'krw'), 3, 'ISO 4217'],
  ['no name', 'time_zone: UTC\ncurrency: USD\n', 1, '"name" is missing'],
  ['no zone', 'name: x\ncurrency: USD\n', 1, '"time_zone" is missing'],
  ['no currency', 'name: x\ntime_zone: UTC\n', 1, '"currency" is missing'],
  ['an unknown section', `${named}limit: {}\n`, 4, '"limit" is unknown; "limits" is near'],
  ['an unknown limit', `${named}limits:\n  records: 5\n`, 5, '"limits.records" is unknown'],
  ['a write role with limits', `${named}roles:\n  write: { rows: 5 }\n`, 5, '"roles.write" is unknown'],
  ['a record limit above 16 MiB', `${named}limits: { record_bytes: 17MiB }\n`, 4, 'from 1024 to 16777216 bytes'],
  ['a body smaller than a record', `${named}limits:\n  record_bytes: 2MiB\n  body_bytes: 1MiB\n`, 6, 'from 2097152'],
  ['no depth', `${named}limits: { depth: 0 }\n`, 4, 'from 1 to 256'],
  ['half a record', `${named}limits: { batch_records: 1.5 }\n`, 4, 'use a whole number'],
  ['too little memory', `${named}memory: 1MB\n`, 4, '"memory" can\'t be "1MB"'],
  ['memory without a unit that exists', `${named}memory: 1 gigabyte\n`, 4, 'use a size such as 512MB'],
  ['an unknown day', `${named}week_start: Mon\n`, 4, 'use monday'],
  ['a name for a private address', `${named}transfer: { private_addresses: [intranet] }\n`, 4, 'use an address or a block'],
  ['an unknown policy for topics', `${named}topics: { create: always }\n`, 4, 'use never, on_first_use'],
];
for (const [what, yaml, line, says] of refusals) {
  test(`a millrace.yaml with ${what} is refused at its line`, () => {
    assert.throws(
      () => settingsOf(yaml),
      (error) => {
        assert.ok(error instanceof MillraceError);
        assert.deepEqual(
          [error.code, error.params['file'], error.params['line']],
          ['DEFINITION_INVALID', 'millrace.yaml', line],
          error.message,
        );
        assert.ok(error.message.includes(says), error.message);
        return true;
      },
    );
  });
}

test('init takes any name that is text and writes it so that it is read back', () => {
  let n = 0;
  const name = fc.string({ unit: 'binary', minLength: 1, maxLength: 50 });
  fc.assert(
    fc.property(name, (text) => {
      const path = join(folder, `w${n++}`);
      const allowed = text.isWellFormed() && !/[\p{Cc}\p{Zl}\p{Zp}]/u.test(text);
      if (!allowed) {
        assert.throws(() => initWorkspace(path, { name: text, timeZone: 'UTC', currency: 'USD' }), { code: 'DEFINITION_INVALID' });
        return;
      }
      const workspace = initWorkspace(path, { name: text, timeZone: 'UTC', currency: 'USD' });
      workspace.close();
      assert.equal(workspace.settings.name, text);
    }),
    { numRuns: 50 },
  );
});

test('docs/definitions.md names every option, and what it shows as an example is taken', () => {
  const doc = readFileSync(new URL('../../docs/definitions.md', import.meta.url), 'utf8');
  const blocks = [...doc.matchAll(/```yaml\n# (millrace|topics\/(\w+))\.yaml\n([\s\S]*?)```/g)];
  assert.deepEqual(
    blocks.map((block) => block[1]),
    ['millrace', 'topics/orders'],
  );
  settingsOf(blocks[0]![3]!);
  const workspace = openWorkspace(folder);
  workspace.saveTopic('orders', blocks[1]![3]!);
  workspace.close();
  const unknown = (text: string, save: (text: string) => unknown): string => {
    try {
      save(text);
    } catch (error) {
      if (error instanceof MillraceError) return error.message;
    }
    return assert.fail(`an unknown option was taken: ${text}`);
  };
  const lists = [
    ...['', 'topics', 'limits', 'retention', 'roles', 'roles.viewer'].map((section) => unknown(named + nest(section), settingsOf)),
    ...['', 'time', 'fields.a'].map((section) => unknown(nest(section), (text) => workspace.saveTopic('orders', text))),
  ];
  for (const message of lists) {
    const options = /there are ([\w, ]+)/.exec(message)?.[1]?.split(', ') ?? assert.fail(message);
    for (const option of options) assert.match(doc, new RegExp(`[\`.]${option}[\`.]`), `docs/definitions.md lacks ${option}`);
  }
});

/** A file whose only option is an unknown one in that section. */
function nest(section: string): string {
  const keys = [...section.split('.').filter(Boolean), 'qqqqqqqq'];
  return `${keys.map((key, depth) => `${'  '.repeat(depth)}${key}:`).join('\n')} 1\n`;
}
