/** Flags that say who runs a command and where; a suggested call needs them again. */
const CARRIED = [
  '--home',
  '--settings',
  '--relay',
  '--network',
  '--key-file',
  '--key-password-file',
  '--wallet-file',
] as const;

/** Commands that look at a home, a key, relays or a wallet. */
const NEEDY = new Set(
  'init publish-dataset check post-job collect-model cancel serve-trainer bid earnings resign status audit doctor whoami'.split(
    ' ',
  ),
);

/** A call inside a sentence: its name, then flags with their values, ids and PLACEHOLDERS. */
const CALL = /\bnmkt ([a-z][a-z-]+)((?: (?:--[a-z-]+(?: [^\s-][^\s,;]*)?|[0-9a-f]{64}|[A-Z]+\b))*)/g;

/** The carried flags of a command line with their values, as typed. */
export function carriedFlags(words: readonly string[]): readonly (readonly [flag: string, value: string])[] {
  return words.flatMap((word, index) => {
    const [flag, ...parts] = word.split('=');
    if (!CARRIED.some((name) => name === flag)) return [];
    const value = parts.length > 0 ? parts.join('=') : words[index + 1];
    return value === undefined ? [] : [[flag!, value] as const];
  });
}

/**
 * Suggested calls as they work when typed here: with the flags of this run that say who runs it, and through npx when
 * this run came that way (npm puts `npm_command` into the environment of what it starts).
 */
export function typable(
  text: string,
  carried: readonly (readonly [flag: string, value: string])[],
  env: NodeJS.ProcessEnv,
): string {
  const isNpx = env['npm_command'] === 'exec' && env['npm_lifecycle_event'] === 'npx';
  return text.replace(CALL, (call: string, name: string, rest: string) => {
    const isAsking = rest.includes('--help') || rest.includes('--print-defaults');
    const missing = NEEDY.has(name) && !isAsking ? carried.filter(([flag]) => !text.includes(`${flag} `)) : [];
    const whole = [call, ...missing.map(([flag, value]) => `${flag} ${quoted(value)}`)].join(' ');
    return isNpx ? `npx ${whole}` : whole;
  });
}

/** A command line of these words. */
export function callOf(words: readonly string[]): string {
  return ['nmkt', ...words.map(quoted)].join(' ');
}

/** For a POSIX shell. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
