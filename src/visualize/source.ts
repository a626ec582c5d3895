/** Tiles that name a metric, an answer or a model instead of writing a statement: what stands in their file, and the statement that it means. */
import type { Section } from '#definition';

export type TileSource =
  | { readonly kind: 'metric'; readonly name: string; readonly by: readonly string[]; readonly grain: Grain }
  | { readonly kind: 'answer'; readonly name: string; readonly options: Readonly<Record<string, string>> }
  | { readonly kind: 'model'; readonly name: string; readonly show: ModelView };

export const grains = ['none', 'day', 'week', 'month'] as const;
export type Grain = (typeof grains)[number];

/** What a tile shows of a model, by the function that tells it. */
const modelFunctions = {
  scores: 'EVALUATE',
  importance: 'FEATURE_IMPORTANCE',
  confusion: 'CONFUSION_MATRIX',
  trials: 'TRIAL_INFO',
} as const;
export const modelViews = ['scores', 'importance', 'confusion', 'trials'] as const;
export type ModelView = (typeof modelViews)[number];

export const sourceOptions = ['metric', 'by', 'grain', 'answer', 'options', 'model', 'show'];
const kinds = ['metric', 'answer', 'model'] as const;
const names = {
  metric: /^[a-z][a-z0-9_]{0,62}$/,
  answer: /^[a-z][a-z0-9_]{0,62}$/,
  model: /^[A-Za-z_]\w{0,62}(\.[A-Za-z_]\w{0,62})?$/,
} as const;
const dimension = /^[A-Za-z_]\w{0,62}(\.[A-Za-z_]\w{0,62})?$/;
/** Parts of a file that say more about one kind of source, and to which. */
const parts = { by: 'metric', grain: 'metric', options: 'answer', show: 'model' } as const;

/** null where the tile names none. DEFINITION_INVALID. */
export function readSource(section: Section): TileSource | null {
  const [kind, second] = kinds.filter((each) => section.keys().includes(each));
  if (second !== undefined) section.refuse(second, `and "${kind}": a tile has one of them`);
  for (const [part, of] of Object.entries(parts))
    if (section.keys().includes(part) && kind !== of) section.refuse(part, `needs "${of}" beside it`);
  if (kind === undefined) return null;
  const name = section.needText(kind);
  if (!names[kind].test(name)) section.refuse(kind, `can't be "${name.slice(0, 100)}": that is no name`);
  switch (kind) {
    case 'metric': {
      const by = section.texts('by');
      const wrong = by.find((each) => !dimension.test(each));
      if (wrong !== undefined) section.refuse('by', `can't be "${wrong.slice(0, 100)}": that is no dimension`);
      return { kind, name, by, grain: section.choice('grain', grains, 'none') };
    }
    case 'answer': {
      const options = section.words('options');
      const wrong = Object.keys(options).find((each) => !/^[a-z][a-z0-9_]{0,62}$/.test(each));
      if (wrong !== undefined) section.refuse('options', `has "${wrong.slice(0, 100)}", which is no option`);
      return { kind, name, options };
    }
    case 'model':
      return { kind, name, show: section.choice('show', modelViews, 'scores') };
  }
}

/** The statement that a source means. A metric is asked for the range that is chosen above the dashboard. */
export function sqlOf(source: TileSource): string {
  switch (source.kind) {
    case 'metric':
      return callOf('metric', [
        ['metric', text(source.name)],
        ...(source.by.length === 0 ? [] : ([['by', text(source.by.join(','))]] as const)),
        ...(source.grain === 'none' ? [] : ([['grain', text(source.grain)]] as const)),
        ['from', '$from'],
        ['to', '$last'],
      ]);
    case 'answer':
      return callOf(
        source.name,
        Object.entries(source.options).map(([name, value]) => [name, /^\$[A-Za-z_]\w*$/.test(value) ? value : text(value)]),
      );
    case 'model':
      // Gain and cover are in other units, which one chart can't show beside it.
      return `SELECT ${source.show === 'importance' ? 'feature, importance' : '*'} FROM ML.${modelFunctions[source.show]}(MODEL ${source.name})`;
  }
}

/** The source in the words of its file. */
export function definitionOfSource(source: TileSource): Readonly<Record<string, unknown>> {
  switch (source.kind) {
    case 'metric':
      return {
        metric: source.name,
        by: source.by.length === 0 ? undefined : source.by.length === 1 ? source.by[0] : source.by,
        grain: source.grain === 'none' ? undefined : source.grain,
      };
    case 'answer':
      return { answer: source.name, options: Object.keys(source.options).length === 0 ? undefined : source.options };
    case 'model':
      return { model: source.name, show: source.show === 'scores' ? undefined : source.show };
  }
}

function callOf(answer: string, options: readonly (readonly [name: string, value: string])[]): string {
  return `SELECT * FROM answers.${answer}(${options.map(([name, value]) => `${name} := ${value}`).join(', ')})`;
}

const text = (value: string) => `'${value.replaceAll("'", "''")}'`;
