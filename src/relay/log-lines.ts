/** From here on a copy costs more than a part of a write. */
const LONG_LINE_BYTES = 4_096;
const NEWLINE = Buffer.from('\n');

/** Lines of a group with their newlines: short ones joined, long ones where they are. */
export function gathered(lines: readonly Buffer[]): Buffer[] {
  const parts: Buffer[] = [];
  let short: Buffer[] = [];
  const join = (): void => {
    if (short.length > 0) parts.push(Buffer.concat(short));
    short = [];
  };
  for (const line of lines) {
    if (line.length >= LONG_LINE_BYTES) {
      join();
      parts.push(line);
      short.push(NEWLINE);
    } else short.push(line, NEWLINE);
  }
  join();
  return parts;
}
