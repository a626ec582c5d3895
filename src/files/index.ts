export { type FoundFile, filesIn } from './listing.ts';
export { codeOf, removeFile, replaceFile, stateFrom } from './whole.ts';
