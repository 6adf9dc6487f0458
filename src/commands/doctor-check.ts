/** One line of the doctor's report. */
export interface Check {
  readonly name: string;
  readonly state: 'ok' | 'warn' | 'fail';
  readonly detail: string;
  /** What to type or to do; null when nothing has to be done. */
  readonly remedy: string | null;
}

export const ok = (name: string, detail: string): Check => ({ name, state: 'ok', detail, remedy: null });
export const warn = (name: string, detail: string, remedy: string): Check => ({ name, state: 'warn', detail, remedy });
export const fail = (name: string, detail: string, remedy: string): Check => ({ name, state: 'fail', detail, remedy });
