/** The inputs that a statement's $parameters ask for, by the type that stands beside them. Pure. */
import { parametersOf } from '#visualize';

export interface Input {
  readonly name: string;
  readonly kind: 'date' | 'instant' | 'number' | 'boolean' | 'text';
}

/** The type is that of a cast: $day::DATE, CAST($n AS INTEGER). Without one it is text. */
export function inputsOf(sql: string): readonly Input[] {
  return parametersOf(sql).map((name) => {
    const cast = new RegExp(String.raw`\$${name}\s*::\s*([A-Za-z]+)|CAST\s*\(\s*\$${name}\s+AS\s+([A-Za-z]+)`, 'i').exec(sql);
    return { name, kind: kindOf((cast?.[1] ?? cast?.[2] ?? (isDay(name) ? 'DATE' : '')).toUpperCase()) };
  });
}

const isDay = (name: string) => ['from', 'to', 'last'].includes(name);

function kindOf(type: string): Input['kind'] {
  if (type === 'DATE') return 'date';
  if (/^(TIMESTAMP|DATETIME)/.test(type)) return 'instant';
  if (/^(U?(TINY|SMALL|BIG|HUGE)?INT|U?INTEGER|FLOAT|REAL|DOUBLE|DECIMAL|NUMERIC)/.test(type)) return 'number';
  return /^BOOL/.test(type) ? 'boolean' : 'text';
}

/** The values to send: what is left empty is NULL. */
export function valuesFor(inputs: readonly Input[], given: Readonly<Record<string, string>>): Record<string, string | null> {
  return Object.fromEntries(inputs.map(({ name }) => [name, (given[name] ?? '') === '' ? null : given[name]!]));
}
