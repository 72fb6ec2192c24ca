/** @returns what an option says, `otherwise` without it. @throws TypeError unless that is a whole number from `least`. */
export function wholeNumber(text: string | undefined, otherwise: number, least = 1): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (!Number.isInteger(value) || value < least)
    throw new TypeError(`wanted a whole number from ${least}, found ${text}`);
  return value;
}
