export type { TextFolder } from '#workspace';
export { type Flow, newFlow } from './flow.ts';
export { type Front, type FrontOptions, openFront } from './front.ts';
export { targetsOf } from './models/targets.ts';
export type { PlannedStep } from './transfer.ts';
export { lookAtSource, secretFile, type TransferRun, type Transfers } from './transfers.ts';
export type { Upload, Uploads } from './uploads.ts';
