/**
 * How a step weighs an example by the model's own prediction p = σ(z) at the weights of the step, taken as a constant:
 *   none            1
 *   fake-negative   1 − p²   a negative that may turn out to be a late positive
 *   late-positive   1 + p    the positive that it turned out to be
 * Source: Ktena et al., arXiv 1907.06558, section 3.3 (fake negative weighted).
 */
export type Weighting = 'none' | 'fake-negative' | 'late-positive';
