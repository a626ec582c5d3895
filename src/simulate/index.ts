export type { Cell, Dataset, Difference, ExportKind, Question } from './dataset.ts';
export { stagingTable } from './dataset.ts';
export { recogniseExport } from './export.ts';
export type { ShopOptions } from './plan.ts';
export type { ClientRecord, OrderRow, Shop } from './shop.ts';
export { simulateShop } from './shop.ts';
export type { CheckedQuestion, ShopDataset } from './shop-answers.ts';
export { shopDataset } from './shop-answers.ts';
export type { Truth } from './truth.ts';
