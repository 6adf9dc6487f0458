import fc from 'fast-check';
import { decode as oracle } from 'light-bolt11-decoder';
import { describe, expect, it } from 'vitest';
import { fromHex, hex, sha256Hex, type Sha256 } from '../../src/hash.js';
import { formatAmount, MAX_MSAT, parseAmount } from '../../src/wallet/bolt11-amount.js';
import { decodeInvoice, encodeInvoice, type Bip173Prefix } from '../../src/wallet/bolt11.js';

// Examples of https://github.com/lightning/bolts/blob/master/11-payment-encoding.md; the text after each is its heading.
const nodeSecret = fromHex('e126f68f7eafcc8b74f54d269fe206be715000f94dac067d1c04a8ca3b2db734');
const node = '03e7156ae33b0a208d0744199163177e909e80176e55d97a2f221ede0f934dd9ad';
const paymentHash = '0001020304050607080900010203040506070809000102030405060708090102' as Sha256;
const listHash = sha256Hex(
  'One piece of chocolate cake, one icecream cone, one pickle, one slice of swiss cheese, one slice of salami, one lollypop, one piece of cherry pie, one sausage, one cupcake, and one slice of watermelon',
);
const hashField = 'pp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypq';
const listField = 'hp58yjmdan79s6qqdhdzgynm4zwqd5d7xmw5fk98klysy043l2ahrqs';
const coffeeFields = `${hashField}dq5xysxxatsyp3k7enxv4jsxqzpu`;
const nonsense = `lnbc2500u1pvjluez${hashField}dpquwpc4curk03c9wlrswe78q4eyqc7d8d0xqzpuyk0sg5g70me25alkluzd2x62aysf2pyy8edtjeevuv4p2d5p76r4zkmneet7uvyakky2zr4cusd45tftc9c5fh0nnqpnl2jfll544esqchsrny`;
const coffee = `lnbc2500u1pvjluez${coffeeFields}aztrnwngzn3kdzw5hydlzf03qdgm2hdq27cqv3agm2awhz5se903vruatfhq77w3ls4evs3ch9zw97j25emudupq63nyw24cg27h2rspfj9srp`;
const list = `lnbc20m1pvjluez${hashField}${listField}cc6gd6ql3jrc5yzme8v4ntcewwz5cnw92tz0pc8qcuufvq7khhr8wpald05e92xw006sq94mg8v2ndf4sefvf9sygkshp5zfem29trqq2yxxz7`;
const beansStart = `lnbc25m1pvjluez${hashField}dq5vdhkven9v5sxyetpdeessp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygs9q`;
const beans = `${beansStart}5sqqqqqqqqqqqqqqqpqsq67gye39hfg3zd8rgc80k32tvy9xk2xunwm5lzexnvpx6fd77en8qaq424dxgt56cag2dpt359k3ssyhetktkpqh24jqnjyw6uqd08sgptq44qu`;
const q = (count: number): string => 'q'.repeat(count);

const valid: readonly (readonly [title: string, text: string, fields: object])[] = [
  [
    'a donation of any amount',
    `lnbc1pvjluez${hashField}dpl2pkx2ctnv5sxxmmwwd5kgetjypeh2ursdae8g6twvus8g6rfwvs8qun0dfjkxaq8rkx3yf5tcsyz3d73gafnh3cax9rn449d9p5uxz9ezhhypd0elx87sjle52x86fux2ypatgddc6k63n7erqz25le42c4u4ecky03ylcqca784w`,
    {
      prefix: 'bc',
      msat: null,
      description: 'Please consider supporting this project',
      expirySec: 3600,
      minFinalCltv: 18,
    },
  ],
  ['coffee within a minute', coffee, { msat: 250_000_000n, description: '1 cup coffee', expirySec: 60 }],
  ['a cup of nonsense', nonsense, { msat: 250_000_000n, description: 'ナンセンス 1杯' }],
  ['a hashed list', list, { msat: 2_000_000_000n, descriptionHash: listHash }],
  [
    'testnet with a fallback address',
    `lntb20m1pvjluez${listField}${hashField}fpp3x9et2e20v6pu37c5d9vax37wxq72un98kmzzhznpurw9sgl2v0nklu2g4d0keph5t7tj9tcqd8rexnd07ux4uv2cjvcqwaxgj7v4uwn5wmypjd5n69z2xm3xgksg28nwht7f6zspwp3f9t`,
    { prefix: 'tb', msat: 2_000_000_000n, descriptionHash: listHash },
  ],
  [
    'routing information',
    `lnbc20m1pvjluez${hashField}${listField}fpp3qjmp7lwpagxun9pygexvgpjdc4jdj85fr9yq20q82gphp2nflc7jtzrcazrra7wwgzxqc8u7754cdlpfrmccae92qgzqvzq2ps8pqqqqqqpqqqqq9qqqvpeuqafqxu92d8lr6fvg0r5gv0heeeqgcrqlnm6jhphu9y00rrhy4grqszsvpcgpy9qqqqqqgqqqqq7qqzqj9n4evl6mr5aj9f58zp6fyjzup6ywn3x6sk8akg5v4tgn2q8g4fhx05wf6juaxu9760yp46454gpg5mtzgerlzezqcqvjnhjh8z3g2qqdhhwkj`,
    { msat: 2_000_000_000n },
  ],
  [
    'a script hash',
    `lnbc20m1pvjluez${listField}${hashField}fppj3a24vwu6r8ejrss3axul8rxldph2q7z9kmrgvr7xlaqm47apw3d48zm203kzcq357a4ls9al2ea73r8jcceyjtya6fu5wzzpe50zrge6ulk4nvjcpxlekvmxl6qcs9j3tz0469gq5g658y`,
    { msat: 2_000_000_000n },
  ],
  [
    'a witness key hash',
    `lnbc20m1pvjluez${listField}${hashField}fppqw508d6qejxtdg4y5r3zarvary0c5xw7kepvrhrm9s57hejg0p662ur5j5cr03890fa7k2pypgttmh4897d3raaq85a293e9jpuqwl0rnfuwzam7yr8e690nd2ypcq9hlkdwdvycqa0qza8`,
    { msat: 2_000_000_000n },
  ],
  [
    'a witness script hash',
    `lnbc20m1pvjluez${listField}${hashField}fp4qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q28j0v3rwgy9pvjnd48ee2pl8xrpxysd5g44td63g6xcjcu003j3qe8878hluqlvl3km8rm92f5stamd3jw763n3hck0ct7p8wwj463cql26ava`,
    { msat: 2_000_000_000n },
  ],
  [
    'an amount in pico-bitcoin',
    'lnbc9678785340p1pwmna7lpp5gc3xfm08u9qy06djf8dfflhugl6p7lgza6dsjxq454gxhj9t7a0sd8dgfkx7cmtwd68yetpd5s9xar0wfjn5gpc8qhrsdfq24f5ggrxdaezqsnvda3kkum5wfjkzmfqf3jkgem9wgsyuctwdus9xgrcyqcjcgpzgfskx6eqf9hzqnteypzxz7fzypfhg6trddjhygrcyqezcgpzfysywmm5ypxxjemgw3hxjmn8yptk7untd9hxwg3q2d6xjcmtv4ezq7pqxgsxzmnyyqcjqmt0wfjjq6t5v4khxxqyjw5qcqp2rzjq0gxwkzc8w6323m55m4jyxcjwmy7stt9hwkwe2qxmy8zpsgg7jcuwz87fcqqeuqqqyqqqqlgqqqqn3qq9qn07ytgrxxzad9hc4xt3mawjjt8znfv8xzscs7007v9gh9j569lencxa8xeujzkxs0uamak9aln6ez02uunw6rd2ht2sqe4hz8thcdagpleym0j',
    { msat: 967_878_534n, expirySec: 604_800, minFinalCltv: 10, timestampSec: 1_572_468_703 },
  ],
  ['coffee beans with features 9, 15 and 99', beans, { msat: 2_500_000_000n, paymentSecret: '11'.repeat(32) }],
  ['all upper case', beans.toUpperCase(), { msat: 2_500_000_000n, description: 'coffee beans' }],
  [
    'fields that must be ignored',
    `${beansStart}5sqqqqqqqqqqqqqqqpqsq2qrqqqfppn${q(32)}ppn${q(51)}pp4${q(53)}hpn${q(51)}hp4${q(53)}spn${q(51)}sp4${q(53)}np5${q(52)}npk${q(54)}2jxxfsnucm4jf4zwtznpaxphce606fvhvje5x7d4gw7n73994hgs7nteqvenq8a4ml8aqtchv5d9pf7l558889hp4yyrqv6a7zpq9fgpskqhza`,
    { msat: 2_500_000_000n, paymentSecret: '11'.repeat(32) },
  ],
];

const invalid: readonly (readonly [title: string, text: string, why: RegExp])[] = [
  [
    'an unknown even feature',
    `${beansStart}4psqqqqqqqqqqqqqqqpqsqq40wa3khl49yue3zsgm26jrepqr2eghqlx86rttutve3ugd05em86nsefzh4pfurpd9ek9w2vp95zxqnfe2u7ckudyahsa52q66tgzcp6t2dyk`,
    /unknown feature/,
  ],
  ['a wrong checksum', `${nonsense.slice(0, -1)}t`, /bech32/],
  ['no prefix', nonsense.slice('lnbc2500u1'.length), /bech32|prefix/],
  ['mixed case', `LNBC2500u1${nonsense.slice('lnbc2500u1'.length)}`, /bech32/],
  [
    'a signature that recovers no key',
    `lnbc2500u1pvjluez${coffeeFields}axtrnwngzn3kdzw5hydlzf03qdgm2hdq27cqv3agm2awhz5se903vruatfhq77w3ls4evs3ch9zw97j25emudupq63nyw24cg27h2rspk28uwq`,
    /signature/,
  ],
  [
    'a string that is too short',
    `lnbc1pvjluez${hashField}dpl2pkx2ctnv5sxxmmwwd5kgetjypeh2ursdae8g6na6hlh`,
    /too short/,
  ],
  [
    'an unknown multiplier',
    `lnbc2500x1pvjluez${coffeeFields}jr6jxr9gq9pv6g46y7d20jfkegkg4gljz2ea2a3m9lmvvr95tq2s0kvu70u3axgelz3kyvtp2ywwt0y8hkx2869zq5dll9nelr83zzqqpgl2zg`,
    /amount/,
  ],
  [
    'less than a millisatoshi',
    `lnbc2500000001p1pvjluez${coffeeFields}7hqtk93pkf7sw55rdv4k9z2vj050rxdr6za9ekfs3nlt5lr89jqpdmxsmlj9urqumg0h9wzpqecw7th56tdms40p2ny9q4ddvjsedzcplva53s`,
    /amount/,
  ],
];

const hashes = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => hex(bytes) as Sha256);
const prefixes = fc.constantFrom<Bip173Prefix>('bc', 'tb', 'tbs', 'bcrt', 'sb');
const invoices = fc.record({
  prefix: prefixes,
  msat: fc.bigInt({ min: 1n, max: MAX_MSAT }),
  timestampSec: fc.nat(),
  paymentHash: hashes,
  paymentSecret: hashes,
  descriptionHash: hashes,
  expirySec: fc.integer({ min: 1, max: 10_000_000 }),
  minFinalCltv: fc.integer({ min: 1, max: 2016 }),
});

describe('decodeInvoice', () => {
  it.each(valid)('reads %s of the specification', (_title, text, fields) => {
    expect(decodeInvoice(text)).toMatchObject(fields);
  });

  it('finds the payee of the examples by their signature', () => {
    for (const [, text] of valid.filter(([title]) => !title.includes('pico'))) {
      expect(decodeInvoice(text)).toMatchObject({ payee: node, paymentHash });
    }
  });

  it.each(invalid)('refuses %s of the specification', (_title, text, why) => {
    expect(() => decodeInvoice(text)).toThrowError(
      expect.objectContaining({ code: 'bad-invoice', message: expect.stringMatching(why) }),
    );
  });

  it('refuses 7,090 characters before decoding them', () => {
    expect(() => decodeInvoice('lnbc1'.padEnd(7090, 'q'))).toThrow(/too long/);
  });

  it('throws only bad-invoice, whatever it reads', () => {
    const changed = fc
      .tuple(fc.nat(coffee.length - 1), fc.constantFrom(...'qpzry9x8gf2tvdw0s3jn54khce6mua7l1'))
      .map(([at, letter]) => coffee.slice(0, at) + letter + coffee.slice(at + 1));
    fc.assert(
      fc.property(fc.oneof(fc.string(), changed), (text) => {
        if (text === coffee) return;
        expect(() => decodeInvoice(text)).toThrowError(expect.objectContaining({ code: 'bad-invoice' }));
      }),
    );
  });
});

describe('encodeInvoice', () => {
  const common = { prefix: 'bc', timestampSec: 1_496_314_658, paymentHash } as const;

  it('writes the examples of the specification to the byte', () => {
    expect(
      encodeInvoice({ ...common, msat: 250_000_000n, description: '1 cup coffee', expirySec: 60 }, nodeSecret),
    ).toBe(coffee);
    expect(
      encodeInvoice({ ...common, msat: 250_000_000n, description: 'ナンセンス 1杯', expirySec: 60 }, nodeSecret),
    ).toBe(nonsense);
    expect(encodeInvoice({ ...common, msat: 2_000_000_000n, descriptionHash: listHash }, nodeSecret)).toBe(list);
  });

  it('is read back unchanged', () => {
    fc.assert(
      fc.property(invoices, (fields) => {
        expect(decodeInvoice(encodeInvoice(fields, nodeSecret))).toEqual({ ...fields, payee: node });
      }),
    );
  });

  it('is read alike by light-bolt11-decoder', () => {
    const others = invoices.filter(({ prefix }) => prefix !== 'sb');
    fc.assert(
      fc.property(others, (fields) => {
        const sections = oracle(encodeInvoice(fields, nodeSecret)).sections as { name: string; value?: unknown }[];
        const value = (name: string): unknown => sections.find((section) => section.name === name)?.value;
        expect(value('amount')).toBe(String(fields.msat));
        expect(value('timestamp')).toBe(fields.timestampSec);
        expect(value('payment_hash')).toBe(fields.paymentHash);
        expect(value('payment_secret')).toBe(fields.paymentSecret);
        expect(value('description_hash')).toBe(fields.descriptionHash);
        expect(value('expiry')).toBe(fields.expirySec);
        expect(value('min_final_cltv_expiry')).toBe(fields.minFinalCltv);
      }),
      { numRuns: 50 },
    );
  });
});

describe('amounts', () => {
  it('are written as short as possible', () => {
    expect(formatAmount(100_000_000_000n)).toBe('1');
    expect(formatAmount(2_000_000_000n)).toBe('20m');
    expect(formatAmount(1_000n)).toBe('10n');
    expect(formatAmount(1n)).toBe('10p');
  });

  it.each(['0', '01', '1p', '1.5m', '-1', '99999999999999999999', ''])('are refused as %j', (text) => {
    expect(() => parseAmount(text)).toThrowError(expect.objectContaining({ code: 'bad-invoice' }));
  });
});
