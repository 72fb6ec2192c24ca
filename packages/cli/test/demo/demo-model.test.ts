import { readFile } from 'node:fs/promises';
import { parseModelFile } from '@millrace/model';
import { createTraffic } from '@millrace/traffic';
import { expect, test } from 'vitest';

const path = new URL('../../../../examples/demo.json', import.meta.url);

test('demo-model: the file obeys the rules of model files', async () => {
  const model = parseModelFile(JSON.parse(await readFile(path, 'utf8')));
  expect(model.name).toBe('demo');
  expect(model.partitions).toBe(16);
});

test('demo-model: every field is in the requests of the traffic, in its scope, and no feature is left out', async () => {
  const model = parseModelFile(JSON.parse(await readFile(path, 'utf8')));
  const { request } = createTraffic({ seed: 1 }).next();
  const namesOf = (scope: string) =>
    model.fields.filter((field) => (field.scope ?? 'context') === scope).map((field) => field.name);
  expect(namesOf('user').sort()).toEqual(Object.keys(request.user).sort());
  expect(namesOf('context').sort()).toEqual(Object.keys(request.context).sort());
  expect(namesOf('item').sort()).toEqual(Object.keys(request.items[0]).sort());
});
