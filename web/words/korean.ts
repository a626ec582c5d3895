import { answersKo } from './answers-ko.ts';
import type { Book } from './book.ts';
import { errorsKo } from './errors-ko.ts';
import { factsKo, factValuesKo } from './facts-ko.ts';
import { ko } from './ko.ts';
import { optionNamesKo, optionsKo } from './options-ko.ts';
import { problemsKo, reasonsKo } from './reasons-ko.ts';
import { remediesKo } from './remedies-ko.ts';
import { reportKo } from './report-ko.ts';

/** Loaded when somebody reads Korean. */
export const korean: Book = {
  words: ko,
  answers: answersKo,
  errors: errorsKo,
  facts: factsKo,
  factValues: factValuesKo,
  options: optionsKo,
  optionNames: optionNamesKo,
  problems: problemsKo,
  reasons: reasonsKo,
  remedies: remediesKo,
  report: reportKo,
};
