import { readFileSync } from 'node:fs';
import { Ajv } from 'ajv';
import { expect, test } from 'vitest';
import { modelSchema } from '../src/model-schema.ts';
import { exampleModel } from './example-model.ts';

const published = new URL('../../../docs/model.schema.json', import.meta.url);

test('model schema: docs/model.schema.json says the same (mend it with npm run docs)', () => {
  expect(JSON.parse(readFileSync(published, 'utf8'))).toEqual(JSON.parse(JSON.stringify(modelSchema)));
});

test('model schema: is a schema that a plain validator takes, and takes a file with every property', () => {
  const validate = new Ajv({ strict: true, strictTypes: false }).compile(modelSchema);
  expect(validate(exampleModel()), JSON.stringify(validate.errors)).toBe(true);
  expect(validate({ ...exampleModel(), surplus: 1 })).toBe(false);
});

test('model schema: every object is closed and every property has a description', () => {
  const faults: string[] = [];
  let objects = 0;
  visit(modelSchema, 'schema', (node, path) => {
    const { properties } = node as { properties?: Record<string, { description?: string }> };
    if (properties === undefined) return;
    objects += 1;
    if (node.additionalProperties !== false) faults.push(`${path} is open`);
    for (const [name, property] of Object.entries(properties)) {
      if (property.description === undefined) faults.push(`${path}.${name} has no description`);
    }
  });
  expect(faults).toEqual([]);
  expect(objects).toBeGreaterThan(20);
});

function visit(
  node: unknown,
  path: string,
  see: (node: Record<string, unknown>, path: string) => void,
): void {
  if (typeof node !== 'object' || node === null) return;
  see(node as Record<string, unknown>, path);
  for (const [name, child] of Object.entries(node)) visit(child, `${path}.${name}`, see);
}
