export { type DefinitionFolder, openDefinitions } from './folder.ts';
export type { RoleLimits, Settings } from './settings.ts';
export { mostTextBytes, type TextFolder, textFolder } from './texts.ts';
export { parseTopic } from './topic.ts';
export { columnType, parseTransfer } from './transfer.ts';
export type { Workspace } from './workspace.ts';
export { initWorkspace, openWorkspace, settingsOf } from './workspace.ts';
