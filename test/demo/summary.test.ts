import { describe, expect, it } from 'vitest';
import { summaryText, type DemoResult } from '../../src/demo/summary.js';

const result: DemoResult = {
  ...{ model: 'mlp', accuracy: 0.9876, accuracyByRound: [0.91, 0.95, 0.97], chance: 0.1 },
  ...{ initialAccuracy: 0.098, soloAccuracy: 0.951, totalRounds: 3, rounds: 3 },
  trainers: [
    { name: 'trainer 1', pubkey: 'ab'.repeat(32), rounds: 3, paidMsat: 900_000n, rejections: [] },
    {
      ...{ name: 'trainer 2', pubkey: 'cd'.repeat(32), rounds: 2, paidMsat: 600_000n },
      rejections: [{ round: 0, rule: 'not-on-assigned-shard', detail: 'E is -12 ppm' }],
    },
  ],
  validators: [],
  ...{ paidMsat: 1_500_000n, receivedMsat: 1_500_000n, invoices: 5, falseReceipts: 0 },
  spot: { updates: 6, repeated: 4, forged: 0 },
  ...{ audit: 'PASS', finding: null, modelDir: 'nmkt-demo-model', wallSeconds: 18.4 },
};

describe('the summary', () => {
  it('puts the market beside chance, the initial model and one trainer alone', () => {
    const text = summaryText(result);
    expect(text).toContain('2 trainers sold 3 rounds of training');
    for (const line of [/guessing +10\.0 %/, /before training +9\.8 %/, /alone.* 95\.1 %/, /3 rounds +98\.8 %/])
      expect(text).toMatch(line);
  });

  it('says who was paid what and that the sums agree', () => {
    const text = summaryText(result);
    expect(text).toMatch(/trainer 1 \(abababab\) +3 of 3 +900/);
    expect(text).toMatch(/together +1500/);
    expect(text).toContain('5 Lightning invoices; every preimage matches its hash.');
    expect(summaryText({ ...result, receivedMsat: 1_200_000n })).toContain('wallets confirm 1200 sat only');
    expect(summaryText({ ...result, falseReceipts: 1 })).toContain('WRONG preimage');
  });

  it('counts what validators did and were paid', () => {
    const judge = (number: number, rounds: number) => ({
      ...{ name: `validator ${number}`, pubkey: '5a'.repeat(32), rounds, paidMsat: 20_000n * BigInt(rounds) },
    });
    const text = summaryText({ ...result, validators: [judge(1, 3), judge(2, 2)] });
    expect(text).toContain('2 validators scored the updates (5 of 6 sheets);');
    expect(text).toMatch(/validator 2 \(5a5a5a5a\) +2 of 3 +40/);
    expect(text).toContain('Their own wallets confirm the same sum.');
    expect(summaryText(result)).not.toContain('validator');
  });

  it('names every rejection with its rule', () => {
    expect(summaryText(result)).toContain('trainer 2, round 1: not-on-assigned-shard (E is -12 ppm)');
  });

  it('says how many updates were trained again in part, and what came out', () => {
    expect(summaryText(result)).toContain(
      'Spot checks: 4 of 6 updates, drawn by lot, trained\nagain in part: equal to the last bit.',
    );
    const forged = summaryText({ ...result, spot: { updates: 6, repeated: 4, forged: 1 } });
    expect(forged).toContain('again in part: 1 ended elsewhere, so FORGED.');
    expect(summaryText({ ...result, spot: { updates: 6, repeated: 0, forged: 0 } })).not.toContain('Spot checks');
  });

  it('says which event does not follow when the audit fails', () => {
    const text = summaryText({ ...result, audit: 'FAIL', finding: 'event ab: aggregate: other bytes' });
    expect(text).toContain('Audit: FAIL. event ab: aggregate: other bytes');
    expect(text).not.toContain('PASS');
  });

  it('fits in 60 columns and plots no single point', () => {
    const short = summaryText({ ...result, rounds: 1, totalRounds: 1, accuracyByRound: [0.9] });
    expect(short).toContain('sold 1 round of training');
    expect(short).not.toContain('Accuracy after each round');
    for (const line of summaryText(result).split('\n')) expect(line.length).toBeLessThanOrEqual(60);
  });
});
