/** Bytes of JSON that have a meaning. */
export const quote = 0x22;
export const comma = 0x2c;
export const minus = 0x2d;
export const point = 0x2e;
export const zero = 0x30;
export const nine = 0x39;
export const colon = 0x3a;
export const listBegin = 0x5b;
export const backslash = 0x5c;
export const listEnd = 0x5d;
export const begin = 0x7b;
export const end = 0x7d;
export const space = 0x20;
