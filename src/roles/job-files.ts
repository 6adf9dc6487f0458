import type { EventId } from '../hash.js';

/** Where a home keeps a job: the customer's secrets of it, and what this home signed for it. */
const jobFolder = (id: EventId) => `jobs/${id}`;
export const secretsFile = (id: EventId) => `${jobFolder(id)}/job.json`;
export const eventsFile = (id: EventId) => `${jobFolder(id)}/events.jsonl`;
/** Of a customer of an alliance. */
export const allianceFile = (id: EventId) => `${jobFolder(id)}/alliance.json`;
/** Of a customer of an arena. */
export const arenaFile = (id: EventId) => `${jobFolder(id)}/arena.json`;
