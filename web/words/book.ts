import type { Words } from './en.ts';

/** All that is said in one language. What the server words in English has a place here by its name or code; without one its own words stand. */
export interface Book {
  readonly words: Words;
  /** By the answer's name. */
  readonly answers: Readonly<Record<string, { readonly title: string; readonly summary: string }>>;
  /** By code: what happened, with the error's values in braces. */
  readonly errors: Readonly<Record<string, string>>;
  /** What may stand in an error's braces and is words itself. */
  readonly problems: Phrases;
  /** By code: what to do. */
  readonly remedies: Readonly<Record<string, string>>;
  /** By `answer.option` or `option`. */
  readonly options: Readonly<Record<string, string>>;
  /** As `options`: what they are called; elsewhere by their own names. */
  readonly optionNames: Readonly<Record<string, string>>;
  /** Of evidence: patterns with `{x}` for whatever stands there; the first that fits is taken. */
  readonly facts: Phrases;
  readonly factValues: Phrases;
  /** Of a model's report. */
  readonly report: Phrases;
  /** Why a record was refused, as it stands in quarantine. */
  readonly reasons: Phrases;
}

export type Phrases = readonly (readonly [english: string, other: string])[];

/** A text in the other language by the first phrase that fits all of it, or as it is. What stands in its braces is said by `within`. */
export function phrased(text: string, phrases: Phrases, within: Phrases = []): string {
  for (const [english, other] of phrases) {
    const names = [...english.matchAll(/\{(\w+)\}/g)].map(([, name]) => name!);
    const parts = english.split(/\{\w+\}/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
    const found = new RegExp(`^${parts.join('(.+)')}$`, 's').exec(text);
    if (found !== null) return other.replace(/\{(\w+)\}/g, (_all, name) => phrased(found[names.indexOf(name) + 1]!, within));
  }
  return text;
}
