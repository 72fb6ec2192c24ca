/** From here on half a unit in the twelfth decimal is less than half of a float32's last bit. */
const scoreMin = 2 ** -15;
const scale = 1e12;

/**
 * A score as answers have it: a float32 with twelve decimals, which Math.fround takes back to the bit. Below 2^−15 it stays as it
 * is. The shortest text of a double is dear to find, and a float32 in a double has seventeen digits, of which ten mean nothing.
 */
export function answeredScore(score: number): number {
  return score >= scoreMin ? Math.round(score * scale) / scale : score;
}

export function answeredScores(scores: Float32Array): number[] {
  const count = scores.length;
  const answered = new Array<number>(count);
  for (let i = 0; i < count; i += 1) answered[i] = answeredScore(scores[i]);
  return answered;
}
