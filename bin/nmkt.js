#!/usr/bin/env node
import { existsSync } from 'node:fs';

const cli = new URL('../dist/cli.js', import.meta.url);
if (existsSync(cli)) {
  const { main } = await import(cli.href);
  await main(process.argv.slice(2));
} else {
  process.stderr.write('error: nmkt is not built yet\n  try:  npm run build\n  code: bad-usage\n');
  process.exitCode = 2;
}
