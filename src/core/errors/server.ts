import type { ErrorEntry } from './entry.ts';

/** Errors of the doors' outer frame: who asks, and whether the request can be understood at all. */
export const serverErrors = {
  INTERNAL: {
    status: 500,
    retryable: true,
    what: (p) => `Millrace made a mistake: ${p['detail']}.`,
    remedy: 'Retry; if it stays, report it with the log line of this moment.',
  },
  ROUTE_UNKNOWN: {
    status: 404,
    retryable: false,
    what: (p) => `There is nothing at ${p['method']} ${p['path']}.`,
    remedy: 'See docs/api.md for the routes.',
  },
  REQUEST_INVALID: {
    status: 400,
    retryable: false,
    what: (p) => `The request can't be read: ${p['problem']}.`,
    remedy: 'Correct the request; docs/api.md shows its shape.',
  },
  TOKEN_MISSING: {
    status: 401,
    retryable: false,
    what: () => 'The request carries no token.',
    remedy: 'Send Authorization: Bearer <token>; "millrace token create" makes one.',
  },
  TOKEN_INVALID: {
    status: 401,
    retryable: false,
    what: () => 'The token is unknown, expired or withdrawn.',
    remedy: 'Ask an admin for a new one.',
  },
  NOT_ALLOWED: {
    status: 403,
    retryable: false,
    what: (p) => `The role ${p['role']} may not ${p['action']}${p['on'] ? ` on "${p['on']}"` : ''}.`,
    remedy: 'Ask an admin for a token with the right role.',
  },
  SETUP_TOKEN: {
    status: 401,
    retryable: false,
    what: () => 'The one-time token is wrong or was used already.',
    remedy: 'Read the newest one in the console of "millrace up".',
  },
  TOKEN_NAME: {
    status: 400,
    retryable: false,
    what: (p) => `The token can't be made: ${p['problem']}.`,
    remedy: 'Give a new name, a role (admin, editor, viewer, write) and, for write, its topics.',
  },
  TOKEN_UNKNOWN: {
    status: 404,
    retryable: false,
    what: (p) => `There is no token named "${p['name']}".`,
    remedy: 'See "millrace token list" for the names that exist.',
  },
  TOKEN_TRIES: {
    status: 429,
    retryable: true,
    what: () => 'Too many wrong tokens came from this address.',
    remedy: 'Wait a minute, then send the right token.',
  },
  ORIGIN_REFUSED: {
    status: 403,
    retryable: false,
    what: (p) => `The request comes from another page (${p['origin']}), which may not use this sign-in.`,
    remedy: 'Open the console at the address that "millrace up" printed; programs send Authorization: Bearer <token>.',
  },
  HOST_UNKNOWN: {
    status: 403,
    retryable: false,
    what: (p) => `Millrace listens on this machine only and was asked for by the name "${p['host']}".`,
    remedy: 'Use localhost or 127.0.0.1; a proxy in front of Millrace must send such a Host, or listen with --host.',
  },
  CONSOLE_UNBUILT: {
    status: 503,
    retryable: false,
    what: () => 'The console is not built.',
    remedy: 'Run "npm run build" in the checkout; the packed program brings it along.',
  },
  DASHBOARD_NAME: {
    status: 400,
    retryable: false,
    what: (p) => `A dashboard can't be named "${p['name']}".`,
    remedy: 'Use 1 to 63 of a–z, 0–9, _ and -, beginning with a letter.',
  },
  DASHBOARD_UNKNOWN: {
    status: 404,
    retryable: false,
    what: (p) => `There is no dashboard "${p['name']}".`,
    remedy: 'See GET /v1/dashboards for those that exist; they are the files of the folder dashboards/.',
  },
  DASHBOARD_CHANGED: {
    status: 409,
    retryable: false,
    what: (p) => `The dashboard "${p['name']}" was changed by someone else meanwhile.`,
    remedy: 'Look at the newer version, then save again on top of it or under another name.',
  },
  DASHBOARD_VERSION: {
    status: 404,
    retryable: false,
    what: (p) => `The dashboard "${p['name']}" has no version "${p['version']}".`,
    remedy: 'See GET /v1/dashboards/:name/versions for those that are kept.',
  },
  TILE_UNKNOWN: {
    status: 404,
    retryable: false,
    what: (p) => `The dashboard "${p['name']}" has no tile "${p['tile']}" that asks something.`,
    remedy: 'Tiles are 0.svg, 1.svg, … in the order of the file; one of text asks nothing.',
  },
  TILE_BUSY: {
    status: 503,
    retryable: true,
    what: (p) => `The picture can't be drawn now: ${p['problem']}.`,
    remedy: 'Retry after the seconds in Retry-After, or look at the tile in the console.',
  },
  TILE_PICTURE: {
    status: 400,
    retryable: false,
    what: (p) => `The tile "${p['tile']}" is drawn as ${p['chart']}, which is no picture.`,
    remedy: 'Give the tile a chart, or ask its statement with POST /v1/query.',
  },
  LINK_INVALID: {
    status: 403,
    retryable: false,
    what: () => 'This link is not one that was made here, or it was withdrawn.',
    remedy: 'Open the whole link as it was sent, or ask for a new one.',
  },
  LINK_EXPIRED: {
    status: 410,
    retryable: false,
    what: (p) => `This link ended on ${p['expired']}.`,
    remedy: 'Ask whoever sent it for a new one.',
  },
  LINK_TILE: {
    status: 404,
    retryable: false,
    what: (p) => `The shared dashboard has no tile ${p['tile']} that asks something.`,
    remedy: 'Open the link again: the dashboard was changed.',
  },
  GUARD_FILE: {
    status: 500,
    retryable: false,
    what: (p) => `The file of tokens ${p['file']} can't be used: ${p['problem']}.`,
    remedy:
      'Correct its rights or the disk, or restore it from a backup. Deleting it voids all tokens; the next start prints a new one-time token.',
  },
  PORT_TAKEN: {
    status: 409,
    retryable: false,
    what: (p) => `${p['host']}:${p['port']} can't be listened on (${p['problem']}).`,
    remedy: 'Stop what uses the port, or choose another with --port.',
  },
  HOST_UNSAFE: {
    status: 400,
    retryable: false,
    what: (p) => `Listening on ${p['host']} without TLS would show tokens and records to the network.`,
    remedy: 'Give --tls-cert and --tls-key, or say --insecure-http if something in front of Millrace does TLS.',
  },
} as const satisfies Record<string, ErrorEntry>;
