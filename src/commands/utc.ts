/** ISO 8601 in UTC, to the second. @param sec  Unix seconds */
export function utc(sec: number): string {
  return `${new Date(sec * 1000).toISOString().slice(0, 19)}Z`;
}
