/** The compose files on a real engine, one after the other: each keeps it busy. */
import './one-host.ts';
import './cluster.ts';
