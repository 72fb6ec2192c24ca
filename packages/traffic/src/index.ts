export { uniformAt } from './counter-random.ts';
export {
  createTraffic,
  type DemoClick,
  type DemoRequest,
  type Impression,
  type Traffic,
  type TrafficOptions,
} from './traffic.ts';
