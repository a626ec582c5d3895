import { createContext, type ReactNode, useContext, useEffect, useMemo, useState } from 'react';
import { workspaceZone } from '../zone.ts';
import { answersKo } from './answers-ko.ts';
import { en, type Word, type Words } from './en.ts';
import { errorsKo } from './errors-ko.ts';
import { ko } from './ko.ts';
import { optionsKo } from './options-ko.ts';
import { remediesKo } from './remedies-ko.ts';

export type { Word } from './en.ts';

export const languages = { en: 'English', ko: '한국어' } as const;
export type Language = keyof typeof languages;

const books: Readonly<Record<Language, Words>> = { en, ko };
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
  /** What an option of an answer is for. */
  optionInWords(answer: string, option: { readonly name: string; readonly summary: string }): string;
  /** What an answer is called and tells, in the reader's language. */
  inWords(answer: Titled): Titled;
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

/** Follows the browser until a language is chosen, and the choice from then on. */
export function Speaking({ children }: { children: ReactNode }) {
  const [language, set] = useState<Language>(() => chosen() ?? (navigator.language.startsWith('ko') ? 'ko' : 'en'));
  useEffect(() => {
    document.documentElement.lang = language;
  }, [language]);
  const speech = useMemo(() => {
    const setLanguage = (next: Language) => {
      localStorage.setItem(kept, next);
      set(next);
    };
    return { language, setLanguage, ...speak(language) };
  }, [language]);
  return <Context value={speech}>{children}</Context>;
}

export function useWords(): Speech {
  return useContext(Context)!;
}

function chosen(): Language | null {
  const word = localStorage.getItem(kept);
  return word !== null && word in languages ? (word as Language) : null;
}

function speak(language: Language): Omit<Speech, 'language' | 'setLanguage'> {
  const book = books[language];
  const plain = new Intl.NumberFormat(language);
  const compact = new Intl.NumberFormat(language, { notation: 'compact', maximumFractionDigits: 1 });
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
  return {
    t: (word, values) => (values === undefined ? book[word] : book[word].replace(/\{(\w+)\}/g, (_all, name) => String(values[name] ?? ''))),
    said: ({ code, message, params }) => {
      const words = language === 'ko' && Object.hasOwn(errorsKo, code) ? errorsKo[code]! : null;
      const complete =
        words !== null && [...words.matchAll(/\{(\w+)\}/g)].every(([, name]) => params[name!] !== undefined && params[name!] !== null);
      return complete ? words.replace(/\{(\w+)\}/g, (_all, name) => String(params[name])) : message;
    },
    remedy: ({ code, remedy }) => (language === 'ko' && Object.hasOwn(remediesKo, code) ? remediesKo[code]! : remedy),
    optionInWords: (answer, { name, summary }) => {
      const key = [`${answer}.${name}`, name].find((each) => Object.hasOwn(optionsKo, each));
      return language === 'ko' && key !== undefined ? optionsKo[key]! : summary;
    },
    inWords: (answer) => ({ ...answer, ...(language === 'ko' && Object.hasOwn(answersKo, answer.name) ? answersKo[answer.name] : {}) }),
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
