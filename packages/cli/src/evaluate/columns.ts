/** Which columns of a log hold what was decided and what came of it. */
import { fileInvalid } from '../log-file/index.ts';

/** As the caller names them; what is left out is found by a common name. */
export interface ColumnNames {
  readonly reward?: string | undefined;
  readonly propensity?: string | undefined;
  readonly action?: string | undefined;
  readonly position?: string | undefined;
}

export interface Columns {
  readonly reward: string;
  /** null where the policy needs none. */
  readonly propensity: string | null;
  /** The item that was shown. */
  readonly action: string;
  /** null: all decisions are of one position. */
  readonly position: string | null;
}

/** Names that logs commonly give them, the likeliest first. */
const common = {
  reward: ['reward', 'click', 'clicked', 'label'],
  propensity: ['propensity', 'pscore', 'propensity_score', 'probability', 'prob'],
  action: ['action', 'item', 'item_id', 'action_id', 'arm'],
  position: ['position', 'slot'],
} as const;

export interface ColumnsInput {
  readonly file: string;
  readonly names: ColumnNames;
  /** Columns of the first record. */
  readonly there: readonly string[];
  readonly needsPropensity: boolean;
}

/** @throws MILL_FILE_INVALID naming the column that is not there. */
export function columnsFrom({ file, names, there, needsPropensity }: ColumnsInput): Columns {
  const find = (part: keyof typeof common): string | null => {
    const named = names[part];
    if (named === undefined) return common[part].find((name) => there.includes(name)) ?? null;
    if (there.includes(named)) return named;
    throw fileInvalid({ file, column: named }, 'that column', `only ${there.slice(0, 30).join(', ')}`);
  };
  const need = (part: keyof typeof common): string => {
    const found = find(part);
    if (found !== null) return found;
    const wanted = `a column of that name, or another one named with --${part}`;
    throw fileInvalid({ file, column: part }, wanted, `only ${there.slice(0, 30).join(', ')}`);
  };
  return {
    reward: need('reward'),
    propensity: needsPropensity ? need('propensity') : null,
    action: need('action'),
    position: find('position'),
  };
}

/** How each was found, for the reader of the result: `reward "click", propensity "propensity", …` */
export function columnsText({ reward, propensity, action, position }: Columns): string {
  const parts = Object.entries({ reward, propensity, action, position });
  return parts
    .flatMap(([part, name]) => (name === null ? [] : [`${part} ${JSON.stringify(name)}`]))
    .join(', ');
}
