/** A set of partitions as text: base64 of a bit each, the least significant bit of the first byte for partition 0. */

/** Text of the partitions 0 … partitions − 1 for which `has` holds. */
export function partitionSetText(partitions: number, has: (partition: number) => boolean): string {
  const bits = Buffer.alloc(Math.ceil(partitions / 8));
  for (let partition = 0; partition < partitions; partition += 1) {
    if (has(partition)) bits[partition >> 3] |= 1 << (partition & 7);
  }
  return bits.toString('base64');
}

/** Membership of a set written by partitionSetText; what is no base64, or beyond its end, is not in it. */
export function partitionSetFrom(text: string): (partition: number) => boolean {
  const bits = Buffer.from(text, 'base64');
  return (partition) => ((bits[partition >> 3] ?? 0) & (1 << (partition & 7))) !== 0;
}

/** Members of a set written by partitionSetText. */
export function partitionSetSize(text: string): number {
  let size = 0;
  for (const byte of Buffer.from(text, 'base64')) {
    for (let bits = byte; bits > 0; bits >>= 1) size += bits & 1;
  }
  return size;
}
