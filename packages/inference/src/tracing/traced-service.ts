/** A scoring service whose scores and ranks are spans of those who ask; the rest is the service's own. */
import type { Caller, RankAsked, ScoreAsked, ScoringService } from '../scoring-service.ts';

/** What the answers to both have. */
interface Answered {
  readonly requestId: string;
  readonly model: string;
  readonly version: number;
  readonly degraded: boolean;
  readonly engine: string;
}

type Work<Request, Answer> = (request: Request, caller?: Caller) => Promise<Answer>;

export function tracedService(service: ScoringService): ScoringService {
  return Object.assign(Object.create(service) as ScoringService, {
    score: traced('score', service.score),
    rank: traced('rank', service.rank),
  });
}

function traced<Request extends ScoreAsked | RankAsked, Answer extends Answered>(
  name: string,
  work: Work<Request, Answer>,
): Work<Request, Answer> {
  return async (request, caller) => {
    const span = caller?.span?.child(name, { 'millrace.items': request.items.length });
    if (caller === undefined || span === undefined) return work(request, caller);
    const inner: Caller = {
      get gone() {
        return caller.gone;
      },
      span,
      ...(caller.priority && { priority: caller.priority }),
    };
    try {
      const answer = await work(request, inner);
      span.note({
        'millrace.request_id': answer.requestId,
        'millrace.model': answer.model,
        'millrace.version': answer.version,
        'millrace.degraded': answer.degraded,
        'millrace.engine': answer.engine,
      });
      span.end();
      return answer;
    } catch (error) {
      span.end(error);
      throw error;
    }
  };
}
