/** The shortest decimals that give a float32 back, sign of zero and all: nine digits always do. */
export function floatText(value: number): string {
  return Object.is(value, -0) ? '-0' : String(Number(value.toPrecision(9)));
}

/** A uint64 key in decimal digits. */
export function keyText(low: number, high: number): string {
  return ((BigInt(high) << 32n) | BigInt(low)).toString();
}

/** Words of a key, null when the text is no uint64. */
export function keyFrom(text: string): readonly [low: number, high: number] | null {
  if (!/^\d{1,20}$/.test(text)) return null;
  const key = BigInt(text);
  return key >> 64n === 0n ? [Number(key & 0xffff_ffffn), Number(key >> 32n)] : null;
}
