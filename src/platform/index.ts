export { type Flow, newFlow } from './flow.ts';
export { type Front, type FrontOptions, openFront } from './front.ts';
