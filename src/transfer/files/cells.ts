/** Values of formats that say what kind a value is (JSON, Excel): the type of a column by all of its cells, and each cell as a text of it. */
import { Evidence, type Found, type Style } from '../csv/evidence.ts';
import { converter } from '../csv/values.ts';

export interface Cell {
  /** A time is ISO text; nested is JSON. */
  readonly kind: 'number' | 'text' | 'boolean' | 'time' | 'nested';
  /** The value as it was sent. */
  readonly text: string;
  /** As JSON, where the format is JSON. */
  readonly json?: string;
}

export class CellEvidence {
  readonly #counts = { number: 0, text: 0, boolean: 0, time: 0, nested: 0 };
  readonly #numbers = new Evidence();
  readonly #times = new Evidence();

  add({ kind, text }: Cell): void {
    this.#counts[kind]++;
    if (kind === 'number') this.#numbers.add(text);
    if (kind === 'time') this.#times.add(text);
  }

  found(): Found {
    const { number, text, boolean, time, nested } = this.#counts;
    const all = number + text + boolean + time + nested;
    const as = (type: string, note: string | null = null): Found => ({ type, style: { order: null, mark: 'point' }, note, asIs: false });
    if (all === 0) return as('VARCHAR', 'it has no values');
    if (nested > 0) return as('JSON');
    if (number === all) return this.#numbers.found(null, 'point');
    if (boolean === all) return as('BOOLEAN');
    if (time === all) {
      const found = this.#times.found('ymd', null);
      return found.style.order === 'ymd' ? found : as('VARCHAR');
    }
    return as('VARCHAR', text + time === all ? null : 'its values are of several kinds');
  }
}

/** The cell as exact text of the type; undefined where it is none. */
export function cellText(cell: Cell | null | undefined, type: string, style: Style): string | null | undefined {
  if (cell == null) return null;
  if (type === 'JSON') return cell.json ?? cell.text;
  const convert = converter(type, style);
  return convert === null ? cell.text : convert(cell.text);
}
