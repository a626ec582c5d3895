import { readDefinition } from '#definition';

/** A group of customers by a rule over what they bought. */
export interface Segment {
  readonly name: string;
  readonly title: string;
  /** SQL: a condition over the columns of a customer that docs/answers.md lists. */
  readonly where: string;
}

/** segments/<name>.yaml as data. Pure. Errors: DEFINITION_YAML, DEFINITION_INVALID, both with the line. */
export function parseSegment(name: string, text: string, file: string): Segment {
  const top = readDefinition(text, file, ['title', 'where']);
  return { name, title: top.text('title') ?? name, where: top.needText('where', 2000) };
}
