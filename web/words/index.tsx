import { createContext, type ReactNode, useContext, useEffect, useMemo, useState } from 'react';
import { workspaceZone } from '../zone.ts';
import { type Book, phrased } from './book.ts';
import { en, type Word } from './en.ts';

export type { Word } from './en.ts';

export const languages = { en: 'English', ko: '한국어' } as const;
export type Language = keyof typeof languages;

/** The server speaks English: nothing of it needs other words. */
const english: Book = {
  words: en,
  answers: {},
  errors: {},
  facts: [],
  factValues: [],
  options: {},
  problems: [],
  optionNames: {},
  reasons: [],
  remedies: {},
  report: [],
};
const books: Readonly<Record<Language, () => Promise<Book>>> = {
  en: async () => english,
  ko: () => import('./korean.ts').then(({ korean }) => korean),
};
const kept = 'millrace.language';

interface Titled {
  readonly name: string;
  readonly title: string;
  readonly summary: string;
}

export interface Speech {
  readonly language: Language;
  setLanguage(language: Language): void;
  /** The words for a key, with its braces filled in. Plain text: never HTML. */
  t(word: Word, values?: Readonly<Record<string, string | number>>): string;
  /** What happened, by the error's code in the reader's language; in English where the language has no words for it. */
  said(error: { readonly code: string; readonly message: string; readonly params: Readonly<Record<string, unknown>> }): string;
  /** What to do about it, as `said` says what happened. */
  remedy(error: { readonly code: string; readonly remedy: string }): string;
  /** What an option of an answer is called, and what it is for. */
  optionInWords(
    answer: string,
    option: { readonly name: string; readonly summary: string },
  ): { readonly name: string; readonly summary: string };
  /** What an answer is called and tells, in the reader's language. */
  inWords(answer: Titled): Titled;
  /** A fact of an answer's evidence. */
  factInWords(fact: { readonly fact: string; readonly value: string }): { readonly fact: string; readonly value: string };
  /** A sentence of a model's report. */
  reportInWords(text: string): string;
  /** Why a record was refused. */
  reasonInWords(text: string): string;
  number(value: number): string;
  /** 1.2K: for narrow places. */
  short(value: number): string;
  bytes(value: number): string;
  /** 340 ms, 2.1 s, 4 min, 3 h, 2 d. */
  duration(ms: number): string;
  /** 3 minutes ago. */
  ago(at: number): string;
  instant(at: number): string;
  share(value: number): string;
}

const Context = createContext<Speech | null>(null);

/** The language that was chosen, else the browser's. */
const spoken = (): Language => chosen() ?? (navigator.language.startsWith('ko') ? 'ko' : 'en');

/** What can be said from the first picture on. */
export const firstSpeech = async (): Promise<FirstSpeech> => speechIn(spoken());

export type FirstSpeech = Omit<Speech, 'setLanguage'>;

async function speechIn(language: Language): Promise<FirstSpeech> {
  return { language, ...speak(language, await books[language]()) };
}

/** Follows the browser until a language is chosen, and the choice from then on; the words of another one are fetched first. */
export function Speaking({ first, children }: { first: FirstSpeech; children: ReactNode }) {
  const [now, set] = useState(first);
  useEffect(() => {
    document.documentElement.lang = now.language;
  }, [now.language]);
  const speech = useMemo(() => {
    const setLanguage = (next: Language) => {
      localStorage.setItem(kept, next);
      void speechIn(next).then(set);
    };
    return { ...now, setLanguage };
  }, [now]);
  return <Context value={speech}>{children}</Context>;
}

export function useWords(): Speech {
  return useContext(Context)!;
}

/** An answer's own word for an option comes before the one for all options of that name. */
function ofOption(words: Readonly<Record<string, string>>, answer: string, option: string): string | undefined {
  const key = [`${answer}.${option}`, option].find((each) => Object.hasOwn(words, each));
  return key === undefined ? undefined : words[key];
}

function chosen(): Language | null {
  const word = localStorage.getItem(kept);
  return word !== null && word in languages ? (word as Language) : null;
}

function speak(language: Language, book: Book): Omit<Speech, 'language' | 'setLanguage'> {
  const { words: plainWords } = book;
  const plain = new Intl.NumberFormat(language);
  const compact = new Intl.NumberFormat(language, { notation: 'compact', maximumFractionDigits: 1, useGrouping: true });
  const percent = new Intl.NumberFormat(language, { style: 'percent', maximumFractionDigits: 1 });
  const relative = new Intl.RelativeTimeFormat(language, { numeric: 'auto', style: 'short' });
  const unit = (value: number, name: string, digits: number) =>
    new Intl.NumberFormat(language, {
      style: 'unit',
      unit: name,
      unitDisplay: name === 'second' || name === 'millisecond' ? 'narrow' : 'short',
      maximumFractionDigits: digits,
    }).format(value);
  const duration = (ms: number) => {
    if (ms < 1000) return unit(Math.round(ms), 'millisecond', 0);
    if (ms < 60_000) return unit(ms / 1000, 'second', 1);
    if (ms < 3_600_000) return unit(ms / 60_000, 'minute', 0);
    return ms < 86_400_000 ? unit(ms / 3_600_000, 'hour', 1) : unit(ms / 86_400_000, 'day', 0);
  };
  const valueInWords = (fact: string, value: string): string => {
    // A user's own words, and numbers that count nothing: a batch, an order's id, a visitor's.
    if (/^rule\b|\(batch\)$|: one (order|visitor) /.test(fact)) return value;
    return /^-?\d{4,15}$/.test(value) ? plain.format(Number(value)) : phrased(value, book.factValues);
  };
  return {
    t: (word, values) =>
      values === undefined ? plainWords[word] : plainWords[word].replace(/\{(\w+)\}/g, (_all, name) => String(values[name] ?? '')),
    said: ({ code, message, params }) => {
      if (code === 'UNREACHABLE') return plainWords.unreachable;
      const words = Object.hasOwn(book.errors, code) ? book.errors[code]! : null;
      const complete =
        words !== null && [...words.matchAll(/\{(\w+)\}/g)].every(([, name]) => params[name!] !== undefined && params[name!] !== null);
      return complete ? words.replace(/\{(\w+)\}/g, (_all, name) => phrased(String(params[name]), book.problems)) : message;
    },
    remedy: ({ code, remedy }) => (Object.hasOwn(book.remedies, code) ? book.remedies[code]! : remedy),
    optionInWords: (answer, { name, summary }) => {
      const word = name.replaceAll('_', ' ');
      return {
        name: ofOption(book.optionNames, answer, name) ?? word[0]!.toUpperCase() + word.slice(1),
        summary: ofOption(book.options, answer, name) ?? summary,
      };
    },
    inWords: (answer) => ({ ...answer, ...(Object.hasOwn(book.answers, answer.name) ? book.answers[answer.name] : {}) }),
    factInWords: ({ fact, value }) => ({ fact: phrased(fact, book.facts), value: valueInWords(fact, value) }),
    reportInWords: (text) => phrased(text, book.report),
    reasonInWords: (text) => phrased(text, book.reasons, book.problems),
    number: (value) => plain.format(value),
    short: (value) => compact.format(value),
    bytes: (value) =>
      value < 1e6 ? unit(value / 1e3, 'kilobyte', 0) : value < 1e9 ? unit(value / 1e6, 'megabyte', 0) : unit(value / 1e9, 'gigabyte', 1),
    duration,
    ago(at) {
      const seconds = Math.round((at - Date.now()) / 1000);
      const [value, name] =
        seconds > -60
          ? [seconds, 'second']
          : seconds > -3600
            ? [seconds / 60, 'minute']
            : seconds > -86_400
              ? [seconds / 3600, 'hour']
              : [seconds / 86_400, 'day'];
      return relative.format(Math.round(value as number), name as Intl.RelativeTimeFormatUnit);
    },
    instant: (at) => new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'medium', timeZone: workspaceZone() }).format(at),
    share: (value) => percent.format(value),
  };
}
