import { describe, expect, it } from 'vitest';
import { formatWalletUri, parseWalletUri, redact } from '../../src/wallet/wallet-uri.js';

const pubkey = 'b889ff5b1513b641e2a139f661a661364979c5beee91842f8f0ef42ab558e9d4';
const secret = '71a8c14c1407c113601079c4302dab36460f0ccd0ad506f1f2dc73b5100e4f3c';
// The example of https://github.com/nostr-protocol/nips/blob/master/47.md
const example = `nostr+walletconnect://${pubkey}?relay=wss%3A%2F%2Frelay.damus.io&secret=${secret}`;

describe('parseWalletUri', () => {
  it('reads the example of NIP-47 and writes it back', () => {
    const uri = parseWalletUri(example);
    expect(uri).toEqual({ walletPubkey: pubkey, relays: ['wss://relay.damus.io'], secret });
    expect(formatWalletUri(uri)).toBe(example);
  });

  it('keeps several relays and ignores what it does not know', () => {
    const uri = parseWalletUri(`${example}&relay=ws://127.0.0.1:7447&lud16=a@b.c`);
    expect(uri.relays).toEqual(['wss://relay.damus.io', 'ws://127.0.0.1:7447']);
  });

  it.each([
    ['another scheme', example.replace('nostr+walletconnect', 'https')],
    ['a short public key', example.replace(pubkey, pubkey.slice(1))],
    ['no relay', example.replace(/relay=[^&]*&/, '')],
    ['a relay over http', example.replace('wss', 'http')],
    ['a relay with a password', example.replace('relay.damus.io', 'user:pass@relay.damus.io')],
    ['no secret', example.replace(/&secret=.*/, '')],
    ['two secrets', `${example}&secret=${secret}`],
    ['a short secret', example.slice(0, -1)],
    ['a secret that is no key', example.replace(secret, '0'.repeat(64))],
    ['letters of another alphabet', example.replace('relay.', 'relаy.')],
    ['5,000 characters', example.padEnd(5_000, 'x')],
  ])('refuses %s without repeating the secret', (_name, text) => {
    const error = (() => {
      try {
        return parseWalletUri(text);
      } catch (thrown) {
        return thrown as Error;
      }
    })();
    expect(error).toMatchObject({ code: 'bad-settings' });
    expect(JSON.stringify(error) + String((error as Error).stack)).not.toContain(secret.slice(0, 16));
  });
});

describe('redact', () => {
  it.each([
    `cannot use ${example} here`,
    `secret=${secret}`,
    `{"preimage":"${secret}"}`,
    `nsec1${'q'.repeat(58)}`,
    'cashuAeyJ0b2tlbiI6W3sicHJvb2ZzIjpbXX1dfQ',
  ])('takes the secret out of %j', (text) => {
    const clean = redact(text);
    expect(clean).toContain('[redacted]');
    expect(clean).not.toContain(secret);
    expect(clean).not.toMatch(/q{20}|eyJ0b2/);
  });

  it('takes a known secret out even when it stands alone, and leaves ids', () => {
    expect(redact(`boom ${secret}`, [secret])).toBe('boom [redacted]');
    expect(redact(`event ${pubkey}`)).toBe(`event ${pubkey}`);
  });
});
