import { hashText, mix } from '../random.ts';

/**
 * Text → hashed n-grams: words (1–2 in a row) and characters (2–5 in a row, over the text with single blanks and blanks at both ends).
 * Character n-grams need no word boundaries, so they serve Korean, Japanese and Chinese as well as misspelled English.
 * Text is NFC-normalised and in lower case, so that composed and decomposed Hangul are one.
 */

/** Buckets of the hash: 2^20, so that few n-grams share one. */
export const BUCKETS = 1 << 20;
/** A longer text is cut: a text of a megabyte says no more than its beginning. */
const MOST_CHARACTERS = 20_000;

/** Bucket numbers of one text, one for each occurrence: words, then characters. */
export function ngrams(text: string): { readonly words: number[]; readonly characters: number[] } {
  const normal = text.slice(0, MOST_CHARACTERS).normalize('NFC').toLowerCase();
  return { words: wordGrams(normal), characters: characterGrams(` ${normal.trim().replace(/\s+/gu, ' ')} `) };
}

function wordGrams(text: string): number[] {
  const words = text.match(/[\p{L}\p{N}]+|[^\s\p{L}\p{N}]/gu) ?? [];
  const grams: number[] = [];
  let before = 0;
  for (const word of words) {
    const hash = hashText(word, 1);
    grams.push(hash & (BUCKETS - 1));
    if (before !== 0) grams.push(mix(hash ^ Math.imul(before, 0x9e3779b1)) & (BUCKETS - 1));
    before = hash;
  }
  return grams;
}

function characterGrams(text: string): number[] {
  const grams: number[] = [];
  for (let begin = 0; begin < text.length; begin++) {
    let h = 0x811c9dc5 ^ 2;
    for (let length = 1; length <= 5 && begin + length <= text.length; length++) {
      h = Math.imul(h ^ text.charCodeAt(begin + length - 1), 0x01000193);
      if (length >= 2) grams.push(mix(h ^ length) & (BUCKETS - 1));
    }
  }
  return grams;
}
