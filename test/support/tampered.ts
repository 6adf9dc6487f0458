/** A participant that runs the real program with one line of it changed: what a cheat does to its own copy. */

/** @returns the environment of such a process; it does not start when the line is not there */
export function tampered(file: string, from: string, to: string): Record<string, string> {
  const hook = `export async function load(url, context, next) {
    const loaded = await next(url, context);
    if (!url.endsWith(${JSON.stringify(`/dist/${file}`)})) return loaded;
    const text = String(loaded.source);
    if (!text.includes(${JSON.stringify(from)})) throw new Error('nothing to tamper with');
    return { ...loaded, source: text.replace(${JSON.stringify(from)}, ${JSON.stringify(to)}), shortCircuit: true };
  }`;
  const url = (code: string) => `data:text/javascript;base64,${Buffer.from(code).toString('base64')}`;
  const preload = `import { register } from 'node:module'; register(${JSON.stringify(url(hook))});`;
  return { NODE_OPTIONS: `--import=${url(preload)}` };
}
