import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { type ColumnData, checkModel, type Model, type Plan, train } from '#learn';
import { pack, unpackDoubles, unpackFloats, unpackIntegers } from '../../src/learn/base64.ts';
import type { Encoder } from '../../src/learn/encode.ts';
import { type Learned, sealModel } from '../../src/learn/model.ts';
import { generator, numbers, texts } from './data.ts';

const MANY = 300;

/** A column of each kind that encoders are of, and labels that follow from some of them. */
function table(rows: number): ColumnData[] {
  const next = generator(rows);
  const drawn = Array.from({ length: rows }, () => Math.floor(next() * 1000));
  const words = ['red wine', 'old bread', 'new shoes', 'a blue sky', 'the sea'];
  return [
    numbers('n', drawn),
    texts(
      'kind',
      drawn.map((v) => 'abc'[v % 3]!),
    ),
    texts(
      'many',
      drawn.map((v, i) => `m${(v + i) % MANY}`),
    ),
    { name: 'at', kind: 'time', values: Float64Array.from(drawn, (v) => Date.UTC(2024, 0, 1) + v * 3_600_000) },
    texts(
      'note',
      drawn.map((v, i) => `${words[v % 5]} and ${words[i % 5]} number ${v} ${i}`),
    ),
    texts(
      'y',
      drawn.map((v) => (v + 200 * next() > 600 ? 'yes' : 'no')),
    ),
  ];
}

type Parts = Parameters<typeof sealModel>[0];

const made = new Map<string, Parts>();
before(async () => {
  const plans: Record<string, Plan> = {
    trees: { target: 'y', learner: 'trees', trees: { rounds: 5 } },
    linear: { target: 'y', learner: 'linear' },
  };
  for (const [name, plan] of Object.entries(plans)) {
    const { format: _format, version: _version, hash: _hash, ...parts } = await train(plan, table(1500));
    made.set(name, { ...parts, report: null });
  }
});

const sealed = (parts: Parts): Model => JSON.parse(JSON.stringify(sealModel(parts))) as Model;
const encoders = (of: Parts, column: string, change: object): Parts => ({
  ...of,
  encoders: of.encoders.map((each) => (each.column === column ? ({ ...each, ...change } as Encoder) : each)),
});
const learned = (of: Parts, change: (from: never) => object): Parts => ({
  ...of,
  learned: { ...of.learned, ...change(of.learned as never) } as Learned,
});
type Trees = Learned & { kind: 'trees' };
type Linear = Learned & { kind: 'linear' };
const forest = (of: Parts, field: string, change: (from: string) => string): Parts =>
  learned(of, ({ forest }: Trees) => ({ forest: { ...forest, [field]: change(String(forest[field as 'base'])) } }));

/** The first number for which it holds is put in its place. */
const put = (packed: string, at: number, value: number): string => {
  const values = unpackDoubles(packed);
  values[at] = value;
  return pack(values);
};
const leafOf = ({ learned: of }: Parts): number => unpackIntegers((of as Trees).forest.feature).indexOf(-1);

test('what training makes is sound, with an encoder of each kind', () => {
  for (const parts of made.values()) {
    assert.deepEqual([...new Set(parts.encoders.map(({ kind }) => kind))].sort(), ['category', 'number', 'statistics', 'text', 'time']);
    assert.equal(checkModel(sealed(parts)).hash, sealModel(parts).hash);
  }
});

const changes: [string, 'trees' | 'linear', (of: Parts) => Parts][] = [
  ['an encoder fewer', 'trees', (of) => ({ ...of, encoders: of.encoders.slice(1) })],
  ['an encoder fewer', 'linear', (of) => ({ ...of, encoders: of.encoders.slice(1) })],
  ['an encoder more', 'trees', (of) => ({ ...of, encoders: [...of.encoders, { kind: 'number', column: 'more' }] })],
  ['a column encoded twice', 'trees', (of) => ({ ...of, encoders: of.encoders.map((each) => ({ ...each, column: 'n' })) })],
  ['an encoder of no kind', 'trees', (of) => encoders(of, 'n', { kind: 'other' })],
  ['a category read as a number', 'trees', (of) => encoders(of, 'kind', { kind: 'number' })],
  ['a number read as a category', 'linear', (of) => encoders(of, 'n', { kind: 'category', levels: ['1'] })],
  ['a level fewer', 'linear', (of) => encoders(of, 'kind', { levels: ['a', 'b'] })],
  ['levels that are no texts', 'trees', (of) => encoders(of, 'kind', { levels: [1, 2, 3] })],
  ['a time without its hours', 'trees', (of) => encoders(of, 'at', { hours: false })],
  ['a clock without entries', 'trees', (of) => encoders(of, 'at', { clock: [] })],
  [
    'a clock whose changes are out of order',
    'trees',
    (of) =>
      encoders(of, 'at', {
        clock: [
          [0, 0],
          [9, 1],
          [5, 2],
        ],
      }),
  ],
  ['a clock that is days ahead', 'trees', (of) => encoders(of, 'at', { clock: [[0, 864e5 * 3]] })],
  ['a clock of texts', 'trees', (of) => encoders(of, 'at', { clock: [['0', '1']] })],
  ['statistics that are cut', 'trees', (of) => encoders(of, 'many', { means: pack(new Float64Array(3)) })],
  ['statistics that are no numbers', 'trees', (of) => encoders(of, 'many', { means: pack(new Float64Array(MANY + 1).fill(Number.NaN)) })],
  ['statistics of two outputs', 'trees', (of) => encoders(of, 'many', { outputs: 2 })],
  ['a leaf that is not a number', 'trees', (of) => forest(of, 'threshold', (packed) => put(packed, leafOf(of), Number.NaN))],
  ['an infinite leaf', 'trees', (of) => forest(of, 'threshold', (packed) => put(packed, leafOf(of), Number.POSITIVE_INFINITY))],
  ['an infinite base', 'trees', (of) => forest(of, 'base', (packed) => put(packed, 0, Number.NEGATIVE_INFINITY))],
  ['a cover that is not a number', 'trees', (of) => forest(of, 'cover', (packed) => put(packed, 0, Number.NaN))],
  ['a link of none', 'trees', (of) => learned(of, () => ({ link: 'other' }))],
  ['a link for numbers', 'trees', (of) => learned(of, () => ({ link: 'identity' }))],
  ['three classes', 'trees', (of) => ({ ...of, classes: ['a', 'b', 'c'] })],
  ['the same class twice', 'trees', (of) => ({ ...of, classes: ['a', 'a'] })],
  ['a task without classes', 'trees', (of) => ({ ...of, classes: null })],
  [
    'an infinite weight',
    'linear',
    (of) => learned(of, ({ weights }: Linear) => ({ weights: pack(unpackFloats(weights).fill(Number.POSITIVE_INFINITY)) })),
  ],
  ['an intercept of none', 'linear', (of) => learned(of, () => ({ intercepts: [null] }))],
  [
    'words that are cut',
    'linear',
    (of) => learned(of, ({ design }: Linear) => ({ design: { ...design, texts: design.texts.map((part) => ({ ...part, weights: '' })) } })),
  ],
  ['a blend that adds up to two', 'trees', (of) => ({ ...of, learned: { kind: 'blend', members: [{ weight: 2, learned: of.learned }] } })],
  [
    'a blend that takes away',
    'trees',
    (of) => ({ ...of, learned: { kind: 'blend', members: [2, -1].map((weight) => ({ weight, learned: of.learned })) } }),
  ],
  ['a constant that is infinite', 'trees', (of) => ({ ...of, learned: { kind: 'constant', link: 'sigmoid', scores: [Number.NaN] } })],
];
for (const [what, of, change] of changes)
  test(`a file of ${of} with ${what} is refused, though its hash was made anew`, () => {
    const changed = sealed(change(made.get(of)!));
    assert.throws(() => checkModel(changed), { code: 'MODEL_INVALID' });
  });

test('a class that no row was learned from leaves finite numbers', async () => {
  const columns = [...table(400)];
  const side = numbers(
    'side',
    (columns.at(-1)!.values as string[]).map((label) => Number(label === 'yes')),
  );
  for (const learner of ['trees', 'linear', 'bayes'] as const)
    checkModel(
      JSON.parse(JSON.stringify(await train({ target: 'y', learner, split: { kind: 'custom', column: 'side' } }, [...columns, side]))),
    );
});
