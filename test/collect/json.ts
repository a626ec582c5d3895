import fc from 'fast-check';

/** Text of JSON in every spelling that RFC 8259 allows: escapes, number shapes, white space. Object keys are distinct once unescaped. */
export function jsonText(depth = 3): fc.Arbitrary<string> {
  const leaf = fc.oneof(
    { weight: 4, arbitrary: numberText },
    { weight: 4, arbitrary: stringText },
    fc.constantFrom('true', 'false', 'null'),
  );
  if (depth === 0) return leaf;
  const inner = jsonText(depth - 1);
  const array = fc.tuple(fc.array(inner, { maxLength: 4 }), space).map(([items, s]) => `[${s}${items.join(`${s},${s}`)}${s}]`);
  return fc.oneof({ weight: 2, arbitrary: leaf }, array, objectText(inner));
}

export function objectText(value: fc.Arbitrary<string>, maxKeys = 5): fc.Arbitrary<string> {
  const pairs = fc.uniqueArray(fc.tuple(stringText, value), { maxLength: maxKeys, selector: ([key]) => JSON.parse(key) as string });
  return fc.tuple(pairs, space).map(([all, s]) => `{${s}${all.map(([key, v]) => `${key}${s}:${s}${v}`).join(`${s},${s}`)}${s}}`);
}

export const space = fc.constantFrom('', '', '', ' ', '\n', '\t', '\r\n', ' \n\t ');

const digits = (min: number, max: number) =>
  fc.array(fc.constantFrom(...'0123456789'), { minLength: min, maxLength: max }).map((all) => all.join(''));

/** -?int frac? exp?, up to 40 digits a part. */
export const numberText = fc
  .tuple(
    fc.constantFrom('', '-'),
    fc.oneof(
      fc.constant('0'),
      fc.tuple(fc.constantFrom(...'123456789'), digits(0, 39)).map(([first, rest]) => first + rest),
    ),
    fc.option(digits(1, 40), { nil: null }),
    fc.option(fc.tuple(fc.constantFrom('e', 'E', 'e+', 'e-', 'E-'), digits(1, 3)), { nil: null }),
  )
  .map(
    ([sign, int, fraction, exponent]) =>
      `${sign}${int}${fraction === null ? '' : `.${fraction}`}${exponent === null ? '' : exponent.join('')}`,
  );

const hex = (unit: number, upper: boolean) => {
  const text = unit.toString(16).padStart(4, '0');
  return `\\u${upper ? text.toUpperCase() : text}`;
};

const character = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom(...'aäb 한글밀레👍🏽\u{10ffff}\u007f\u2028', '~', '/', '$', '__proto__') },
  { weight: 2, arbitrary: fc.constantFrom('\\"', '\\\\', '\\/', '\\b', '\\f', '\\n', '\\r', '\\t') },
  {
    weight: 2,
    arbitrary: fc
      .tuple(
        fc.integer({ min: 1, max: 0xffff }).filter((unit) => unit < 0xd800 || unit > 0xdfff),
        fc.boolean(),
      )
      .map(([unit, upper]) => hex(unit, upper)),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.integer({ min: 0xd800, max: 0xdbff }), fc.integer({ min: 0xdc00, max: 0xdfff }), fc.boolean())
      .map(([high, low, upper]) => hex(high, upper) + hex(low, upper)),
  },
);

/** A string with its quotes. */
export const stringText = fc.array(character, { maxLength: 8 }).map((all) => `"${all.join('')}"`);
