export { readDefinition, type Section, textProblem } from './section.ts';
export { parseDuration } from './units.ts';
export { maxFileBytes, type Node } from './yaml.ts';
