/** A scoring service that is not ready before all ports of its node listen: whoever asks one port may call another next. */
import type { ScoringService } from './scoring-service.ts';

export interface HeldService {
  readonly service: ScoringService;
  /** All ports listen: from now on it is ready when the service is. */
  listening(): void;
}

export function untilListening(service: ScoringService): HeldService {
  let isListening = false;
  const ready = { get: () => isListening && service.ready };
  return {
    service: Object.create(service, { ready }) as ScoringService,
    listening() {
      isListening = true;
    },
  };
}
