/** A name that nothing else has. crypto.randomUUID is there over HTTPS and on this machine alone: a shop's own network has neither. */
export const newId = (): string =>
  [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
