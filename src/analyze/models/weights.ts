import type { Model } from '#learn';

export interface Weight {
  readonly input: string;
  /** The level of a category, `missing` for the indicator of a missing number, null for the number itself. */
  readonly category: string | null;
  /** The class whose score it moves; null where there is one score. */
  readonly label: string | null;
  readonly weight: number;
}

/**
 * The weights of a linear model by column, or null for other models. A number's weight is for one standard deviation of it. Weights of words
 * and letters of free texts are left out: there are up to 150,000.
 */
export function weightsOf(model: Model): Weight[] | null {
  const { learned } = model;
  if (learned.kind !== 'linear') return null;
  const { design, outputs } = learned;
  const values = new Float32Array(Uint8Array.from(Buffer.from(learned.weights, 'base64')).buffer);
  const rows: Weight[] = [];
  const add = (input: string, category: string | null, at: number): void => {
    for (let output = 0; output < outputs; output++) {
      const label = outputs === 1 ? null : (model.classes?.[output] ?? null);
      rows.push({ input, category, label, weight: values[at * outputs + output]! });
    }
  };
  let at = 0;
  for (const [part, { input, levels }] of design.parts.map((each, k) => [each, featuresOf(model)[k]!] as const)) {
    if (part.kind === 'number') {
      add(input, null, at++);
      if (part.missing) add(input, 'missing', at++);
    } else for (let level = 0; level < part.levels; level++) add(input, levels?.[level] ?? String(level), at++);
  }
  learned.intercepts.forEach((weight, output) => {
    rows.push({ input: '__INTERCEPT__', category: null, label: outputs === 1 ? null : (model.classes?.[output] ?? null), weight });
  });
  return rows;
}

interface Made {
  readonly input: string;
  readonly levels: readonly string[] | null;
}

/** The features that the encoders make, in order, as src/learn names them. */
function featuresOf(model: Model): Made[] {
  return model.encoders.flatMap(madeBy);
}

function madeBy(encoder: Model['encoders'][number]): Made[] {
  const named = (...parts: string[]) =>
    parts.map((part) => ({ input: part === '' ? encoder.column : `${encoder.column} ${part}`, levels: null }));
  switch (encoder.kind) {
    case 'number':
      return named('');
    case 'category':
      return [{ input: encoder.column, levels: encoder.levels }];
    case 'statistics':
      return named(...Array.from({ length: encoder.outputs }, (_, k) => (encoder.outputs === 1 ? '' : String(k))));
    case 'time':
      return named('day', 'year', 'month', 'day of month', 'weekday', ...(encoder.hours ? ['hour'] : []));
    case 'text':
      return named('length', 'words', 'digits', 'capitals');
  }
}
