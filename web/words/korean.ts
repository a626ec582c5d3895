import { answersKo } from './answers-ko.ts';
import type { Book } from './book.ts';
import { errorsKo } from './errors-ko.ts';
import { factsKo, factValuesKo } from './facts-ko.ts';
import { ko } from './ko.ts';
import { optionsKo } from './options-ko.ts';
import { remediesKo } from './remedies-ko.ts';

/** Loaded when somebody reads Korean. */
export const korean: Book = {
  words: ko,
  answers: answersKo,
  errors: errorsKo,
  facts: factsKo,
  factValues: factValuesKo,
  options: optionsKo,
  remedies: remediesKo,
};
