/** A world without harm, for tests of its parts. */
import { randomFrom } from '../../src/simulation/random.ts';
import { createSimulatedProcess, type SimulatedProcess } from '../../src/simulation/simulated-process.ts';
import type { Weather } from '../../src/simulation/weather.ts';
import { createWorld, type World } from '../../src/simulation/world.ts';

export function smallWorld(seed = 1): World {
  return createWorld(randomFrom(seed));
}

export function fairWeather(changes: Partial<Weather> = {}): Weather {
  return {
    natsDelayMs: 5,
    netDelayMs: 5,
    diskDelayMs: 5,
    slowMs: 0,
    slowChance: 0,
    refused: 0,
    unanswered: 0,
    dies: 0,
    noticeLost: 0,
    skipped: 0,
    repeated: 0,
    forgetsIds: false,
    broken: 0,
    storeFails: 0,
    staleListing: 0,
    absenceMsMax: 1_000,
    kinds: new Set(),
    ...changes,
  };
}

export function smallProcess(world: World, name: string): SimulatedProcess {
  return createSimulatedProcess({ name, world, clockRate: 1 });
}
