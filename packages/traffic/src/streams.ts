/** Every use of randomness in the demo's traffic, so that no two share their numbers. */
export const streams = {
  visits: 1,
  exposures: 2,
  user: 3,
  taste: 4,
  item: 5,
  price: 6,
  character: 7,
  categoryCharacter: 8,
  quality: 9,
  qualityDrift: 10,
  situation: 11,
  clicks: 12,
  clickDelays: 13,
  effects: 100,
} as const;
