/** SQL text → statement as data, and the allow-list. The authority on what a text means is DuckDB's own parser (docs/sql.md). */

export { behindOf, type Output, outputsOf } from './behind.ts';
export { checkStatement, isCatalog, type Who } from './check.ts';
export { shapeOf } from './columns/query.ts';
export { type Made, renamed, type Shape, type Source, shapeWith } from './columns/shape.ts';
export { functionFamilies, isAllowedFunction, tableFunctions } from './functions.ts';
export { fullName, named, wordsOf } from './names.ts';
export { placeIn, type Serialize } from './parse.ts';
export { placeOfOption, readStatement } from './read.ts';
export type { FunctionCall, Reads, TableRead } from './reads.ts';
export { explainRefusal } from './refusal.ts';
export { type Sharable, type SharedScan, sharableOf, shareScan } from './shared.ts';
export type * from './statement.ts';
export { quoteIdentifier, quoteLiteral, type Token, type TokenKind, tokens } from './tokens.ts';
export {
  ctesOf,
  equalities,
  find,
  isColumn,
  type Node,
  namesOf,
  outputName,
  queryOf,
  rewrite,
  sameText,
  subqueryOf,
  treeText,
} from './tree.ts';
