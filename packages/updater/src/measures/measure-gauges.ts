/** Measures as Prometheus gauges, by model, arm and window. */
import { type Measures, type MeasureWindow, measureWindows, type Quality } from '@millrace/protocol';
import type { Metrics } from '@millrace/runtime';

export interface MeasureGauges {
  show(measures: Measures): void;
}

const figures: readonly { readonly figure: keyof Quality; readonly name: string; readonly help: string }[] = [
  { figure: 'count', name: 'mill_quality_examples', help: 'Weight of judged examples.' },
  { figure: 'positives', name: 'mill_quality_positives', help: 'Weight of positives among them.' },
  {
    figure: 'auc',
    name: 'mill_quality_auc',
    help: 'Progressive AUC: scores judged before they were learned from.',
  },
  { figure: 'logloss', name: 'mill_quality_logloss_nats', help: 'Progressive mean logloss.' },
  {
    figure: 'normalizedEntropy',
    name: 'mill_quality_normalized_entropy',
    help: 'Logloss over that of the mean label.',
  },
  { figure: 'calibration', name: 'mill_quality_calibration', help: 'Predicted over observed positives.' },
];

export function createMeasureGauges(metrics: Metrics): MeasureGauges {
  const quality = figures.map((entry) => ({
    ...entry,
    gauge: metrics.gauge({ ...entry, labels: ['model', 'arm', 'window'] }),
  }));
  const byField = (name: string, help: string) => metrics.gauge({ name, help, labels: ['model', 'field'] });
  const coverage = byField('mill_field_coverage', 'Share of examples of the last hour with a value.');
  const newKeys = byField('mill_field_new_keys', 'Share of values of the last hour not seen before.');
  const drift = byField(
    'mill_field_drift',
    'Population stability index, last hour against before; field scores: of the scores.',
  );
  const norms = metrics.gauge({
    name: 'mill_gradient_norm',
    help: 'Root mean square of gradient norms over the last minute.',
    labels: ['model', 'part'],
  });
  const alerts = metrics.gauge({
    name: 'mill_drift_alerts',
    help: 'Distributions that have moved beyond MILL_DRIFT_ALERT.',
    labels: ['model'],
  });
  return {
    show({ model, arms, fields, scoreDrift, gradientNorms, alerts: moved }) {
      for (const { figure, gauge } of quality) {
        for (const { arm, quality: windows } of arms) {
          for (const window of Object.keys(measureWindows) as MeasureWindow[])
            gauge.set({ model, arm, window }, windows[window][figure] ?? Number.NaN);
        }
      }
      for (const { field, coverage: share, newKeys: fresh, drift: index } of fields) {
        coverage.set({ model, field }, share);
        if (fresh !== null) newKeys.set({ model, field }, fresh);
        if (index !== null) drift.set({ model, field }, index);
      }
      if (scoreDrift !== null) drift.set({ model, field: 'scores' }, scoreDrift);
      for (const [part, norm] of Object.entries(gradientNorms)) {
        if (norm !== null) norms.set({ model, part }, norm);
      }
      alerts.set({ model }, moved.length);
    },
  };
}
