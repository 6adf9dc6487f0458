export interface Style {
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
  green(text: string): string;
  yellow(text: string): string;
}

export interface ColorRequest {
  readonly isTerminal: boolean;
  /** `--no-color` or `--quiet` was given. */
  readonly off: boolean;
  readonly env: NodeJS.ProcessEnv;
}

/** Only on a terminal, and never against any non-empty NO_COLOR (no-color.org), TERM=dumb or a flag. */
export function wantsColor({ isTerminal, off, env }: ColorRequest): boolean {
  return isTerminal && !off && !env['NO_COLOR'] && env['TERM'] !== 'dumb';
}

/** ECMA-48 SGR sequences, or the text as it is. */
export function createStyle(color: boolean): Style {
  const sgr = (on: number, off: number) => (text: string) => (color ? `\x1b[${on}m${text}\x1b[${off}m` : text);
  return { bold: sgr(1, 22), dim: sgr(2, 22), red: sgr(31, 39), green: sgr(32, 39), yellow: sgr(33, 39) };
}

/**
 * Text from strangers (relay messages, file names) must not move the cursor, change colours or, by the marks of Unicode for the
 * direction of writing, show itself in another order (CVE-2021-42574). Newlines and tabs stay.
 */
export function withoutControls(text: string): string {
  // eslint-disable-next-line no-control-regex
  return text.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g, '�');
}
