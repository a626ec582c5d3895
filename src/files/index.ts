export { codeOf, removeFile, replaceFile, stateFrom } from './whole.ts';
