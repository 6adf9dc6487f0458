/** Functions of Math that every engine rounds alike; all others count as inexact. */
export const SAFE = 'abs ceil clz32 floor fround imul max min round sign sqrt trunc'.split(' ');

/** Names of the inexact functions of Math that were called meanwhile. */
export async function watchMath(work: () => unknown): Promise<string[]> {
  const called = new Set<string>();
  const functions = Object.getOwnPropertyNames(Math).filter((name) => !SAFE.includes(name));
  const saved = functions.map((name) => [name, Reflect.get(Math, name) as unknown] as const);
  for (const [name, original] of saved)
    if (typeof original === 'function')
      Reflect.set(Math, name, (...args: number[]) => {
        called.add(name);
        return (original as (...args: number[]) => number)(...args);
      });
  try {
    await work();
  } finally {
    for (const [name, original] of saved) if (typeof original === 'function') Reflect.set(Math, name, original);
  }
  return [...called];
}
