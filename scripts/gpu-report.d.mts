export interface GpuOutcome {
  readonly name: string;
  readonly device?: string;
  readonly isSoftware?: boolean;
  readonly passed?: boolean;
  readonly reason?: string;
}
export function gpuReport(outcomes: readonly GpuOutcome[]): {
  readonly lines: readonly string[];
  readonly exitCode: 0 | 1;
};
