import type { Words } from './en.ts';

/** All that is said in one language. What the server words in English has a place here by its name or code; without one its own words stand. */
export interface Book {
  readonly words: Words;
  /** By the answer's name. */
  readonly answers: Readonly<Record<string, { readonly title: string; readonly summary: string }>>;
  /** By code: what happened, with the error's values in braces. */
  readonly errors: Readonly<Record<string, string>>;
  /** By code: what to do. */
  readonly remedies: Readonly<Record<string, string>>;
  /** By `answer.option` or `option`. */
  readonly options: Readonly<Record<string, string>>;
  /** Of evidence: patterns with `{x}` for whatever stands there; the first that fits is taken. */
  readonly facts: Phrases;
  readonly factValues: Phrases;
}

export type Phrases = readonly (readonly [english: string, other: string])[];

/** A text in the other language by the first phrase that fits all of it, or as it is. */
export function phrased(text: string, phrases: Phrases): string {
  for (const [english, other] of phrases) {
    const names = [...english.matchAll(/\{(\w+)\}/g)].map(([, name]) => name!);
    const parts = english.split(/\{\w+\}/).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
    const found = new RegExp(`^${parts.join('(.+)')}$`, 's').exec(text);
    if (found !== null) return other.replace(/\{(\w+)\}/g, (_all, name) => found[names.indexOf(name) + 1]!);
  }
  return text;
}
