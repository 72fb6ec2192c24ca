/** Small builders for a JSON Schema, so that each property states its type, its bounds and its sentence, and no more. */

/** A JSON Schema node (draft-07). */
export type Schema = { readonly [keyword: string]: unknown };

/**
 * An object that allows exactly the properties of `T`; the compiler refuses a missing or a surplus one, so the schema
 * cannot fall behind the type.
 */
export function closed<T>(
  description: string,
  properties: Readonly<Record<keyof Required<T>, Schema>>,
  required: readonly (keyof T & string)[],
): Schema {
  return { type: 'object', description, properties, required, additionalProperties: false };
}

export function text(description: string, bounds: Schema = {}): Schema {
  return { type: 'string', description, ...bounds };
}

export function number(description: string, bounds: Schema = {}): Schema {
  return { type: 'number', description, ...bounds };
}

export function integer(description: string, minimum: number, maximum: number): Schema {
  return { type: 'integer', description, minimum, maximum };
}

export function flag(description: string): Schema {
  return { type: 'boolean', description };
}

export function list(description: string, items: Schema, bounds: Schema = {}): Schema {
  return { type: 'array', description, items, ...bounds };
}

/** One of several texts. */
export function choice(description: string, values: readonly string[]): Schema {
  return { type: 'string', description, enum: values };
}

/** The `type` that tells the members of a union apart. */
export function tag(value: string, description: string): Schema {
  return { type: 'string', description, const: value };
}

/** A reference with a sentence of its own. `allOf` keeps it legal: draft-07 ignores whatever stands beside a `$ref`. */
export function reference(definition: string, description: string): Schema {
  return { description, allOf: [{ $ref: `#/definitions/${definition}` }] };
}

/** An object that is one of several closed ones, told apart by their `type`. */
export function union(description: string, members: readonly Schema[]): Schema {
  return { type: 'object', description, required: ['type'], oneOf: members };
}
