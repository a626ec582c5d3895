import type * as Http from 'node:http';

/**
 * Node's HTTP module. An `import` of it as an ES module reads every one of its exports, among them the WebSocket of undici, and takes
 * 14 MB in each process; asked for this way it takes 3.
 */
export const http: typeof Http = process.getBuiltinModule('node:http');
