import { expect, it } from 'vitest';
import { checkRelayUrl } from '../../src/relay/pool.js';
import { lookupFor } from '../../src/relay/relay-url.js';

it.each([
  ['wss://relay.example.com', 'wss://relay.example.com'],
  ['wss://Relay.Example.com:443/', 'wss://relay.example.com'],
  ['wss://relay.example.com:8443/path', 'wss://relay.example.com:8443/path'],
  ['wss://8.8.8.8', 'wss://8.8.8.8'],
  ['wss://[2606:4700::1111]', 'wss://[2606:4700::1111]'],
])('takes %s on every network', (url, spelling) => {
  expect(checkRelayUrl(url, 'bitcoin')).toBe(spelling);
  expect(checkRelayUrl(url, 'sandbox')).toBe(spelling);
});

it.each(['ws://127.0.0.1:7447', 'ws://localhost:7447', 'ws://[::1]:7447', 'wss://127.0.0.1:7447', 'ws://0x7f.1:7447'])(
  'takes %s for tests only',
  (url) => {
    for (const network of ['sandbox', 'regtest', 'simnet'] as const) checkRelayUrl(url, network);
    for (const network of ['signet', 'testnet', 'bitcoin'] as const) {
      expect(() => checkRelayUrl(url, network)).toThrowError(expect.objectContaining({ code: 'bad-settings' }));
    }
  },
);

it.each([
  'ws://relay.example.com',
  'http://relay.example.com',
  'relay.example.com',
  '',
  'wss://user:password@relay.example.com',
  'wss://relay.example.com/#x',
  'wss://10.0.0.1',
  'wss://172.16.9.9',
  'wss://192.168.1.1',
  'wss://169.254.169.254',
  'wss://100.64.0.1',
  'wss://0.0.0.0',
  'wss://3232235777',
  'wss://0300.0250.1.1',
  'wss://224.0.0.1',
  'wss://[fd00::1]',
  'wss://[fe80::1]',
  'wss://[::ffff:10.0.0.1]',
  'wss://[::ffff:127.0.0.1]',
  'wss://[64:ff9b::10.0.0.1]',
  'wss://[::]',
  'wss://printer.local',
  'wss://db.internal',
  'wss://intranet',
  'wss://../',
  'wss://relay..example',
  'wss://relay.localhost',
  'ws://10.0.0.1',
  'ws://192.168.1.1',
  `wss://${'x'.repeat(600)}.example`,
])('refuses %s everywhere', (url) => {
  for (const network of ['sandbox', 'bitcoin'] as const) {
    expect(() => checkRelayUrl(url, network)).toThrowError(expect.objectContaining({ code: 'bad-settings' }));
  }
});

it('does not repeat a password in its message', () => {
  let text = '';
  try {
    checkRelayUrl('wss://user:hunter2@relay.example.com', 'bitcoin');
  } catch (error) {
    text = JSON.stringify(error, Object.getOwnPropertyNames(error));
  }
  expect(text).toContain('name or password');
  expect(text).not.toContain('hunter2');
});

it('refuses names that resolve into a private network', async () => {
  const lookup = lookupFor('wss://relay.example.com')!;
  const error = await new Promise((resolve) => lookup('localhost', {}, (reason) => resolve(reason)));
  expect(error).toMatchObject({ message: 'localhost resolves to private addresses only' });
  expect(lookupFor('ws://127.0.0.1:1')).toBeUndefined();
});
