import { readDefinition } from '#definition';

/** The flow that the shop was designed for: steps that are recognised by an event, and which step may follow which. */
export interface Journey {
  readonly name: string;
  readonly title: string;
  readonly steps: readonly {
    readonly name: string;
    readonly event: string;
    /** Properties that the event must have. */
    readonly where: Readonly<Record<string, string>>;
    /** Whether a visit may begin here. */
    readonly start: boolean;
    /** Names of steps, or (end). */
    readonly next: readonly string[];
  }[];
}

/** journeys/<name>.yaml as data. Pure. Errors: DEFINITION_YAML, DEFINITION_INVALID, both with the line. */
export function parseJourney(name: string, text: string, file: string): Journey {
  const top = readDefinition(text, file, ['title', 'steps']);
  const sections = top.sections('steps', ['name', 'event', 'where', 'start', 'next'], 40);
  if (sections.length < 2) top.refuse('steps', 'must be a list of at least two steps');
  const steps = sections.map((step, at) => ({
    name: step.needText('name', 60),
    event: step.needText('event'),
    where: step.words('where'),
    start: step.boolean('start', at === 0),
    next: step.texts('next'),
  }));
  const names = steps.map((step) => step.name);
  for (const [at, step] of steps.entries()) {
    if (names.indexOf(step.name) !== at || step.name.startsWith('('))
      sections[at]!.refuse('name', `"${step.name}" stands twice, or begins with (`);
    const unknown = step.next.find((next) => next !== '(end)' && !names.includes(next));
    if (unknown !== undefined) sections[at]!.refuse('next', `names "${unknown.slice(0, 60)}"; there are ${names.join(', ')}, (end)`);
  }
  return { name, title: top.text('title') ?? name, steps };
}
