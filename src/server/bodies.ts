import type { FastifyInstance } from 'fastify';
import type { Bodies } from '#collect';
import { type Bytes, fail } from '#core';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Its body goes to disk as it comes. */
    streams?: true;
  }
}

/** The largest body where a route says nothing else. */
export const BODY_LIMIT: Bytes = 4 * 1024 * 1024;

/**
 * Bodies are read whole before they are looked at, so each takes room in memory until it is answered; one that doesn't fit beside the
 * others is refused before it is read (INTAKE_BUSY).
 */
export function heldBodies(app: FastifyInstance, bodies: Bodies): void {
  app.addHook('preParsing', async (request, reply, payload) => {
    const { 'content-length': said, 'transfer-encoding': chunked } = request.headers;
    const { config, bodyLimit = BODY_LIMIT } = request.routeOptions;
    if ((said === undefined && chunked === undefined) || config.streams === true) return payload;
    const bytes = Math.min(Number(said ?? bodyLimit), bodyLimit);
    const held = bodies.hold(bytes, () => request.raw.destroy());
    if (held === null) return fail('INTAKE_BUSY', { bytes, held: bodies.held });
    payload.once('end', held.whole);
    reply.raw.once('close', held.release);
    return payload;
  });
}
