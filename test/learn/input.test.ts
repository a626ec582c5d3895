import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ErrorCode, MillraceError } from '#core';
import { type ColumnData, type Plan, predict, predictor, train } from '#learn';
import { parseNumber, parseTime, readColumn } from '../../src/learn/read.ts';
import { generator, numbers, texts } from './data.ts';

const count = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
const x = numbers(
  'x',
  count(60).map((i) => i % 13),
);
const y = numbers(
  'y',
  count(60).map((i) => (i % 13) * 2),
);

const refused: [string, ErrorCode, Plan, ColumnData[]][] = [
  ['an empty table', 'LEARN_TARGET', { target: 'y' }, []],
  ['a table without rows', 'LEARN_ROWS', { target: 'y', task: 'regression' }, [numbers('x', []), numbers('y', [])]],
  ['one row', 'LEARN_ROWS', { target: 'y', task: 'regression' }, [numbers('x', [1]), numbers('y', [1])]],
  ['a target that is not there', 'LEARN_TARGET', { target: 'z' }, [x, y]],
  ...(['classification', 'regression'] as const).map((task): (typeof refused)[number] => [
    `a time as the target of a ${task}`,
    'LEARN_TARGET',
    { target: 't', task },
    [x, { name: 't', kind: 'time', values: Float64Array.from(count(60), (i) => i * 86_400_000) }],
  ]),
  [
    'labels that are one double with their neighbours',
    'LEARN_TARGET',
    { target: 'big' },
    [
      x,
      numbers(
        'big',
        count(60).map((i) => 2 ** 53 + 2 * (i % 2)),
      ),
    ],
  ],
  ['what a hit is worth beside a number to predict', 'LEARN_PLAN', { target: 'y', money: { hit: 5, contact: 1 } }, [x, y]],
  [
    'what a hit is worth beside three classes',
    'LEARN_PLAN',
    { target: 'three', money: { hit: 5, contact: 1 } },
    [
      x,
      texts(
        'three',
        count(60).map((i) => 'abc'[i % 3]!),
      ),
    ],
  ],
  [
    'a target of one class',
    'LEARN_TARGET',
    { target: 'y' },
    [
      x,
      texts(
        'y',
        count(60).map(() => 'a'),
      ),
    ],
  ],
  [
    'a target that is one number',
    'LEARN_TARGET',
    { target: 'y', task: 'regression' },
    [
      x,
      numbers(
        'y',
        count(60).map(() => 3),
      ),
    ],
  ],
  [
    'a target that is missing everywhere',
    'LEARN_ROWS',
    { target: 'y', task: 'regression' },
    [
      x,
      numbers(
        'y',
        count(60).map(() => Number.NaN),
      ),
    ],
  ],
  [
    'text as a number to predict',
    'LEARN_TARGET',
    { target: 'y', task: 'regression' },
    [
      x,
      texts(
        'y',
        count(60).map((i) => `v${i % 3}`),
      ),
    ],
  ],
  [
    'a class for each row',
    'LEARN_CLASSES',
    { target: 'y', task: 'classification' },
    [
      x,
      texts(
        'y',
        count(200).map((i) => `v${i}`),
      ),
    ].map((c, i) => (i ? c : numbers('x', count(200)))),
  ],
  ['columns of different lengths', 'LEARN_COLUMNS', { target: 'y' }, [numbers('x', [1, 2]), y]],
  ['a column name that stands twice', 'LEARN_COLUMNS', { target: 'y' }, [x, x, y]],
  [
    'nothing but constants and empties',
    'LEARN_FEATURES',
    { target: 'y' },
    [
      numbers(
        'x',
        count(60).map(() => 1),
      ),
      texts(
        'e',
        count(60).map(() => ' '),
      ),
      y,
    ],
  ],
  ['an option out of range', 'LEARN_PLAN', { target: 'y', trees: { learningRate: 0 } }, [x, y]],
  ['an unknown learner', 'LEARN_PLAN', { target: 'y', learner: 'oracle' as 'auto' }, [x, y]],
  ['a loss for classes on numbers', 'LEARN_PLAN', { target: 'y', trees: { loss: 'logistic' } }, [x, y]],
  [
    'a loss for counts on negative numbers',
    'LEARN_PLAN',
    { target: 'm', trees: { loss: 'poisson' } },
    [
      x,
      numbers(
        'm',
        count(60).map((i) => i - 30),
      ),
    ],
  ],
  ['a time split without a time', 'LEARN_PLAN', { target: 'y', split: { kind: 'time' } }, [x, y]],
  [
    'a group split by one group',
    'LEARN_PLAN',
    { target: 'y', split: { kind: 'group', column: 'g' } },
    [
      x,
      y,
      texts(
        'g',
        count(60).map(() => 'a'),
      ),
    ],
  ],
  [
    'negative weights',
    'LEARN_WEIGHTS',
    { target: 'y', weight: 'w' },
    [
      x,
      y,
      numbers(
        'w',
        count(60).map((i) => i - 1),
      ),
    ],
  ],
  [
    'weights that are all 0',
    'LEARN_WEIGHTS',
    { target: 'y', weight: 'w' },
    [
      x,
      y,
      numbers(
        'w',
        count(60).map(() => 0),
      ),
    ],
  ],
];

for (const [what, code, plan, columns] of refused) {
  test(`${what} is refused with ${code}`, async () => {
    await assert.rejects(train(plan, columns), (thrown) => thrown instanceof MillraceError && thrown.code === code);
  });
}

test('a weight that is missing is called so', async () => {
  const weights = numbers(
    'w',
    count(60).map((i) => (i === 37 ? Number.NaN : 1)),
  );
  await assert.rejects(train({ target: 'y', weight: 'w' }, [x, y, weights]), { message: 'The weight column "w" has no value in row 38.' });
});

test('times in place of numbers or categories, and numbers in place of times, are refused; a column without values is missing anywhere', async () => {
  const moments = (name: string): ColumnData => ({ name, kind: 'time', values: Float64Array.from(count(60), (i) => Date.UTC(2026, 0, i)) });
  const kinds = texts(
    'kind',
    count(60).map((i) => 'abc'[i % 3]!),
  );
  for (const learner of ['trees', 'linear'] as const) {
    const model = await train({ target: 'y', learner, trees: { rounds: 5 } }, [x, moments('seen'), kinds, y]);
    const asked = (column: ColumnData) =>
      predict(
        model,
        [x, moments('seen'), kinds].map((own) => (own.name === column.name ? column : own)),
      ).columns[0]!.values;
    for (const column of [moments('x'), moments('kind'), { ...x, name: 'seen' }])
      assert.throws(() => asked(column), { code: 'MODEL_INPUT' }, column.name);
    const empty = new Float64Array(60).fill(Number.NaN);
    for (const name of ['x', 'seen', 'kind'])
      assert.deepEqual(asked({ name, kind: 'number', values: empty }), asked({ name, kind: 'time', values: empty }));
    // In JSON a time may be epoch milliseconds.
    const seen = Number(moments('seen').values[7]);
    assert.deepEqual(predictor(model)({ x: x.values[7], seen, kind: 'b' }).value, asked(kinds)[7]);
  }
});

test('rows without a known target are left out and counted', async () => {
  const blanks = texts(
    'y',
    count(300).map((i) => (i % 3 === 0 ? ' ' : i % 13 > 6 ? 'up' : 'down')),
  );
  const model = await train({ target: 'y', learner: 'trees' }, [
    numbers(
      'x',
      count(300).map((i) => i % 13),
    ),
    blanks,
  ]);
  assert.equal(model.report!.rows.known, 200);
  assert.ok(model.report!.warnings.some((w) => w.kind === 'dropped' && w.column === 'y' && w.text.startsWith('100 rows')));
  assert.equal(predictor(model)({ x: 12 }).value, 'up');
});

test('infinities count as missing and do no harm', async () => {
  const wild = numbers(
    'x',
    count(200).map((i) => (i % 10 === 0 ? Number.POSITIVE_INFINITY : i % 10 === 1 ? Number.NEGATIVE_INFINITY : i % 10)),
  );
  const model = await train({ target: 'y', budget: { trials: 2 } }, [
    wild,
    numbers(
      'y',
      count(200).map((i) => i % 10),
    ),
  ]);
  assert.ok(Number.isFinite(predictor(model)({ x: 5 }).value));
});

for (const learner of ['auto', 'trees', 'linear', 'bayes'] as const)
  test(`${learner}: the largest doubles of both signs in a column do no harm, in training or in asking`, async () => {
    const wild = numbers(
      'x',
      count(400).map((i) => (i % 40 === 0 ? Number.MAX_VALUE : i % 40 === 1 ? -Number.MAX_VALUE : i % 10)),
    );
    const z = numbers(
      'z',
      count(400).map((i) => (i * 7) % 10),
    );
    const y = texts(
      'y',
      count(400).map((i) => ((i * 7) % 10 > 4 ? 'up' : 'down')),
    );
    const model = await train({ target: 'y', learner, budget: { trials: 3 } }, [wild, z, y]);
    const answer = predictor(model);
    for (const x of [5, Number.MAX_VALUE, -Number.MAX_VALUE, 1e200])
      for (const [value, of] of [
        ['up', 9],
        ['down', 0],
      ] as const)
        assert.equal(answer({ x, z: of }).value, value, `${x}`);
    const numeric = await train({ target: 'z', learner: learner === 'bayes' ? 'linear' : learner, budget: { trials: 3 } }, [wild, z, y]);
    assert.ok(Number.isFinite(predictor(numeric)({ x: Number.MAX_VALUE, y: 'up' }).value));
    assert.ok(numeric.report!.scores.every(({ value }) => Number.isFinite(value)));
  });

test('a number to predict may be large, and one too large to reckon with is refused', async () => {
  const table = (size: number) => [
    numbers(
      'x',
      count(200).map((i) => i / 2),
    ),
    numbers(
      'y',
      count(200).map((i) => (i - 100) * size),
    ),
  ];
  for (const learner of ['auto', 'trees', 'linear'] as const) {
    const model = await train({ target: 'y', learner, budget: { trials: 2 } }, table(1e32));
    const share = Number(predictor(model)({ x: 75 }).value) / 50e32;
    assert.ok(share > 0.8 && share < 1.2, `${learner}: ${share}`);
    await assert.rejects(
      train({ target: 'y', learner, budget: { trials: 2 } }, table(1e152)),
      (thrown) => thrown instanceof MillraceError && thrown.code === 'LEARN_TARGET',
    );
  }
});

test('5,000 columns of which one matters: it is found', async () => {
  const next = generator(83);
  const columns = count(5000).map((c) =>
    numbers(
      `x${c}`,
      count(200).map(() => next()),
    ),
  );
  const target = numbers(
    'y',
    count(200).map((i) => (Number(columns[1234]!.values[i]) > 0.5 ? 1 : 0)),
  );
  const model = await train({ target: 'y', learner: 'trees', trees: { rounds: 10, maxLeaves: 4, maxBins: 15 } }, [...columns, target]);
  assert.ok(model.report!.scores.find((f) => f.metric === 'accuracy')!.value >= 0.9);
  assert.equal(model.report!.importance[0]!.column, 'x1234');
});

test('twenty thousand categories are learned from by their statistics, in one column', async () => {
  const who = (i: number) => i % 20_000;
  const model = await train({ target: 'y', learner: 'trees', trees: { rounds: 20 }, split: { kind: 'random' } }, [
    texts(
      'who',
      count(100_000).map((i) => `user ${who(i)}`),
    ),
    numbers(
      'x',
      count(100_000).map((i) => i % 7),
    ),
    numbers(
      'y',
      count(100_000).map((i) => (who(i) % 2 === 0 ? 0 : 10) + (i % 7) / 100),
    ),
  ]);
  assert.deepEqual(
    model.encoders.filter((e) => e.column === 'who').map((e) => e.kind),
    ['statistics'],
  );
  const answer = predictor(model);
  const [even, odd, nobody] = ['user 4', 'user 5', 'nobody'].map((name) => Number(answer({ who: name, x: 3 }).value));
  assert.ok(odd! - even! > 5, `${even} and ${odd}`);
  assert.ok(nobody! > even! && nobody! < odd!, 'who was never seen is taken for the mean');
});

test('columns are read for what they are', () => {
  const role = (column: ColumnData): string => readColumn(column).role;
  assert.equal(
    role(
      texts(
        'total',
        count(100).map((i) => (i % 9 === 0 ? ' ' : `${i * 1.5}`)),
      ),
    ),
    'number',
  );
  assert.equal(
    role(
      texts(
        'day',
        count(100).map((i) => `${String(1 + (i % 28)).padStart(2, '0')}/02/2024`),
      ),
    ),
    'time',
  );
  assert.equal(
    role(
      texts(
        'id',
        count(100).map((i) => `A-${i}`),
      ),
    ),
    'id',
  );
  assert.equal(
    role(
      numbers(
        'row',
        count(100).map((i) => i + 1),
      ),
    ),
    'id',
  );
  assert.equal(
    role(
      numbers(
        'amount',
        count(100).map((i) => (i * 7919) % 10007),
      ),
    ),
    'number',
  );
  assert.equal(
    role(
      numbers(
        'customer_id',
        count(100).map((i) => (i * 7919) % 10007),
      ),
    ),
    'id',
  );
  assert.equal(
    role(
      texts(
        'colour',
        count(100).map((i) => ['red', 'blue'][i % 2]!),
      ),
    ),
    'category',
  );
  assert.equal(
    role(
      texts(
        'note',
        count(100).map((i) => `a note about thing ${i}`),
      ),
    ),
    'text',
  );
  assert.equal(
    role(
      texts(
        'none',
        count(100).map(() => null),
      ),
    ),
    'empty',
  );
});

test('dates with slashes are times where a day after the 12th shows that days come first; where none does, or months do, they are categories', () => {
  const two = (n: number): string => String(n).padStart(2, '0');
  const read = (of: (i: number) => string) => readColumn(texts('day', count(200).map(of)));
  assert.equal(read((i) => `${two(1 + (i % 28))}/${two(1 + (i % 12))}/2024`).role, 'time');
  assert.equal(read((i) => `${two(1 + (i % 12))}/${two(1 + (i % 28))}/2024`).role, 'category');
  const open = read((i) => `${two(1 + (i % 12))}/${two(1 + (i % 7))}/2024`);
  assert.equal(open.role, 'category');
  assert.match(open.why!, /day or the month first/);
  assert.equal(read((i) => `2024-${two(1 + (i % 12))}-${two(1 + (i % 7))}`).role, 'time');
});

/** What people write, made of real phrases: every beginning with every end. */
const pairs = (begins: string, ends: string, between = ''): string[] =>
  begins.split('|').flatMap((begin) => ends.split('|').map((end) => begin + between + end));
const written: readonly [string, readonly string[]][] = [
  [
    'Japanese reviews',
    pairs(
      'この商品は|サイズが|配送が|色は写真より|値段の割に|母への贈り物に|二回目の購入ですが|説明書が',
      'とても良かったです。|少し残念でした。|思ったより早く届きました。|また買いたいと思います。|友人にも勧めました。|壊れていました。|大満足です。|普通です。',
    ),
  ],
  [
    'Chinese reviews',
    pairs(
      '这款手机|物流速度|客服态度|包装|电池续航|衣服的质量|房间的卫生|这家餐厅的菜',
      '非常好，推荐购买。|一般般。|太差了，要求退款。|比想象中的好。|还可以接受。|让人很失望。|超出预期！|没什么特别的。',
    ),
  ],
  [
    'Thai reviews',
    pairs('สินค้าคุณภาพ|จัดส่ง|ร้านนี้บริการ|อาหาร|ห้องพัก|ราคา|สีของเสื้อ|พนักงาน', 'ดีมากค่ะ|แย่มาก|ไม่ตรงปก|พอใช้ได้|เกินคาดครับ|ประทับใจสุดๆ|น่าผิดหวัง|เหมือนเดิม'),
  ],
  [
    'Korean reviews',
    pairs(
      '배송이|색이 사진보다|가격에 비해|두 번째 구매인데',
      '정말 좋아요|조금 아쉬워요|생각보다 별로예요|마음에 듭니다|추천합니다|환불했어요|그냥 그래요|최고입니다|빨라요|느려요|다시 살게요|선물했어요|괜찮네요',
      ' ',
    ),
  ],
  ['Korean queries of a word', pairs('노트북|운동화|여성|남성|겨울|등산|유아|캠핑', '추천|가격|할인|후기|세트|브랜드|가방|용품')],
  ['Chinese queries of a word', pairs('手机|电脑|女鞋|冬季|儿童|户外|汽车|厨房', '壳|包|架|灯|垫|配件|套装|用品')],
  [
    'Russian queries of a word',
    pairs('авто|мото|вело|фото|видео|радио|теле|кино', 'запчасти|камера|шлем|сервис|магазин|техника|клуб|ремонт'),
  ],
  [
    'English reviews',
    pairs(
      'the phone|delivery|the colour|this room',
      'was great|was late|is not as shown|broke at once|I can recommend|is fine|disappoints|is what I wanted|could be better|was a present|is too small|is too large|I sent back',
      ' ',
    ),
  ],
];
for (const [what, values] of written)
  test(`${what} are read as text`, () => {
    assert.ok(values.length > 50 && new Set(values).size === values.length);
    assert.equal(readColumn(texts('said', values)).role, 'text');
  });

const hex = (i: number, digits: number): string => ((i * 2654435761) % 2 ** 32).toString(16).padStart(digits, '0');
const ids: readonly [string, (i: number) => string][] = [
  ['UUIDs', (i) => `${hex(i, 8)}-${hex(i + 1, 8).slice(0, 4)}-4${hex(i, 8).slice(0, 3)}-9${hex(i, 8).slice(1, 4)}-${hex(i + 7, 12)}`],
  ['order numbers', (i) => `ORD-2024-${100_000 + i}`],
  ['Korean order numbers', (i) => `주문-2024-${100_000 + i}`],
  ['Chinese number plates', (i) => `京A·${10_000 + i}`],
  ['Korean number plates', (i) => `${12 + (i % 80)}가${1000 + i}`],
  ['e-mail addresses', (i) => `kim.minsu${i}@example.co.kr`],
  ['URLs', (i) => `https://example.com/products/${hex(i, 8)}?ref=mail`],
  ['paths in Korean', (i) => `https://example.com/상품/${hex(i, 8)}`],
  ['user names', (i) => `user_${hex(i, 8)}`],
  ['base64 tokens', (i) => Buffer.from(hex(i, 12)).toString('base64')],
];
for (const [what, of] of ids)
  test(`${what} are read as ids`, () => {
    assert.equal(readColumn(texts('code', count(200).map(of))).role, 'id');
  });

test('Japanese reviews are learned from', async () => {
  const [, reviews] = written[0]!;
  const rows = count(640).map((i) => `${reviews[(i * 37) % 64]!}${['', '！', '。', 'です', 'ね'][i % 5]!}${'〜'.repeat(i % 13)}`);
  const model = await train({ target: 'y', learner: 'linear' }, [
    texts('said', rows),
    texts(
      'y',
      rows.map((text) => (/良かった|早く|また買い|勧め|大満足/.test(text) ? 'good' : 'bad')),
    ),
  ]);
  assert.ok(model.report!.scores.find(({ metric }) => metric === 'accuracy')!.value > 0.95);
  assert.equal(predictor(model)({ said: '配送は大満足です。' }).value, 'good');
});

test('numbers and dates in text are read strictly', () => {
  for (const [text, value] of [
    [' 12 ', 12],
    ['-1.5e3', -1500],
    ['.5', 0.5],
  ] as const)
    assert.equal(parseNumber(text), value);
  for (const text of ['', '1,5', '0x10', 'Infinity', '1 2', 'NaN', '1e999']) assert.equal(parseNumber(text), null);
  assert.equal(parseTime('2024-02-29'), Date.UTC(2024, 1, 29));
  assert.equal(parseTime('2024-02-29 10:30'), Date.UTC(2024, 1, 29, 10, 30));
  assert.equal(parseTime('2024-02-29T10:30:00+09:00'), Date.UTC(2024, 1, 29, 1, 30));
  assert.equal(parseTime('29/02/2024'), Date.UTC(2024, 1, 29));
  for (const text of ['2023-02-29', '31/02/2024', '2024-13-01', '20240229', '2024-02-29Z']) assert.equal(parseTime(text), null);
});

test('an entity that repeats is kept on one side of the split', async () => {
  const next = generator(97);
  const users = count(400).map((i) => `u${i % 80}`);
  const model = await train({ target: 'y', learner: 'trees' }, [
    texts('user_id', users),
    numbers(
      'x',
      users.map(() => next()),
    ),
    texts(
      'y',
      users.map(() => (next() < 0.5 ? 'a' : 'b')),
    ),
  ]);
  assert.equal(model.report!.split.kind, 'group');
  assert.ok(!model.encoders.some((e) => e.column === 'user_id'), 'a name says nothing of new users');
});

test('a column that holds the answer is told of', async () => {
  const next = generator(101);
  const answer = count(500).map(() => (next() < 0.3 ? 1 : 0));
  const model = await train({ target: 'y', learner: 'trees' }, [
    numbers(
      'paid',
      answer.map((a) => (a === 1 ? 10 + next() : next())),
    ),
    numbers(
      'x',
      answer.map(() => next()),
    ),
    numbers('y', answer),
  ]);
  assert.deepEqual(
    model.report!.warnings.filter((w) => w.kind === 'leakage').map((w) => w.column),
    ['paid'],
  );
});

for (const [what, column, encoder] of [
  [
    'a number',
    numbers(
      'constructor',
      count(300).map((i) => ((i * 7) % 300) / 2),
    ),
    'number',
  ],
  [
    'a category',
    texts(
      'toString',
      count(300).map((i) => ['a', 'b', 'c'][((i * 7) % 4) % 3]!),
    ),
    'category',
  ],
] as const)
  test(`${what} may be called what every object inherits: left out it is missing, and no row has it by itself`, async () => {
    const x = numbers(
      'x',
      count(300).map((i) => (i * 7) % 11),
    );
    const y = texts(
      'y',
      count(300).map((i) => (i % 3 === 0 || i > 200 ? 'up' : 'down')),
    );
    for (const learner of ['trees', 'linear'] as const) {
      const model = await train({ target: 'y', learner, trees: { rounds: 10 } }, [column, x, y]);
      assert.deepEqual(
        model.encoders.map(({ column: name, kind }) => [name, kind]),
        [
          [column.name, encoder],
          ['x', 'number'],
        ],
      );
      const answer = predictor(model);
      assert.deepEqual(answer({ x: 3 }), answer({ x: 3, [column.name]: null }));
      assert.throws(
        () => answer({ z: 3 }),
        (thrown) => thrown instanceof MillraceError && thrown.code === 'MODEL_INPUT',
      );
    }
  });

test('a text of a megabyte among short ones is learned from and answered', async () => {
  const long = '긴 글 long words '.repeat(70_000);
  assert.ok(long.length > 900_000);
  const notes = count(200).map((i) => (i === 7 ? long : `note ${i} says ${i % 2 === 0 ? 'good things' : 'bad news'} to you`));
  const model = await train({ target: 'y', learner: 'linear' }, [
    texts('note', notes),
    texts(
      'y',
      count(200).map((i) => (i % 2 === 0 ? 'up' : 'down')),
    ),
  ]);
  const answer = predictor(model);
  assert.equal(answer({ note: 'bad news' }).value, 'down');
  assert.ok(answer({ note: long }).probabilities!.every((p) => p >= 0 && p <= 1));
});

test('infinities in the target are unknown answers, not answers', async () => {
  const target = numbers(
    'y',
    count(300).map((i) => (i % 3 === 0 ? Number.NEGATIVE_INFINITY : i % 7)),
  );
  const model = await train({ target: 'y', task: 'regression', learner: 'linear' }, [
    numbers(
      'x',
      count(300).map((i) => i % 7),
    ),
    target,
  ]);
  assert.equal(model.report!.rows.known, 200);
  assert.ok(Math.abs(Number(predictor(model)({ x: 3 }).value) - 3) < 0.2);
});

test('twice the same row many times is told of', async () => {
  const columns = [
    numbers(
      'x',
      count(400).map((i) => i % 5),
    ),
    texts(
      'y',
      count(400).map((i) => (i % 5 > 2 ? 'a' : 'b')),
    ),
  ];
  const { report } = await train({ target: 'y', learner: 'linear' }, columns);
  assert.ok(report!.warnings.some((w) => w.kind === 'duplicates'));
});

test('every class, column name and category may hold any text, and none changes what the report says', async () => {
  const odd = '<script>"__proto__" 한글 \u0000 \n';
  const model = await train({ target: odd, learner: 'trees', trees: { rounds: 3 } }, [
    texts(
      '__proto__',
      count(120).map((i) => (i % 2 === 0 ? 'constructor' : odd)),
    ),
    texts(
      odd,
      count(120).map((i) => (i % 2 === 0 ? 'toString' : 'hasOwnProperty')),
    ),
  ]);
  assert.deepEqual(model.classes, ['hasOwnProperty', 'toString']);
  assert.ok(model.report!.card.en[0]!.includes('toString'));
  assert.equal(predictor(model)(JSON.parse('{"__proto__": "constructor"}') as Record<string, unknown>).value, 'toString');
});

test('money that is no amount is refused', async () => {
  const columns = [
    x,
    texts(
      'y',
      count(60).map((i) => (i % 13 > 6 ? 'a' : 'b')),
    ),
  ];
  for (const money of [
    { hit: Number.NaN, contact: 1 },
    { hit: 1, contact: -1 },
    { hit: '5' as unknown as number, contact: 1 },
  ])
    await assert.rejects(train({ target: 'y', money }, columns), { code: 'LEARN_PLAN' });
});
