/**
 * A WebGPU device for Node, from Dawn (package `webgpu`, an optional peer of 51 MB with a binary for each platform). One is
 * shared by all engines of the process, and given back with the last of them: while it is open the process does not end.
 */

/** What the browser API's objects have that is used here. */
interface Adapter {
  readonly info: AdapterInfo;
  readonly features: ReadonlySet<string>;
  readonly limits: Readonly<Record<string, number>>;
  requestDevice(options: {
    readonly requiredFeatures: readonly string[];
    readonly requiredLimits: Readonly<Record<string, number>>;
  }): Promise<{ destroy(): void }>;
}

interface AdapterInfo {
  readonly vendor: string;
  readonly architecture: string;
  readonly device: string;
  readonly description: string;
  readonly isFallbackAdapter: boolean;
}

interface Gpu {
  requestAdapter(options: { readonly powerPreference: string }): Promise<Adapter | null>;
}

interface Dawn {
  create(options: readonly string[]): Gpu;
  readonly globals: Readonly<Record<string, unknown>>;
}

export interface WebgpuDevice {
  /** The browser API's entry, `navigator.gpu`. */
  readonly gpu: unknown;
  readonly device: unknown;
  readonly info: unknown;
  /** As its driver calls it. */
  readonly name: string;
  /** A processor plays the GPU: right, and slower than any other engine. */
  readonly isSoftware: boolean;
  destroy(): void;
}

/** What TensorFlow.js' backend wants more of than every device has, as its own opening of a device asks. */
const limits = [
  'maxComputeWorkgroupStorageSize',
  'maxComputeWorkgroupsPerDimension',
  'maxStorageBufferBindingSize',
  'maxBufferSize',
  'maxComputeWorkgroupSizeX',
  'maxComputeInvocationsPerWorkgroup',
] as const;

/** Rejects with the reason where Dawn is not installed or finds no adapter. */
export async function openWebgpuDevice(): Promise<WebgpuDevice> {
  const { create, globals } = await importOptional<Dawn>('webgpu');
  // Constants and classes that browsers have; the backend reads them whenever it works.
  Object.assign(globalThis, globals);
  const gpu = create([]);
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (adapter === null) throw new Error('it finds no adapter: no GPU, or no Vulkan driver for it');
  const { info } = adapter;
  const device = await adapter.requestDevice({
    requiredFeatures: ['timestamp-query'].filter((feature) => adapter.features.has(feature)),
    requiredLimits: Object.fromEntries(limits.map((name) => [name, adapter.limits[name]])),
  });
  return {
    gpu,
    device,
    info,
    name: [info.vendor, info.device || info.architecture, info.description]
      .filter((part) => part !== '')
      .join(' '),
    isSoftware: info.isFallbackAdapter,
    destroy: () => device.destroy(),
  };
}

/** Imports a package that may be absent. Its name is no literal, so that the compiler does not look for it. */
export async function importOptional<T>(specifier: string): Promise<T> {
  const module = (await import(specifier).catch((error: unknown) => {
    const isAbsent = (error as { readonly code?: unknown }).code === 'ERR_MODULE_NOT_FOUND';
    throw isAbsent ? new Error(`package ${specifier} is not installed`, { cause: error }) : error;
  })) as T & { readonly default?: T };
  return module.default ?? module;
}
