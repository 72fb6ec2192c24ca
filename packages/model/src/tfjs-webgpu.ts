/** TensorFlow.js on WebGPU: its backend is made for browsers, so what it looks for there is put in place for it. */
import type { KernelBackend } from '@tensorflow/tfjs-core';
import type { TfjsBackend } from './tfjs-engine.ts';
import type { Tf } from './tfjs-part.ts';
import { importOptional, openWebgpuDevice, type WebgpuDevice } from './webgpu-device.ts';

interface BackendPackage {
  readonly WebGPUBackend: new (device: unknown, info: unknown) => KernelBackend;
}

interface Opened {
  readonly tf: Tf;
  readonly device: WebgpuDevice;
}

const backendName = 'webgpu';
const packageName = '@tensorflow/tfjs-backend-webgpu';

/** The device in use, and by how many engines. */
let opened: Promise<Opened> | null = null;
let users = 0;

/** Rejects with the reason where a package is not installed or no adapter is found. */
export async function openWebgpu(): Promise<TfjsBackend> {
  opened ??= register();
  const mine = opened;
  users += 1;
  let isReleased = false;
  const release = () => {
    if (isReleased) return;
    isReleased = true;
    users -= 1;
    if (users === 0) close(mine);
  };
  try {
    const { tf, device } = await mine;
    if (!(await tf.setBackend(backendName))) throw new Error('TensorFlow.js could not use the device');
    const { name, isSoftware } = device;
    return { name: 'webgpu', tf, backendName, reads: 'later', device: { name, isSoftware }, release };
  } catch (error) {
    release();
    throw error;
  }
}

async function register(): Promise<Opened> {
  const tf = await import('@tensorflow/tfjs-core');
  const device = await openWebgpuDevice();
  try {
    await withNavigator(device.gpu, async () => {
      const { WebGPUBackend } = await importOptional<BackendPackage>(packageName);
      // Small tensors would be computed by the CPU backend, and by the GPU in a batch that is larger.
      tf.env().set('WEBGPU_CPU_FORWARD', false);
      if (tf.findBackendFactory(backendName) !== null) tf.removeBackend(backendName);
      const backend = new WebGPUBackend(device.device, device.info);
      tf.registerBackend(backendName, () => backend);
    });
  } catch (error) {
    device.destroy();
    throw error;
  }
  return { tf, device };
}

function close(mine: Promise<Opened>): void {
  opened = null;
  // Who failed to open has nothing to close, and has told its caller.
  mine.then(
    ({ tf, device }) => {
      if (tf.findBackendFactory(backendName) !== null) tf.removeBackend(backendName);
      device.destroy();
    },
    () => {},
  );
}

/** The backend asks for `navigator.gpu` when it is loaded and made. It is not left there: other libraries would see a browser. */
async function withNavigator(gpu: unknown, action: () => Promise<void>): Promise<void> {
  const before = Object.getOwnPropertyDescriptor(globalThis, 'navigator');
  Object.defineProperty(globalThis, 'navigator', { value: { gpu, userAgent: '' }, configurable: true });
  try {
    await action();
  } finally {
    if (before === undefined) Reflect.deleteProperty(globalThis, 'navigator');
    else Object.defineProperty(globalThis, 'navigator', before);
  }
}
