/** SwiftShader, a Vulkan driver that runs on processors: WebGPU is tested on it where there is no GPU. */
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Engine } from '../src/engine.ts';
import { openByName } from '../src/open-engine.ts';

/** Where Debian's chromium-common has it; another folder by MILL_TEST_SWIFTSHADER. */
const folder = process.env.MILL_TEST_SWIFTSHADER ?? '/usr/lib/chromium';
const driver = join(folder, 'vk_swiftshader_icd.json');

/** On a GPU where there is one, else on SwiftShader where that is; rejects with the reason when on neither. */
export async function openWebgpuSomewhere(): Promise<Engine> {
  try {
    return await openByName('webgpu');
  } catch (error) {
    if (process.env.VK_ICD_FILENAMES !== undefined || !existsSync(driver)) throw error;
    process.env.VK_ICD_FILENAMES = driver;
    process.env.XDG_RUNTIME_DIR ??= tmpdir();
    return await openByName('webgpu');
  }
}
