import type { Model } from '#learn';

export interface Weight {
  readonly input: string;
  /** The level of a category, `missing` for what a missing number counts, null for the number itself. */
  readonly category: string | null;
  /** The class whose score it moves; null where there is one score. */
  readonly label: string | null;
  readonly weight: number;
}

/**
 * The weights of a linear model by column, or null for other models: for one of the column's own unit, or where they are standardised for
 * one standard deviation from the mean. Weights of words and letters of free texts are left out: there are up to 150,000.
 */
export function weightsOf(model: Model, standardised: boolean): Weight[] | null {
  const { learned } = model;
  if (learned.kind !== 'linear') return null;
  const { design, outputs } = learned;
  const values = new Float32Array(Uint8Array.from(Buffer.from(learned.weights, 'base64')).buffer);
  const intercepts = [...learned.intercepts];
  const rows: Weight[] = [];
  const labelOf = (output: number): string | null => (outputs === 1 ? null : (model.classes?.[output] ?? null));
  const at = (column: number, output: number): number => values[column * outputs + output]!;
  let column = 0;
  design.parts.forEach((part, k) => {
    const { input, levels } = featuresOf(model)[k]!;
    for (let output = 0; output < outputs; output++) {
      const label = labelOf(output);
      if (part.kind === 'levels') {
        for (let level = 0; level < part.levels; level++)
          rows.push({ input, category: levels?.[level] ?? String(level), label, weight: at(column + level, output) });
        continue;
      }
      const own = at(column, output);
      // What a row with the mean has of it: in the column's own unit that is part of the intercept, which a missing value gives back.
      const atMean = standardised ? 0 : (own * part.mean) / part.deviation;
      intercepts[output] = intercepts[output]! - atMean;
      rows.push({ input, category: null, label, weight: standardised ? own : own / part.deviation });
      if (part.missing) rows.push({ input, category: 'missing', label, weight: at(column + 1, output) + atMean });
      else if (!standardised) rows.push({ input, category: 'missing', label, weight: atMean });
    }
    column += part.kind === 'levels' ? part.levels : part.missing ? 2 : 1;
  });
  intercepts.forEach((weight, output) => void rows.push({ input: '__INTERCEPT__', category: null, label: labelOf(output), weight }));
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
