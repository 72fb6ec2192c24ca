/**
 * Engines whose libraries or devices are mostly absent. WebGPU is tested on SwiftShader, a Vulkan driver that runs on
 * processors, where there is no GPU.
 */
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Engine } from '../src/engine.ts';
import { openByName } from '../src/open-engine.ts';

export const optionalEngines = [
  'tfjs-node',
  'tfjs-node-gpu',
  'webgpu',
  'onnx-cuda',
  'onnx-tensorrt',
] as const;
export type OptionalEngine = (typeof optionalEngines)[number];

/** Where Debian's chromium-common has SwiftShader; another folder by MILL_TEST_SWIFTSHADER. */
const driver = join(process.env.MILL_TEST_SWIFTSHADER ?? '/usr/lib/chromium', 'vk_swiftshader_icd.json');

/** Rejects with the reason when the engine is not here. */
export async function openOptional(name: OptionalEngine): Promise<Engine> {
  try {
    return await openByName(name);
  } catch (error) {
    const isWithoutGpu = name === 'webgpu' && process.env.VK_ICD_FILENAMES === undefined;
    if (!isWithoutGpu || !existsSync(driver)) throw error;
    process.env.VK_ICD_FILENAMES = driver;
    process.env.XDG_RUNTIME_DIR ??= tmpdir();
    return await openByName(name);
  }
}
