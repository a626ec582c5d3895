import type { ErrorEntry } from './entry.ts';

/** Errors of collecting: a record, a body or a topic that can't be taken. Codes that start with RECORD_ reject one record; the batch goes on. */
export const collectErrors = {
  RECORD_JSON: {
    status: 400,
    retryable: false,
    what: (p) => `The record is not valid JSON: ${p['problem']} at byte ${p['at']}.`,
    remedy: 'Send each record as one JSON object (RFC 8259).',
  },
  RECORD_NOT_OBJECT: {
    status: 400,
    retryable: false,
    what: (p) => `A record must be a JSON object; this is ${p['found']}.`,
    remedy: 'Wrap the value in an object: {"value": …}.',
  },
  RECORD_DUPLICATE_KEY: {
    status: 400,
    retryable: false,
    what: (p) => `The key "${p['key']}" stands twice in one object.`,
    remedy: 'Send each key once; which of the two is meant can not be known.',
  },
  RECORD_TOO_DEEP: {
    status: 400,
    retryable: false,
    what: (p) => `The record nests deeper than ${p['limit']} levels.`,
    remedy: 'Flatten the record.',
  },
  RECORD_TOO_LARGE: {
    status: 413,
    retryable: false,
    what: (p) => `The record has ${p['bytes']} bytes; at most ${p['limit']} are taken.`,
    remedy:
      'Split the record, or raise limits.record_bytes in millrace.yaml and send it again: quarantine holds no more than its beginning.',
  },
  RECORD_SURROGATE: {
    status: 400,
    retryable: false,
    what: (p) => `A string has half of a surrogate pair (\\u${p['unit']}) at byte ${p['at']}: it is no Unicode text.`,
    remedy: 'Cut text at characters, not at UTF-16 units, before sending it.',
  },
  RECORD_ENCODING: {
    status: 400,
    retryable: false,
    what: () => 'The record is not valid UTF-8.',
    remedy: 'Encode the text as UTF-8 (Korean text from Excel is often CP949: convert it first).',
  },
  RECORD_NUL: {
    status: 400,
    retryable: false,
    what: (p) => `A string has a NUL character (\\u0000) at byte ${p['at']}.`,
    remedy: 'Remove NUL characters; databases and files downstream cut text at them.',
  },
  RECORD_ID: {
    status: 400,
    retryable: false,
    what: (p) => `The id field "${p['field']}" ${p['problem']}.`,
    remedy: 'Send an id of 1 to 200 bytes of UTF-8 without control characters, the same at each retry.',
  },
  RECORD_TIME_MISSING: {
    status: 400,
    retryable: false,
    what: (p) => `The event time field "${p['field']}" is absent.`,
    remedy: 'Send the time of the event in that field, or set time.required: false in the topic.',
  },
  RECORD_TIME: {
    status: 400,
    retryable: false,
    what: (p) => `The event time ${p['value']} in "${p['field']}" ${p['problem']}.`,
    remedy: 'Send ISO 8601 with an offset (2026-03-01T09:00:00+09:00) or the unit that the topic declares.',
  },
  RECORD_FIELD: {
    status: 400,
    retryable: false,
    what: (p) => `The value ${p['value']} of "${p['field']}" does not fit ${p['type']}${p['problem'] ? `: ${p['problem']}` : ''}.`,
    remedy: 'Correct the value, or change the type in the topic and replay the record from quarantine.',
  },
  RECORD_FIELD_MISSING: {
    status: 400,
    retryable: false,
    what: (p) => `The required field "${p['field']}" is absent.`,
    remedy: 'Send the field, or drop required: true from the topic and replay the record from quarantine.',
  },
  RECORD_FIELD_UNKNOWN: {
    status: 400,
    retryable: false,
    what: (p) => `The field "${p['field']}" is not in the topic's definition and the topic is frozen (drift: freeze).`,
    remedy: 'Add the field to the topic or set drift: evolve, then replay the record from quarantine.',
  },
  BODY_TOO_LARGE: {
    status: 413,
    retryable: false,
    what: (p) => `The body has more than ${p['limit']} bytes.`,
    remedy: 'Send smaller batches; use "millrace load" for bulk.',
  },
  BODY_ENCODING: {
    status: 415,
    retryable: false,
    what: (p) => `The content encoding "${p['encoding']}" is not taken.`,
    remedy: 'Send the body plain or with Content-Encoding: gzip.',
  },
  BODY_GZIP: {
    status: 400,
    retryable: false,
    what: (p) => `The gzip body can't be read: ${p['problem']}.`,
    remedy: 'Compress the body again and resend it.',
  },
  BODY_JSON: {
    status: 400,
    retryable: false,
    what: (p) => `The body is not valid JSON: ${p['problem']} at byte ${p['at']}.`,
    remedy: 'Send one object, an array of objects, or one object a line (application/x-ndjson).',
  },
  RECORD_UNREADABLE: {
    status: 400,
    retryable: false,
    what: (p) => `The warehouse can't read the record: ${p['problem']}.`,
    remedy: 'Look at the bytes in quarantine; correct the sender, or report it.',
  },
  BATCH_TOO_LONG: {
    status: 413,
    retryable: false,
    what: (p) => `The body has more than ${p['limit']} records; this one was not taken.`,
    remedy: 'Send the rest in another request.',
  },
  BODY_EMPTY: {
    status: 400,
    retryable: false,
    what: () => 'The body has no record.',
    remedy: 'Send one object, an array of objects, or one object a line.',
  },
  TOPIC_UNKNOWN: {
    status: 404,
    retryable: false,
    what: (p) => `There is no topic "${p['topic']}".`,
    remedy: 'Define it in topics/<name>.yaml, or set topics.create: on_first_use in millrace.yaml.',
  },
  TOPIC_NAME: {
    status: 400,
    retryable: false,
    what: (p) => `"${p['topic']}" can't be a topic's name.`,
    remedy: 'Use 1 to 63 of a–z, 0–9 and _, starting with a letter.',
  },
  LOG_FAILED: {
    status: 503,
    retryable: true,
    what: (p) => `The record could not be made durable: ${p['problem']}. It was not acknowledged.`,
    remedy: 'Retry with the same id; check the disk if it stays.',
  },
  INTAKE_BUSY: {
    status: 503,
    retryable: true,
    what: (p) => `Bodies of ${p['held']} bytes are being taken in; there is no room beside them for this one (${p['bytes']} bytes).`,
    remedy: 'Retry after the seconds in Retry-After with the same ids, or send smaller bodies.',
  },
  DISK_FULL: {
    status: 503,
    retryable: true,
    what: (p) => `Only ${p['free']} bytes are free on the disk; the last ${p['reserve']} are kept for finishing what was begun.`,
    remedy: 'Make room, or lower limits.disk_reserve in millrace.yaml; records are taken again by themselves.',
  },
  LOG_CORRUPT: {
    status: 500,
    retryable: false,
    what: (p) => `The log ${p['file']} is damaged at byte ${p['at']}: ${p['problem']}.`,
    remedy: 'Restore the file from a backup; everything before that byte is unharmed.',
  },
  STOPPING: {
    status: 503,
    retryable: true,
    what: () => 'Millrace is stopping.',
    remedy: 'Retry in a few seconds.',
  },
} as const satisfies Record<string, ErrorEntry>;
