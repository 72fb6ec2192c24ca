/** The compose files on a real engine, one after the other: each keeps it busy, and simulations run beside (vitest.config.ts). */
import './one-host.ts';
import './cluster.ts';
