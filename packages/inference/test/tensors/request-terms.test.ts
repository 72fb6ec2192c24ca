import { createManualClock } from '@millrace/runtime';
import { describe, expect, it } from 'vitest';
import { infer } from '../../src/tensors/infer.ts';
import { termsFrom } from '../../src/tensors/request-terms.ts';
import { tensorHead, tensorOf } from '../../src/tensors/tensor.ts';
import { answerTo, stubService } from '../http/stub-service.ts';

const termsOf = (parameters: Record<string, unknown>, caller = { gone: false }) =>
  termsFrom(parameters, caller, createManualClock(0));

describe('terms of a request', () => {
  it('are those of its call where it says nothing', () => {
    const caller = { gone: false, priority: 'low' as const };
    for (const parameters of [{}, { priority: 0 }, { timeout: 0, log: true }])
      expect(termsFrom(parameters, caller, createManualClock(0))).toEqual({ caller, timeoutMs: null });
    expect(termsFrom({}, undefined, createManualClock(0)).caller).toBeUndefined();
  });

  it.each([
    [1, 'high'],
    [2, 'normal'],
    [3, 'low'],
    [9, 'low'],
  ])('priority %i is %s, whatever the call says', (priority, named) => {
    const caller = { gone: false, priority: 'normal' as const };
    expect(termsFrom({ priority }, caller, createManualClock(0)).caller?.priority).toBe(named);
    expect(termsFrom({ priority }, undefined, createManualClock(0)).caller?.priority).toBe(named);
  });

  it('keep the priority of the call where only a timeout is given', () => {
    const { caller } = termsFrom({ timeout: 1_000 }, { gone: false, priority: 'high' }, createManualClock(0));
    expect(caller?.priority).toBe('high');
  });

  it('have a caller gone once the time is up, or where he has gone by himself', async () => {
    const clock = createManualClock(0);
    const call = { gone: false };
    const { caller, timeoutMs } = termsFrom({ timeout: 20_500 }, call, clock);
    expect(timeoutMs).toBe(20.5);
    await clock.advanceTo(20);
    expect(caller?.gone).toBe(false);
    await clock.advanceTo(21);
    expect(caller?.gone).toBe(true);
    const other = termsFrom({ timeout: 20_500 }, call, clock).caller;
    call.gone = true;
    expect(other?.gone).toBe(true);
  });

  it.each([
    [{ timeout: -1 }, 'parameters.timeout: wanted whole microseconds, found -1'],
    [{ timeout: 0.5 }, 'parameters.timeout: wanted whole microseconds, found 0.5'],
    [{ timeout: '50ms' }, 'parameters.timeout: wanted whole microseconds, found the text "50ms"'],
    [
      { priority: 'high' },
      'parameters.priority: wanted a whole number, 1 for the most urgent, found the text "high"',
    ],
    [{ priority: true }, 'parameters.priority: wanted a whole number'],
  ])('%j is refused', (parameters, message) => {
    expect(() => termsOf(parameters)).toThrow(message);
  });

  it('a request whose time is up before its scores are there is told so', async () => {
    const service = stubService({ score: () => new Promise(() => undefined) });
    const inputs = [tensorOf(tensorHead('item', 'BYTES', [1]), ['a'])];
    const request = { model: 'demo', version: '', id: '', inputs, outputs: [] };
    await expect(infer(service, { ...request, parameters: { timeout: 1_000 } })).rejects.toMatchObject({
      code: 'MILL_TIMEOUT',
    });
  });

  it('reach the core', async () => {
    const asked: unknown[] = [];
    const service = stubService({
      score: async (request, caller) => {
        asked.push(caller?.priority);
        return answerTo(request);
      },
    });
    const inputs = [tensorOf(tensorHead('item', 'BYTES', [1]), ['a'])];
    const request = { model: 'demo', version: '', id: '', inputs, outputs: [] };
    await infer(service, { ...request, parameters: { priority: 3, timeout: 10_000_000 } });
    expect(asked).toEqual(['low']);
  });
});
